"""Waiting with a limit, for every Python here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import TypeVar

from gpu_workbench.transport.streams import ByteStream

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


class TimedEvent:
    """An event that one coroutine waits for, with a limit: by a timer, where :func:`within` needs a task each time."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._is_set = False

    def set(self) -> None:
        """Let the waiting one go on."""
        self._is_set = True
        self._event.set()

    def clear(self) -> None:
        """Whoever waits from now on waits for the next time."""
        self._is_set = False
        self._event.clear()

    async def wait(self, seconds: float | None = None) -> bool:
        """Whether it was set; ``False`` after so many seconds, ``None`` for no limit."""
        timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self._event.set)
        try:
            await self._event.wait()
        finally:
            if timer is not None:
                timer.cancel()
        return self._is_set


class ClosedAfter:
    """Closes a stream that was waited on for too long; whoever reads from it then gets its end.

    A timer, where :func:`within` needs a task that it could cancel: for what happens with every request.

    Args:
        stream: The stream.
        seconds: How long it may take.
    """

    def __init__(self, stream: ByteStream, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds
        self.late = False
        """Whether it took too long."""

    def __enter__(self) -> ClosedAfter:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def _close(self) -> None:
        self.late = True
        self._stream.close()
