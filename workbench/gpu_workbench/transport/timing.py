"""Waiting with a limit, for every Python here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def within(work: Awaitable[T], seconds: float | None) -> T:
    """The result of ``work``, which is cancelled if it takes longer than ``seconds``; ``None`` for no limit.

    Before Python 3.12 ``asyncio.wait_for`` loses the cancellation of its caller where ``work`` is done at the same moment,
    and whoever was to end then goes on for ever.

    Raises:
        asyncio.TimeoutError: it took longer.
    """
    if seconds is None:
        return await work
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except BaseException:
        task.cancel()
        raise
    if not done:
        task.cancel()
        await asyncio.wait({task})
        if task.cancelled() or task.exception() is not None:
            raise asyncio.TimeoutError
    return task.result()
