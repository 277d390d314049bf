"""What a notebook, a script or the command line can ask for, as coroutines. Surfaces call these through the portal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gpu_workbench.app import incoming
from gpu_workbench.app.companions import Companion
from gpu_workbench.app.detached import (
    Package,
    ProjectFiles,
    as_job,
    check_size,
    pack_cell,
    pack_script,
    project_files,
)
from gpu_workbench.app.execution import Execution, Sending, Step
from gpu_workbench.app.finding import Found, find
from gpu_workbench.app.packages import bring_pip
from gpu_workbench.app.plans import Plan, of_session
from gpu_workbench.app.results import results_of
from gpu_workbench.app.sessions import NameLost, Opened, Sessions, new_id
from gpu_workbench.app.settings import Settings
from gpu_workbench.app.shipping.names import CellNames, analyse
from gpu_workbench.app.shipping.outgoing import Cargo, deliver, pack
from gpu_workbench.app.stopping import stop
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.core.errors import UsageError
from gpu_workbench.core.model import Workload
from gpu_workbench.core.spec import Handle, RunSpec, WorkloadSpec

CLIENT = "client"
"""The variable under which the driver of a Dask cluster has its client."""


@dataclass(frozen=True)
class Cell:
    """A cell as it was asked to run.

    Args:
        source: Without the magic line.
        out: Names to bring back.
        only: Names to send in place of those it is found to need; ``None`` to find them.
        send: ``False`` to send nothing.
        beside: Values that travel with it though the notebook has no such names.
        ranks: The ranks of a gang that execute it; empty for all.
    """

    source: str
    out: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    send: bool = True
    beside: Mapping[str, object] = field(default_factory=dict, repr=False)
    magic: str = ""
    count: int = 0
    cell_id: str = ""
    name: str = ""
    needs_pip: bool = False
    ranks: tuple[int, ...] = ()


@dataclass
class Started:
    """A cell under way: its execution, and what there is to say about its session."""

    execution: Execution
    opened: Opened
    names: CellNames


@dataclass
class Workbench:
    """One process's view of its user's runs. Everything awaitable runs in the portal's event loop.

    Args:
        settings: The settings in force.
        namespace: The notebook's globals.
        make_backend: Makes a backend by name.
    """

    settings: Settings
    namespace: dict[str, Any]
    make_backend: Callable[[str], Backend]
    sessions: Sessions = field(default_factory=Sessions)
    _backends: dict[str, Backend] = field(default_factory=dict)
    _companions: dict[str, Companion] = field(default_factory=dict)

    def backend(self, name: str) -> Backend:
        """The backend of that name, made once."""
        if name not in self._backends:
            self._backends[name] = self.make_backend(name)
        return self._backends[name]

    async def open(self, backend: str, spec: WorkloadSpec, *, asked: Mapping[str, object]) -> Opened:
        """The notebook's session of that name, started if there is none; see :meth:`Sessions.open`."""
        return await self.sessions.open(self.backend(backend), spec, asked=asked)

    async def start(
        self, backend: str, spec: WorkloadSpec, cell: Cell, *, asked: Mapping[str, object]
    ) -> Started:
        """Begin to run a cell. Its names are read first: a syntax error starts nothing.

        Raises:
            SyntaxError: the cell is not Python.
            FlagError: the flags contradict a living session.
        """
        names = analyse(cell.source)
        opened = await self.open(backend, spec, asked=asked)
        self.companion(opened.subscription, fresh=opened.started)
        return Started(
            self.execution(opened.subscription, cell, names, notebook=spec.notebook), opened, names
        )

    async def run(
        self, backend: str, spec: WorkloadSpec, cell: Cell, *, asked: Mapping[str, object]
    ) -> AsyncIterator[Started | Step]:
        """Run a cell: first what :meth:`start` gives, then the steps of its execution.

        Raises:
            SyntaxError, FlagError: as :meth:`start`.
            StartFailed, SessionLost: as :meth:`Execution.steps`.
        """
        started = await self.start(backend, spec, cell, asked=asked)
        yield started
        async for step in started.execution.steps():
            yield step

    def execution(
        self, session: Subscription, cell: Cell, names: CellNames, *, notebook: str = ""
    ) -> Execution:
        """The execution of a cell in a session, not begun."""
        if session.handle.spec.drives:  # its own, connected to its cluster
            names = replace(names, reads={name: line for name, line in names.reads.items() if name != CLIENT})
        run = run_of(cell, id=new_id(), notebook=notebook)
        former = self.sessions.former(session.backend, session.handle.spec.name)

        async def prepare(session: Subscription, sending: Sending) -> None:
            cargo = self.pack(cell, names, session.workload, former=former.names if former else {})
            _refuse_lost(cargo, former.sentence if former else "its process was restarted")
            channel = await session.channel()
            sending.notes += await self.companion(session).prepare(
                channel,
                names,
                cell.source,
                modules=cargo.modules,
                generation=session.workload.generation,
                offset=1 if cell.magic else 0,
                progress=sending.moved,
            )
            if cell.needs_pip and session.handle.backend != "local":
                await bring_pip(channel, progress=sending.moved)
            await deliver(cargo, channel, run=run.id, progress=sending.moved)

        return Execution(session, run, prepare)

    def companion(self, session: Subscription, *, fresh: bool = False) -> Companion:
        """What keeps a session in step with the project; made once for each."""
        found = self._companions.get(session.handle.id)
        if found is None:
            found = Companion(session.handle, fresh=fresh, limit=self.settings.project_limit)
            self._companions[session.handle.id] = found
        return found

    async def seal(
        self, backend: str, spec: WorkloadSpec, cell: Cell, *, project: Path | None = None
    ) -> Package:
        """Pack all that a detached cell needs. Nothing is started; :meth:`launch` does that.

        Args:
            backend: Where it is to run.
            spec: The workload.
            cell: What it runs.
            project: The folder whose files travel with it; ``None`` for none.

        Raises:
            SyntaxError: the cell is not Python.
            NotPicklable: a value has no faithful copy.
            TooLarge: it is more than the backend can hold.
            UsageError: a name lives in a session alone, and the run would start without it.
        """
        names, spec = analyse(cell.source), as_job(spec)
        cargo = self.pack(cell, names, Workload(id=spec.id), former={})
        self._refuse_elsewhere(cargo)
        files = await asyncio.to_thread(project_files, project) if project else ProjectFiles({})
        if not spec.store:
            check_size(cargo, files, limit=self.backend(backend).sealed_limit)
        run = run_of(cell, id=spec.id, notebook=spec.notebook)
        return await asyncio.to_thread(pack_cell, spec, run, cargo, files)

    async def seal_script(self, backend: str, spec: WorkloadSpec, argv: tuple[str, ...]) -> Package:
        """Pack a script: on ``local`` it runs where it lies, elsewhere with the files of its folder.

        Args:
            argv: The script's path and its arguments.

        Raises:
            UsageError: there is no such script, or it would not travel.
            TooLarge: its folder is more than the backend can hold.
        """
        package = await asyncio.to_thread(pack_script, as_job(spec), argv, in_place=backend == "local")
        if not spec.store:
            check_size(Cargo(), package.project, limit=self.backend(backend).sealed_limit)
        return package

    async def plan(
        self,
        backend: str,
        spec: WorkloadSpec,
        cell: Cell | None,
        *,
        asked: Mapping[str, object],
        project: Path | None = None,
    ) -> Plan:
        """What :meth:`open` and :meth:`start` would do. Nothing is started or sent.

        Args:
            cell: The cell; ``None`` where only the session is meant.

        Raises:
            SyntaxError, NotPicklable, TooLarge, FlagError: as the real thing would.
        """
        names = analyse(cell.source if cell else "")
        living = await self.sessions.look(self.backend(backend), spec, asked=asked)
        workload = living.workload if living else Workload(id="")
        cargo = self.pack(cell, names, workload, former={}) if cell else Cargo()
        files = await asyncio.to_thread(project_files, project) if project else ProjectFiles({})
        handle = living.handle if living else None
        return of_session(spec, living=handle, cargo=cargo, project=files, out=cell.out if cell else ())

    def _refuse_elsewhere(self, cargo: Cargo) -> None:
        for session in self.sessions.all():
            there = sorted(cargo.selection.missing & session.workload.names.keys())
            if there:
                listed = ",".join(there)
                raise UsageError(
                    f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} not here",
                    why=f"a detached run is a place of its own and does not see the session {session.handle.spec.name!r}",
                    fix=f"Bring what it needs here first: `%gpu pull {listed}`",
                )

    async def launch(
        self, backend: str, package: Package, *, progress: Callable[[int, int], None] | None = None
    ) -> Handle:
        """Start what was sealed, and return at once. The same package again starts nothing twice.

        Args:
            progress: Called with the bytes sent so far, and how many there are, where a store takes them.
        """
        return await self.backend(backend).start(package.spec, sealed=package.sealed, progress=progress)

    def pack(self, cell: Cell, names: CellNames, workload: Workload, *, former: Mapping[str, str]) -> Cargo:
        """What would travel for ``cell``; see :func:`gpu_workbench.app.shipping.outgoing.pack`."""
        with beside(self.namespace, cell.beside):
            return pack(
                names,
                namespace=self.namespace,
                workload=workload,
                former=former,
                only=cell.only,
                send=cell.send,
                limit=self.settings.values_limit,
            )

    async def fetch(
        self,
        session: Subscription,
        name: str,
        *,
        run: str = "",
        progress: Callable[[str, int, int], None] | None = None,
    ) -> object:
        """A variable of the session, or a run's result."""
        return await incoming.fetch(
            await session.channel(), name, run=run, namespace=self.namespace, progress=progress
        )

    async def push(
        self,
        session: Subscription,
        names: tuple[str, ...],
        *,
        values: Mapping[str, object] | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Cargo:
        """Send names to the session now, whether or not they have changed.

        Args:
            values: What they are; the notebook's own where not given.
        """
        cell = Cell(source="", only=names, beside=values or {})
        cargo = self.pack(cell, analyse(""), Workload(id=session.handle.id), former={})
        await deliver(cargo, await session.channel(), run="", progress=progress)
        return cargo

    async def list(self, backend: str, *, owner: str) -> list[Subscription]:
        """The user's workloads, newest first; give each to :meth:`unfollow` after use."""
        place = self.backend(backend)
        return [self.sessions.attach(place, handle) for handle in await place.list(owner=owner)]

    async def session(self, backend: str, name: str, *, owner: str, notebook: str) -> Subscription:
        """The living session of that name: this kernel's, or this notebook's from before a restart.

        Raises:
            RunNotFound: there is none.
        """
        return await self.sessions.find(self.backend(backend), name, owner=owner, notebook=notebook)

    async def follow(self, backend: str, handle: Handle) -> Subscription:
        """Follow a workload; the subscription this process has already, if it has one."""
        return self.sessions.attach(self.backend(backend), handle)

    async def join(self, session: Subscription) -> bool:
        """Let this notebook's cells run in a session of another one; see :meth:`Sessions.join`."""
        return self.sessions.join(session)

    async def unfollow(self, subscription: Subscription) -> None:
        """Stop following it, unless it is a session of this process."""
        if not self.sessions.mine(subscription):
            await subscription.close()

    async def stop(self, backend: str, handle: Handle, *, force: bool = False) -> None:
        """Release its pods or processes and its GPUs. Its agent is asked first, so that it says why it ended."""
        subscription = await self.follow(backend, handle)
        try:
            await stop(subscription, force=force)
        finally:
            await self.unfollow(subscription)

    async def results(self, backend: str, handle: Handle, *, run: str = "") -> dict[str, object]:
        """All results of a detached run, or of one run of a session; see :func:`~gpu_workbench.app.results.results_of`."""
        subscription = await self.follow(backend, handle)
        try:
            return await results_of(subscription, run=run, namespace=self.namespace)
        finally:
            await self.unfollow(subscription)

    async def find(self, backend: str, word: str, *, owner: str) -> Found:
        """What goes by ``word``; see :func:`gpu_workbench.app.finding.find`."""
        return await find(self.backend(backend), self.sessions, word, owner=owner)

    async def close(self) -> None:
        """Let go of everything; workloads go on."""
        await self.sessions.close()
        for backend in self._backends.values():
            await backend.close()


def run_of(cell: Cell, *, id: str, notebook: str) -> RunSpec:
    """The run of a cell."""
    return RunSpec(
        id=id,
        cell=cell.source,
        name=cell.name,
        notebook=notebook,
        cell_id=cell.cell_id,
        out=cell.out,
        magic=cell.magic,
        count=cell.count,
        ranks=cell.ranks,
    )


@contextlib.contextmanager
def beside(namespace: dict[str, Any], values: Mapping[str, object]) -> Iterator[None]:
    """``namespace`` with further values in it for a moment: functions are told to be the notebook's by this very dict."""
    before = {name: namespace[name] for name in values if name in namespace}
    namespace.update(values)
    try:
        yield
    finally:
        for name in values:
            namespace.pop(name, None)
        namespace.update(before)


def _refuse_lost(cargo: Cargo, sentence: str) -> None:
    lost = cargo.selection.lost
    if lost:
        names = ", ".join(sorted(lost))
        raise NameLost(
            f"{names} lived in the session and {'is' if len(lost) == 1 else 'are'} gone",
            why=sentence,
            fix="Run the cells that made it again, or give it a new value here",
        )
