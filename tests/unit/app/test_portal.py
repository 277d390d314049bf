"""What passes between a thread and the portal: nothing is lost when the thread is interrupted."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from gpu_workbench.app.portal import Portal, Pull


@pytest.fixture
def portal() -> Portal:
    return Portal()


async def numbers(count: int, *, pause: float = 0.0) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(pause)
        yield number


def test_an_interrupt_while_something_is_worked_on_comes_with_the_next_take(portal: Portal) -> None:
    done, interrupts = [], 0
    with Pull(portal, numbers(5)) as pull:
        while True:
            try:
                taken = pull.take()
                if taken is None:
                    break
                if taken[0] == 2:
                    os.kill(os.getpid(), signal.SIGINT)
                done.append(taken[0])
            except KeyboardInterrupt:
                interrupts += 1
                assert done == [0, 1, 2]
    assert (done, interrupts) == ([0, 1, 2, 3, 4], 1)


def test_interrupts_while_waiting_lose_nothing_and_repeat_nothing(portal: Portal) -> None:
    done: list[int] = []
    interrupts = 0
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.0037)
    try:
        with Pull(portal, numbers(300, pause=0.001)) as pull:
            while True:
                try:
                    taken = pull.take()
                    if taken is None:
                        break
                    done.append(taken[0])
                except KeyboardInterrupt:
                    interrupts += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert done == [*range(300)]
    assert interrupts > 10
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_breaks_out_of_whatever_holds_the_first(portal: Portal) -> None:
    with Pull(portal, numbers(2)) as pull:
        pull.take()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert pull.take() == (1,)


def test_the_portal_does_not_wait_for_itself(portal: Portal) -> None:
    async def nothing() -> None: ...

    async def within() -> None:
        portal.call(nothing)

    with pytest.raises(RuntimeError, match="cannot wait for itself"):
        portal.call(within)
