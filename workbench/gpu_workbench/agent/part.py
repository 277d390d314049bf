"""What the ranks of a gang do of one run: whose part of it is not over, and whose has failed."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

from gpu_workbench.core.model import Cause, Failure, Phase, Receipt


class Part:
    """What the ranks do of the run that executes.

    Args:
        run: Its id.
        ranks: Those that take part, the head's own included.
    """

    def __init__(self, run: str, ranks: frozenset[int]) -> None:
        self.run = run
        self.open = set(ranks)
        self.failures: list[Failure] = []
        self.stopped: Failure | None = None
        self.receipts: list[Receipt] = []
        """What other ranks used for it."""
        self.news = asyncio.Event()
        self.disrupted = ""
        """Why it is to begin again with all ranks; empty where it is not."""

    def close(self) -> None:
        """No rank is waited for any more."""
        self.open.clear()
        self.news.set()

    def ended(self, rank: int, phase: Phase, failure: Failure | None) -> None:
        """A rank's part is over."""
        self.open.discard(rank)
        if phase is Phase.FAILED or phase is Phase.LOST:
            self.failures.append(replace(failure or Failure(Cause.LOST, "It failed"), rank=rank))
        elif phase is Phase.STOPPED:
            self.stopped = self.stopped or failure
        self.news.set()

    async def until(self, limit: float | None = None) -> bool:
        """Wait until every rank's part is over, at most so many seconds; whether it is."""
        end = None if limit is None else asyncio.get_running_loop().time() + limit
        while self.open:
            left = None if end is None else end - asyncio.get_running_loop().time()
            if left is not None and left <= 0:
                return False
            self.news.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.news.wait(), left)
        return True

    async def failed(self) -> None:
        """Wait until a rank has failed."""
        while not self.failures:
            self.news.clear()
            await self.news.wait()
