"""The agents of other ranks that this one started: they are not to end before it does, nor to be left behind."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Callable, Sequence

from gpu_workbench.agent.children import Child, Children
from gpu_workbench.agent.exits import describe_death
from gpu_workbench.agent.ranks import Place
from gpu_workbench.transport.timing import within

PATIENCE = 5.0
"""Seconds that they are given to end."""


class Others:
    """Processes of agents on this machine.

    Args:
        place: The rank that started them.
        processes: In the order of their ranks.
        children: Looks after them.
    """

    def __init__(
        self, place: Place, processes: Sequence[subprocess.Popen[bytes]], *, children: Children
    ) -> None:
        self._children = children
        self._agents: dict[int, Child] = {
            rank: children.take(process) for rank, process in zip(place.others, processes, strict=True)
        }

    async def watch(self, lost: Callable[[str], None]) -> None:
        """Call ``lost``, with the reason, when the first of them is gone; until cancelled."""
        waiting = {
            asyncio.create_task(self._children.wait(agent)): rank for rank, agent in self._agents.items()
        }
        if not waiting:
            return
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            first = min(done, key=lambda task: waiting[task])
            code = first.result()
            how = describe_death(code, who="it").what if code < 0 else f"it ended with exit code {code}"
            lost(f"the agent of rank {waiting[first]} is gone: {how}")
        finally:
            for task in waiting:
                task.cancel()

    def signal(self, number: signal.Signals) -> None:
        """Pass a signal on."""
        for agent in self._agents.values():
            agent.signal(number)

    async def end(self) -> None:
        """See to it that they are gone."""
        self.signal(signal.SIGTERM)
        for agent in self._agents.values():
            try:
                await within(agent.wait(), PATIENCE)
            except asyncio.TimeoutError:
                agent.signal(signal.SIGKILL)
