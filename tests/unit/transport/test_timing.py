"""A wait with a limit never loses the cancellation of its caller."""

from __future__ import annotations

import asyncio

import pytest

from gpu_workbench.transport.timing import within


async def test_a_result_in_time_and_a_limit_that_is_reached() -> None:
    assert await within(asyncio.sleep(0, "done"), 5) == "done"
    with pytest.raises(asyncio.TimeoutError):
        await within(asyncio.Event().wait(), 0.01)


async def test_errors_are_the_works_own() -> None:
    async def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await within(fails(), 5)


async def test_a_cancellation_counts_though_the_work_is_done_at_the_same_moment() -> None:
    done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(within(done, 5))
    await asyncio.sleep(0)
    done.set_result("at the same moment")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_is_waited_for_ends_with_the_wait() -> None:
    ended = asyncio.Event()

    async def works() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(within(works(), 5))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait_for(ended.wait(), 1)
    with pytest.raises(asyncio.CancelledError):
        await waiting
