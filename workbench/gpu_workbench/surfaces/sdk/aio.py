"""The awaitable twins of :mod:`gpu_workbench`'s functions and classes, under the same names, for any event loop.

from gpu_workbench import aio

session = await aio.session(gpus=1)
loss = await session.call(train, data)
async for line in (await aio.attach("baseline")).logs(follow=True): ...
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from gpu_workbench.app.dask.opening import OpenedCluster, scheduler_of
from gpu_workbench.app.detached import RESULT
from gpu_workbench.app.vars import Row
from gpu_workbench.app.workbench import Cell
from gpu_workbench.backends.dask import SchedulerAddress
from gpu_workbench.core.model import Phase
from gpu_workbench.core.quantities import parse_duration
from gpu_workbench.surfaces.dask import cluster_request, flags_of
from gpu_workbench.surfaces.flags import CellFlags, cell_flags
from gpu_workbench.surfaces.here import Here, shared
from gpu_workbench.surfaces.interrupts import kernel_ends
from gpu_workbench.surfaces.magics.dask import require_dask
from gpu_workbench.surfaces.request import Request
from gpu_workbench.surfaces.sdk import core
from gpu_workbench.surfaces.sdk.code import call_of, cell_of, run_flags, work_of
from gpu_workbench.surfaces.sdk.showing import Result, ask, outputs_here, raise_failure

__all__ = ["Run", "Session", "attach", "dask", "list", "remote", "session", "submit"]

if TYPE_CHECKING:
    from gpu_workbench.app.dask.cluster import Cluster

P = ParamSpec("P")
T = TypeVar("T")


class Workload:
    """What sessions and runs have in common."""

    def __init__(self, here: Here, inner: core.Workload) -> None:
        self._here = here
        self._inner = inner

    def __repr__(self) -> str:
        return f"<aio.{type(self).__name__} {self.name or self.id} on {self._inner.backend}>"

    @property
    def id(self) -> str:
        """As :attr:`gpu_workbench.Run.id`."""
        return self._inner.handle.id

    @property
    def name(self) -> str:
        """As :attr:`gpu_workbench.Run.name`."""
        return self._inner.handle.spec.name

    async def status(self) -> Phase:
        """As :meth:`gpu_workbench.Run.status`."""
        return await self._here.portal.elsewhere(self._inner.status())

    async def why(self) -> str:
        """As :meth:`gpu_workbench.Run.why`."""
        return await self._here.portal.elsewhere(self._inner.why())

    async def stop(self, *, force: bool = False) -> None:
        """As :meth:`gpu_workbench.Run.stop`."""
        await self._here.portal.elsewhere(self._inner.stop(force=force))


class Session(Workload):
    """As :class:`gpu_workbench.Session`, awaitable; an asynchronous context manager."""

    _inner: core.Session

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._inner.started:
            await self.stop()

    async def run(self, cell: str, **flags: Any) -> Result:
        """As :meth:`gpu_workbench.Session.run`. When it is cancelled, the run is interrupted."""
        return await self._run(cell_of(cell, run_flags(flags)))

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As :meth:`gpu_workbench.Session.call`. When it is cancelled, the run is interrupted."""
        value: T = (await self._run(call_of(function, args, kwargs))).values[RESULT]  # type: ignore[assignment]
        return value

    async def _run(self, cell: Cell) -> Result:
        elsewhere = self._here.portal.elsewhere
        execution = await elsewhere(self._inner.execution(cell))
        outputs = outputs_here()
        try:
            async for step in _each(self._here, execution.steps()):
                outputs.publish(step.outputs)
                if step.question is not None:
                    answer = await asyncio.to_thread(ask, step.question)
                    await elsewhere(execution.answer(step.question, answer))
        except asyncio.CancelledError:
            if execution.accepted and not await asyncio.shield(asyncio.to_thread(kernel_ends)):
                await asyncio.shield(elsewhere(execution.interrupt(grade=1)))
            raise
        run = execution.run
        assert run is not None
        raise_failure(run, outputs)
        values = {name: await elsewhere(self._inner.fetch(name, run=run.id)) for name in cell.out}
        return Result(id=run.id, name=run.name, status=run.phase, values=values, receipt=run.receipt)

    async def put(self, name: str = "", value: object = None, /, **values: object) -> None:
        """As :meth:`gpu_workbench.Session.put`."""
        given = {**({name: value} if name else {}), **values}
        await self._here.portal.elsewhere(self._inner.put(given))

    async def get(self, name: str) -> object:
        """As :meth:`gpu_workbench.Session.get`."""
        return await self._here.portal.elsewhere(self._inner.fetch(name))

    async def vars(self) -> builtins.list[Row]:
        """As :meth:`gpu_workbench.Session.vars`."""
        return await self._here.portal.elsewhere(self._inner.vars())

    async def keep(self, time: str | float) -> None:
        """As :meth:`gpu_workbench.Session.keep`."""
        await self._here.portal.elsewhere(self._inner.keep(parse_duration(str(time))))


class Run(Workload):
    """As :class:`gpu_workbench.Run`, awaitable."""

    _inner: core.Run

    async def wait(self, timeout: float | None = None) -> Phase:
        """As :meth:`gpu_workbench.Run.wait`."""
        return await self._here.portal.elsewhere(self._inner.wait(timeout))

    async def result(self, timeout: float | None = None) -> Any:
        """As :meth:`gpu_workbench.Run.result`."""
        return await self._here.portal.elsewhere(self._inner.result(timeout))

    async def logs(self, *, follow: bool = False) -> AsyncIterator[str]:
        """As :meth:`gpu_workbench.Run.logs`."""
        async for line in _each(self._here, self._inner.lines(follow=follow)):
            yield line


async def session(name: str = "default", **flags: Any) -> Session:
    """As :func:`gpu_workbench.session`."""
    here = shared()
    request = await _request(here, cell_flags({**flags, "session": name}))
    return Session(here, await here.portal.elsewhere(core.open_session(here, request)))


async def submit(what: str | Path | Callable[..., Any], *args: object, **flags: Any) -> Run:
    """As :func:`gpu_workbench.submit`."""
    here = shared()
    read = cell_flags({**flags, "detach": True})
    work = work_of(what, args, read)
    return Run(here, await here.portal.elsewhere(core.submit(here, await _request(here, read), work)))


async def dask(**flags: Any) -> Cluster:
    """As :func:`gpu_workbench.dask`: an asynchronous cluster, for ``Client(cluster, asynchronous=True)``."""
    require_dask()
    here = shared()
    request = await asyncio.to_thread(cluster_request, here, flags_of(flags))
    opened, address = await here.portal.elsewhere(core.open_dask(here, request))
    return await _cluster(here, opened, address)


async def _cluster(here: Here, opened: OpenedCluster, address: SchedulerAddress) -> Cluster:
    from gpu_workbench.app.dask.cluster import Cluster

    made = Cluster(
        opened.subscription, address, portal=here.portal, started=opened.started, asynchronous=True
    )
    await made
    return made


async def attach(word: str, **flags: Any) -> Session | Run | Workload | Cluster:
    """As :func:`gpu_workbench.attach`."""
    here = shared()
    request = await _request(here, cell_flags(flags))
    found = await here.portal.elsewhere(core.attach(here, request, word))
    if isinstance(found, OpenedCluster):
        require_dask()
        address = await here.portal.elsewhere(scheduler_of(found.subscription))
        return await _cluster(here, found, address)
    return _wrapped(here, found)


async def list(*, all: bool = False, **flags: Any) -> Sequence[Session | Run | Workload]:
    """As :func:`gpu_workbench.list`."""
    here = shared()
    request = await _request(here, cell_flags(flags))
    found = await here.portal.elsewhere(core.listing(here, request, ended=all))
    return [_wrapped(here, one) for one in found]


def _wrapped(here: Here, found: core.Workload) -> Session | Run | Workload:
    if isinstance(found, core.Session):
        return Session(here, found)
    return Run(here, found) if isinstance(found, core.Run) else Workload(here, found)


def remote(**flags: Any) -> Callable[[Callable[P, T]], Callable[P, Awaitable[T]]]:
    """As :func:`gpu_workbench.remote`: calls of the decorated function are to be awaited."""

    def decorate(function: Callable[P, T]) -> Callable[P, Awaitable[T]]:
        place = dict(flags)
        name = place.pop("session", "default")

        async def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return await (await session(name, **place)).call(function, *args, **kwargs)

        call.__name__, call.__doc__ = function.__name__, function.__doc__
        return call

    return decorate


async def _request(here: Here, flags: CellFlags) -> Request:
    """Reading settings may ask the cluster who we are: not on the caller's event loop."""
    return await asyncio.to_thread(here.request, flags)


async def _each(here: Here, source: AsyncIterator[T]) -> AsyncIterator[T]:
    """What an iterator of the portal gives, here."""

    async def following() -> tuple[T] | None:
        try:
            return (await source.__anext__(),)
        except StopAsyncIteration:
            return None

    while (taken := await here.portal.elsewhere(following())) is not None:
        yield taken[0]
