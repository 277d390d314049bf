"""The pod through which a volume is read and written from outside: started when it is needed, it ends by itself."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from gpu_workbench.backends.channel import Channel
from gpu_workbench.core.errors import StartFailed, Unreachable, WorkbenchError
from gpu_workbench.core.explain import explain
from gpu_workbench.core.facts import Explanation, Facts
from gpu_workbench.core.model import Kind
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import Handle, Resources, WorkloadSpec
from gpu_workbench.transport.timing import within

PATIENCE = 120.0
"""Seconds that the pod is given to come up."""

IDLE = 10 * 60.0
ALONE = 60.0
"""Seconds after which the pod ends when nobody asks it anything."""

_RETRY = 0.1

_PLATFORM = "kubernetes.io/"
"""Prefix of the node labels that say what an image can run on: ``kubernetes.io/arch``, ``kubernetes.io/os``."""


class Starts(Protocol):
    """The part of a backend that this needs."""

    async def start(self, spec: WorkloadSpec) -> Handle:
        """Start a workload."""
        ...

    async def open(self, handle: Handle) -> Channel:
        """A channel to its agent."""
        ...

    def watch(self, handle: Handle) -> AsyncIterator[Facts]:
        """What the cluster says of it."""
        ...

    async def forget(self, handle: Handle) -> None:
        """Remove it."""
        ...


class Storekeeper:
    """One pod for each store, shared by all that is asked of it while it lives.

    Args:
        backend: Where pods are started.
    """

    def __init__(self, backend: Starts) -> None:
        self._backend = backend
        self._pods: dict[str, tuple[Handle, Channel]] = {}
        self._one_at_a_time = asyncio.Lock()

    def channel(self, run: WorkloadSpec) -> Callable[[], Awaitable[Channel]]:
        """What gives a channel to the pod that has the volume of ``run``'s store, in the run's own image and place."""

        async def open_() -> Channel:
            async with self._one_at_a_time:
                known = self._pods.get(run.store)
                if known is not None:
                    try:
                        await known[1].state()
                    except Unreachable:  # it has ended since
                        known[1].close()
                        del self._pods[run.store]
                    else:
                        return known[1]
                self._pods[run.store] = await self._started(run)
                return self._pods[run.store][1]

        return open_

    async def _started(self, run: WorkloadSpec) -> tuple[Handle, Channel]:
        handle = await self._backend.start(spec_of(run))
        said: list[Explanation | None] = []
        try:
            return handle, await within(self._answers(handle, said), PATIENCE)
        except Exception as error:
            with suppress(WorkbenchError):  # it ends by itself
                await self._backend.forget(handle)
            if isinstance(error, asyncio.TimeoutError):
                raise _unreachable(run.store, said, otherwise="its pod did not come up in time") from None
            raise

    async def _answers(self, handle: Handle, said: list[Explanation | None]) -> Channel:
        """The agent's channel, once it answers; what there was to say meanwhile is added to ``said``."""
        async for facts in self._backend.watch(handle):
            said.append(explain(facts, spec=handle.spec))
            if facts.phase.ended:
                raise _unreachable(handle.spec.store, said, otherwise="its pod ended")
            if facts.agent_ready:
                break
        while True:
            try:
                channel = await self._backend.open(handle)
                await channel.state()
            except Unreachable:
                await asyncio.sleep(_RETRY)
            else:
                return channel

    async def close(self) -> None:
        """Let the pods go."""
        for handle, channel in self._pods.values():
            channel.close()
            await self._backend.forget(handle)
        self._pods.clear()


def _unreachable(store: str, said: list[Explanation | None], *, otherwise: str) -> StartFailed:
    last = said[-1] if said else None
    return StartFailed(
        f"The store {store} cannot be reached",
        why=last.sentence if last else otherwise,
        fix=last.fix if last else "",
    )


def spec_of(run: WorkloadSpec) -> WorkloadSpec:
    """A pod that has the store of ``run`` and nothing else of it: no GPU nor its nodes, no other volumes, no variables."""
    where = {key: value for key, value in run.placement.node_selector.items() if key.startswith(_PLATFORM)}
    return WorkloadSpec(
        id=secrets.token_hex(6),
        kind=Kind.STORE,
        name="store",
        owner=run.owner,
        image=run.image,
        python=run.python,
        resources=Resources(gpus=Gpus(0), cpus=0.05),
        placement=replace(run.placement, node_selector=where, secrets=(), price=None, currency=""),
        store=run.store,
        idle_limit=IDLE,
        orphan_limit=ALONE,
    )
