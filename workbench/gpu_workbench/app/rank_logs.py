"""What one rank of a gang has written, in batches, for whoever prints it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from gpu_workbench.app.logs import Logs, Remark
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.core.errors import NotFound
from gpu_workbench.core.events import Cursor, OutputWritten

_PAUSE = 0.5
"""Seconds between two looks at a rank that goes on."""


async def rank_outputs(
    subscription: Subscription, run: str, rank: int, *, follow: bool
) -> AsyncIterator[list[OutputWritten]]:
    """The output of a rank, in order; with ``follow`` until its workload, or the run, is over.

    Args:
        subscription: Of the workload.
        run: Which of its runs; all of them where it is empty.
        rank: Which rank.

    Raises:
        NotFound: there is no such rank.
    """
    if rank >= (ranks := subscription.handle.spec.world_size):
        raise NotFound(f"There is no rank {rank}", why=f"{subscription.handle.spec.name} has {ranks}")
    logs, cursor = Logs(), Cursor.START
    while True:
        going = follow and not _over(subscription, run)
        page = await logs.page(subscription, run, cursor, rank=rank)
        cursor = page.cursor
        said = [_written(subscription, piece.what) for piece in page.pieces]
        yield said
        if page.end or not (page.more or going):
            return
        if not page.more:
            await asyncio.sleep(_PAUSE)


def _over(subscription: Subscription, run: str) -> bool:
    if subscription.over:
        return True
    runs = [one for one in subscription.workload.runs.values() if run in ("", one.id)]
    return bool(runs) and all(one.phase.ended for one in runs)


def _written(subscription: Subscription, what: OutputWritten | Remark) -> OutputWritten:
    if isinstance(what, OutputWritten):
        return what
    return OutputWritten(subscription.handle.id, "stream", {"name": "stderr", "text": f"[{what.text}]\n"})
