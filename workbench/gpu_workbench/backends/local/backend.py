"""The ``local`` backend: agents as subprocesses of nobody, their facts in a state directory."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path

from gpu_workbench.backends.archive import agent_digest, agent_sources
from gpu_workbench.backends.channel import Channel
from gpu_workbench.backends.checks import Check
from gpu_workbench.backends.dask import SchedulerAddress
from gpu_workbench.backends.kept import Kept, KeptFolder
from gpu_workbench.backends.local import dask
from gpu_workbench.backends.local.capacity import count
from gpu_workbench.backends.local.checks import examine
from gpu_workbench.backends.local.folder import WorkloadFolder
from gpu_workbench.backends.local.lease import visible_gpus
from gpu_workbench.backends.local.process import process_started
from gpu_workbench.backends.protocol import Listed, Sealed
from gpu_workbench.core.agent_config import AgentConfig, Gang, Listen, dump_agent_config
from gpu_workbench.core.capacity import Capacity
from gpu_workbench.core.errors import Unreachable, WorkbenchError
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Kind, Phase
from gpu_workbench.core.spec import Handle, WorkloadSpec
from gpu_workbench.transport.unix import connect_unix

POLL = 0.1
"""Seconds between two looks at a workload's folder."""

POLL_STARTING = 0.02
"""The same while its agent does not listen yet, and somebody waits for it."""

POLL_ALL = 1.0
"""Seconds between two looks at which workloads there are."""

_NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}

STOP_PATIENCE = 5.0
"""Seconds an agent is given to end by itself."""


_CHILDREN: list[subprocess.Popen[bytes]] = []
"""Agents this process started: kept so that they are reaped, never ended with it."""


class LocalBackend:
    """Workloads on this machine.

    Args:
        root: Folder of their folders, private to the user.
    """

    name = "local"
    sealed_limit: int | None = None

    def __init__(self, root: Path) -> None:
        self._root = root
        self._ended: dict[str, Handle] = {}

    def _folder(self, handle: Handle) -> WorkloadFolder:
        return WorkloadFolder(self._root / handle.id)

    async def start(
        self,
        spec: WorkloadSpec,
        *,
        sealed: Sealed | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Handle:
        """Start an agent, unless that was done before."""
        dask.check(spec)
        folder = WorkloadFolder(self._root / spec.id)
        await asyncio.to_thread(self._prepare, folder, spec, sealed)
        if spec.kind is Kind.DASK:
            await dask.prepare(folder, spec.id)
        if folder.claim():
            await asyncio.to_thread(self._spawn, folder, spec)
        handle = folder.handle()
        if handle is None:
            raise WorkbenchError("The session could not be noted", why=f"{folder.path} cannot be written")
        return handle

    def _prepare(self, folder: WorkloadFolder, spec: WorkloadSpec, sealed: Sealed | None) -> None:
        folder.create(spec, started=time.time())
        folder.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.check_private()
        folder.write_secret("token", secrets.token_urlsafe(32))
        for path, content in (sealed.files if sealed else {}).items():
            target = folder.path / "sealed" / path
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_bytes(content)
        if sealed and sealed.run_key:
            folder.write_secret("run.key", sealed.run_key)
        (folder.path / "agent.json").write_text(dump_agent_config(self._config(folder, spec, bool(sealed))))

    def _config(self, folder: WorkloadFolder, spec: WorkloadSpec, sealed: bool) -> AgentConfig:
        path = folder.path
        return AgentConfig(
            kind=spec.kind,
            workload=spec.id,
            state_dir=str(path / "state"),
            work_dir=spec.work_dir or str(path / "work"),
            listen=Listen(socket=str(folder.socket)),
            gang=_gang(folder, spec),
            token_file=str(path / "token"),
            run_key_file=str(path / "run.key") if sealed else "",
            sealed_dir=str(path / "sealed") if sealed else "",
            store_dir=str(path / "results") if sealed else "",
            idle_limit=spec.idle_limit,
            orphan_limit=spec.orphan_limit,
            time_limit=spec.time_limit,
            journal_limit=spec.journal_limit,
            termination_file=str(path / "record.json"),
            python=spec.python,
            linger=2.0 if spec.kind is Kind.JOB else 0.0,
            echo=False,
            wrapped=dask.wrapped(folder, spec, agent=_unpacked_agent(self._root)) if spec.dask else (),
        )

    def _spawn(self, folder: WorkloadFolder, spec: WorkloadSpec) -> None:
        """Start the agent as a process of its own session; it is not our child for long."""
        agent = _unpacked_agent(self._root)
        command = [sys.executable, str(agent), "--config", str(folder.path / "agent.json")]
        gpus = visible_gpus() if spec.resources.gpus.count else []
        if gpus:  # another process waits for them, and becomes the agent
            command = [sys.executable, "-m", "gpu_workbench.backends.local.lease", str(folder.path), *command]
        with (folder.path / "agent.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **spec.env, **self._of_dask(spec), **({} if gpus else _NO_GPU)},
                cwd=folder.path,
                start_new_session=True,
            )
        folder.replace(
            "process.json", {"pid": process.pid, "started": process_started(process.pid) or "gone"}
        )
        _CHILDREN.append(process)

    def _of_dask(self, spec: WorkloadSpec) -> dict[str, str]:
        """Environment of a Dask cluster, and of the sessions that drive one."""
        if spec.drives:
            driven = WorkloadFolder(self._root / spec.drives)
            address, _ = dask.address(driven)
            return {
                **dask.environment(driven),
                "DASK_SCHEDULER_ADDRESS": address,
                "GPU_WORKBENCH_DRIVES": spec.drives,
            }
        return dask.environment(WorkloadFolder(self._root / spec.id)) if spec.dask else {}

    async def list(self, *, owner: str) -> list[Handle]:
        """All workloads in the state directory, newest first."""
        try:
            names = [path.name for path in self._root.iterdir() if not path.name.startswith(".")]
        except FileNotFoundError:
            names = []
        handles = [handle for name in names if (handle := self._ended.get(name) or self._handle(name))]
        self._ended = {handle.id: handle for handle in handles if handle.ended}
        mine = [handle for handle in handles if not owner or handle.spec.owner in ("", owner)]
        return sorted(mine, key=lambda handle: handle.started, reverse=True)

    def _handle(self, workload_id: str) -> Handle | None:
        return WorkloadFolder(self._root / workload_id).handle()

    async def watch_all(self, *, owner: str) -> AsyncGenerator[Listed, None]:
        """See :meth:`~gpu_workbench.backends.protocol.Control.watch_all`."""
        while True:
            # Also what is as before: who listed in between may know of one that came and went since.
            yield Listed(tuple(await self.list(owner=owner)))
            await asyncio.sleep(POLL_ALL)

    async def find(self, workload_id: str) -> Handle | None:
        """The workload of that id, or ``None``."""
        return self._handle(workload_id)

    async def watch(self, handle: Handle) -> AsyncIterator[Facts]:
        """Its folder's facts whenever they change."""
        last: Facts | None = None
        while True:
            facts = self.facts(handle)
            if facts != last:
                last = facts
                yield facts
            if facts.gone:
                return
            mark = self._folder(handle).process
            if facts.agent_ready and mark is not None:
                await mark.gone()  # nothing else is to happen
            else:
                await asyncio.sleep(POLL if facts.phase is Phase.QUEUED else POLL_STARTING)

    def facts(self, handle: Handle) -> Facts:
        """What its folder says now."""
        folder = self._folder(handle)
        mark, record = folder.process, folder.read("record.json")
        if not folder.path.exists():
            return Facts(phase=Phase.LOST, gone=True)
        if mark is None:
            fresh = time.time() - handle.started < 30
            return Facts(phase=Phase.PENDING if fresh else Phase.FAILED, gone=not fresh)
        if mark.alive:
            if folder.waiting:
                return Facts(phase=Phase.QUEUED, waits_for=folder.waiting)
            ready = folder.socket.exists()
            return Facts(phase=Phase.RUNNING if ready else Phase.STARTING, agent_ready=ready)
        outcome = (record or {}).get("outcome")
        phase = Phase(outcome) if isinstance(outcome, str) else Phase.LOST
        return Facts(phase=phase, record=record, log_tail=_tail(folder.path / "agent.log"), gone=True)

    async def open(self, handle: Handle) -> Channel:
        """A channel through its Unix socket, which lies where nobody else can put one.

        Raises:
            Unreachable: it does not run.
            PermissionDenied: somebody else could have put it there.
        """
        folder = self._folder(handle)
        mark = folder.process
        if mark is None or not mark.alive or not folder.socket.exists():
            raise Unreachable("There is no agent to talk to", why=f"{handle.spec.name} is not running")
        folder.check_private()
        connect = functools.partial(connect_unix, str(folder.socket))
        return Channel(connect=connect, token=(folder.path / "token").read_text())

    async def stop(self, handle: Handle, *, force: bool = False) -> None:
        """Ask the agent to end; end it where it does not."""
        folder = self._folder(handle)
        mark = folder.process
        if mark is None or not mark.alive:
            return
        if not folder.socket.exists():  # there is no agent yet that would say why it ends
            folder.replace(
                "record.json", {"version": 1, "outcome": Phase.STOPPED.value, "reason": "you stopped it"}
            )
        _signal(mark.pid, signal.SIGKILL if force else signal.SIGTERM)
        end = time.monotonic() + STOP_PATIENCE
        while mark.alive and time.monotonic() < end:  # noqa: ASYNC110 -- not our child: its end is no event here
            await asyncio.sleep(0.05)
        if mark.alive:
            _signal(mark.pid, signal.SIGKILL)

    async def forget(self, handle: Handle) -> None:
        """Remove its folder."""
        await self.stop(handle, force=True)
        await asyncio.to_thread(self._folder(handle).remove)

    async def logs(self, handle: Handle, *, tail: int | None = None, rank: int = 0) -> str:
        """What the agent itself said; the user's output is in the journal."""
        return _tail(self._folder(handle).path / "agent.log", lines=tail)

    async def kept(self, handle: Handle) -> Kept | None:
        """Journal and results on disk, for when the agent is gone."""
        path = self._folder(handle).path
        key = path / "run.key"
        if not path.exists():
            return None
        return KeptFolder(
            journal_dir=path / "state" / "journal",
            results=path / "results",
            run_key=key.read_text().strip().encode() if key.exists() else b"",
        )

    async def scheduler(self, handle: Handle) -> SchedulerAddress:
        """See :meth:`~gpu_workbench.backends.dask.RunsDask.scheduler`."""
        return await asyncio.to_thread(dask.scheduler, self._folder(handle))

    async def dashboard(self, handle: Handle) -> socket.socket:
        """See :meth:`~gpu_workbench.backends.dask.RunsDask.dashboard`."""
        return await dask.connect_dashboard(self._folder(handle))

    async def scale(self, handle: Handle, n_workers: int, *, group: str) -> None:
        """See :meth:`~gpu_workbench.backends.dask.RunsDask.scale`."""
        with contextlib.closing(await self.open(handle)) as channel:
            await dask.scale(channel, n_workers, group=group)

    async def adapt(self, handle: Handle, *, minimum: int, maximum: int) -> None:
        """See :meth:`~gpu_workbench.backends.dask.RunsDask.adapt`."""
        with contextlib.closing(await self.open(handle)) as channel:
            await channel.dask({"adapt": [minimum, maximum]})

    async def wake(self, handle: Handle) -> bool:
        """See :meth:`~gpu_workbench.backends.dask.RunsDask.wake`: here it wakes by itself, within half a second."""
        return False

    async def worker_logs(self, handle: Handle) -> dict[str, str]:
        """See :meth:`~gpu_workbench.backends.dask.RunsDask.worker_logs`: all processes write to one log."""
        return {"cluster": await self.logs(handle)}

    async def examine(self, spec: WorkloadSpec) -> tuple[Check, ...]:
        """See :meth:`~gpu_workbench.backends.checks.Examinable.examine`."""
        return tuple(await asyncio.to_thread(examine, self._root))

    async def capacity(self, *, owner: str) -> Capacity:
        """See :meth:`~gpu_workbench.backends.protocol.CountsGpus.capacity`. All workloads here are this user's."""
        return await asyncio.to_thread(count, self._root)

    async def close(self) -> None:
        """Nothing to let go of."""


def _gang(folder: WorkloadFolder, spec: WorkloadSpec) -> Gang:
    """All nodes are this machine; where ``torch.distributed`` meets is a port that is free now."""
    if spec.world_size == 1:
        return Gang()
    with socket.socket() as drawn:
        drawn.bind(("127.0.0.1", 0))
        port = drawn.getsockname()[1]
    return Gang(nodes=spec.nodes, procs=spec.procs, head=str(folder.socket), rendezvous=f"127.0.0.1:{port}")


def _unpacked_agent(root: Path) -> Path:
    """The agent as a folder, made once per content: Python keeps what it compiles of a folder, not of an archive."""
    path = root / ".agent" / agent_digest() / "agent.pyz"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
        for name, content in agent_sources().items():
            target = building / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        try:
            building.rename(path)
        except OSError:  # another kernel was faster
            shutil.rmtree(building, ignore_errors=True)
    return path


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _tail(path: Path, *, lines: int | None = 20) -> str:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    return text if lines is None else "\n".join(text.splitlines()[-lines:])
