"""Sessions and runs as coroutines, for the portal's event loop. Both faces of the API are made of these."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from gpu_workbench.app.dask.opening import OpenedCluster, adapt, open_cluster, scheduler_of
from gpu_workbench.app.detached import RESULT, Package
from gpu_workbench.app.execution import Execution
from gpu_workbench.app.outcomes import outcome_of
from gpu_workbench.app.replay import Replay
from gpu_workbench.app.shipping.names import analyse
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.app.vars import Row, compare
from gpu_workbench.app.workbench import Cell, Workbench
from gpu_workbench.backends.dask import SchedulerAddress
from gpu_workbench.core.errors import SessionLost, StartFailed
from gpu_workbench.core.model import Kind, Phase
from gpu_workbench.core.spec import Handle
from gpu_workbench.surfaces.dask import ClusterRequest
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.magics.detach import mirrored
from gpu_workbench.surfaces.plain import traceback_of
from gpu_workbench.surfaces.request import Request
from gpu_workbench.surfaces.sdk.code import Script

SETTLE = 2.0
"""Seconds that a first look at a workload may take."""


class Workload:
    """What sessions and runs have in common.

    Args:
        workbench: Through which it is reached.
        handle: Which it is.
    """

    def __init__(self, workbench: Workbench, handle: Handle) -> None:
        self.workbench = workbench
        self.handle = handle

    @property
    def backend(self) -> str:
        """Where it lives."""
        return self.handle.backend

    @contextlib.asynccontextmanager
    async def followed(self) -> AsyncIterator[Subscription]:
        """A look at it, true from the first moment on."""
        subscription = await self.workbench.follow(self.backend, self.handle)
        try:
            await subscription.settle(SETTLE)
            yield subscription
        finally:
            await self.workbench.unfollow(subscription)

    async def status(self) -> Phase:
        """Where it stands."""
        async with self.followed() as subscription:
            outcome = outcome_of(subscription)
            return outcome.phase if outcome else subscription.phase

    async def why(self) -> str:
        """Why it waits, or how it ended; empty where neither is to be said."""
        async with self.followed() as subscription:
            outcome = outcome_of(subscription)
            if outcome is not None:
                return outcome.sentence
            found = subscription.explanation
            return found.sentence if found else ""

    async def stop(self, *, force: bool = False) -> None:
        """End it and release what it holds."""
        await self.workbench.stop(self.backend, self.handle, force=force)


class Session(Workload):
    """A session.

    Args:
        started: It was started by this very call.
    """

    def __init__(self, workbench: Workbench, subscription: Subscription, *, started: bool) -> None:
        super().__init__(workbench, subscription.handle)
        self.subscription = subscription
        self.started = started

    async def execution(self, cell: Cell) -> Execution:
        """The execution of a cell, not begun.

        Raises:
            SyntaxError: it is not Python.
            SessionLost: the session has ended.
        """
        names = analyse(cell.source)
        self._refuse_ended()
        return self.workbench.execution(self.subscription, cell, names, notebook=self.handle.spec.notebook)

    def _refuse_ended(self) -> None:
        if not self.subscription.over:
            return
        outcome = outcome_of(self.subscription)
        title = self.handle.spec.name
        raise SessionLost(
            f"The session {title!r} has ended",
            why=outcome.sentence if outcome else self.subscription.stop_reason,
            fix=f"gw.session({title!r}) starts another one; what lived in this one is gone",
        )

    async def ready(self) -> Subscription:
        """Wait until it takes runs.

        Raises:
            SessionLost: it has ended.
            StartFailed: it did not come up.
        """
        self._refuse_ended()
        subscription = self.subscription
        await subscription.until(lambda: subscription.ready or subscription.over)
        if subscription.over:
            outcome = outcome_of(subscription)
            raise StartFailed(
                f"The session {self.handle.spec.name!r} did not start",
                why=outcome.sentence if outcome else "",
            )
        return subscription

    async def fetch(self, name: str, *, run: str = "") -> object:
        """A variable of the session, or a run's result."""
        return await self.workbench.fetch(await self.ready(), name, run=run)

    async def put(self, values: Mapping[str, object]) -> None:
        """Bind names there."""
        await self.workbench.push(await self.ready(), tuple(values), values=values)

    async def vars(self) -> list[Row]:
        """Its variables beside the notebook's."""
        subscription = await self.ready()
        await subscription.settle(SETTLE)
        return compare(subscription.workload, self.workbench.namespace)

    async def keep(self, seconds: float) -> None:
        """Put off its end by idleness."""
        await (await (await self.ready()).channel()).keep(seconds)


class Run(Workload):
    """A detached run."""

    async def wait(self, timeout: float | None) -> Phase:
        """Wait for its end.

        Raises:
            TimeoutError: it has not come within ``timeout`` seconds.
        """
        async with self.followed() as subscription:
            try:
                await asyncio.wait_for(
                    subscription.until(lambda: outcome_of(subscription) is not None), timeout
                )
            except asyncio.TimeoutError:
                raise TimeoutError(f"{self.title} has not ended within {timeout:g} s") from None
            outcome = outcome_of(subscription)
            assert outcome is not None
            return outcome.phase

    async def result(self, timeout: float | None) -> object:
        """What it gave, once it has ended; see :meth:`gpu_workbench.Run.result`."""
        await self.wait(timeout)
        async with self.followed() as subscription:
            await subscription.until(
                lambda: outcome_of(subscription) is not None
            )  # another look, and as true
            outcome = outcome_of(subscription)
            error = outcome.error(self.title) if outcome else None
            if error is not None:
                detail = outcome.failure.detail if outcome and outcome.failure else ""
                raise error from (RemoteTraceback(detail) if detail else None)
            run = subscription.workload.runs.get(self.handle.id)
            if run is not None and not run.results and subscription.heard:
                return {}
        values = await self.workbench.results(self.backend, self.handle)
        return values[RESULT] if set(values) == {RESULT} else values

    async def lines(self, *, follow: bool) -> AsyncIterator[str]:
        """Its output, line by line."""
        replay = await Replay.begin(self.workbench.backend(self.backend), self.handle)
        rest = ""
        try:
            async for events in replay.outputs(follow=follow):
                for event in events:
                    *whole, rest = (rest + _text(event.message, event.content)).split("\n")
                    for line in whole:
                        yield line
            if rest:
                yield rest
        finally:
            await replay.close()

    @property
    def title(self) -> str:
        """What people call it."""
        return self.handle.spec.name or self.handle.id


class RemoteTraceback(Exception):
    """The traceback from over there, as the cause of what is raised here."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0])


def _text(message: str, content: Mapping[str, Any]) -> str:
    if message == "stream":
        return str(content.get("text", ""))
    if message == "error":
        return traceback_of(dict(content)) + "\n"
    data = content.get("data")
    text = data.get("text/plain") if isinstance(data, dict) else None
    return "" if text is None else f"{text}\n"


async def open_session(here: Here, request: Request) -> Session:
    """The session of that name, started if there is none."""
    workbench = here.workbench(request.config)
    opened = await workbench.open(request.backend, request.spec, asked=request.asked)
    return Session(workbench, opened.subscription, started=opened.started)


async def submit(here: Here, request: Request, work: Cell | Script) -> Run:
    """Seal ``work`` and start it."""
    workbench = here.workbench(request.config)
    if isinstance(work, Script):
        package: Package = await workbench.seal_script(request.backend, request.spec, work.argv)
    else:
        package = await workbench.seal(request.backend, request.spec, work, project=mirrored(request))
    return Run(workbench, await workbench.launch(request.backend, package))


async def attach(here: Here, request: Request, word: str) -> Session | Run | Workload | OpenedCluster:
    """The session, run or Dask cluster that goes by ``word``; of a run in a session, that session."""
    workbench = here.workbench(request.config)
    found = await workbench.find(request.backend, word, owner=request.spec.owner)
    if found.handle.spec.kind is Kind.DASK:
        return OpenedCluster(await workbench.follow(request.backend, found.handle), started=False)
    return await _found(workbench, found.handle)


async def open_dask(here: Here, request: ClusterRequest) -> tuple[OpenedCluster, SchedulerAddress]:
    """The Dask cluster of that name, started if there is none, and the way to its scheduler once that answers."""
    workbench = here.workbench(request.config)
    opened = await open_cluster(workbench, request.backend, request.spec, asked=request.asked)
    address = await scheduler_of(opened.subscription)
    if request.adapt is not None:
        await adapt(opened.subscription, minimum=request.adapt[0], maximum=request.adapt[1])
    return opened, address


async def listing(here: Here, request: Request, *, ended: bool) -> list[Session | Run | Workload]:
    """All of mine, newest first."""
    workbench = here.workbench(request.config)
    found: list[Session | Run | Workload] = []
    for subscription in await workbench.list(request.backend, owner=request.spec.owner):
        await subscription.settle(SETTLE)
        if ended or not subscription.over:
            found.append(await _found(workbench, subscription.handle))
        await workbench.unfollow(subscription)
    return found


async def _found(workbench: Workbench, handle: Handle) -> Session | Run | Workload:
    if handle.spec.kind is Kind.DASK:
        return Workload(workbench, handle)
    if handle.spec.kind is not Kind.SESSION:
        return Run(workbench, handle)
    return Session(workbench, await workbench.follow(handle.backend, handle), started=False)


def failed(what: BaseException, traceback: str) -> BaseException:
    """``what`` with the traceback from over there as its cause."""
    what.__cause__ = RemoteTraceback(traceback)
    return what
