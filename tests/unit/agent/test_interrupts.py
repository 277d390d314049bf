"""The interrupt, against a real agent with a real kernel: what is stopped, and what is left as it was."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from gpu_workbench.core import events as e
from gpu_workbench.core.errors import Conflict
from gpu_workbench.core.model import Cause, Phase

from .harness import AgentProcess, Client

BLOCKED = """
import ctypes, os, signal
for number in (signal.SIGINT, signal.SIGURG): signal.siginterrupt(number, False)
pipe, buffer = os.pipe(), ctypes.create_string_buffer(1)
print('go', flush=True)
ctypes.CDLL(None).read(pipe[0], buffer, 1)
"""
"""A cell that sits in C code which goes on after a signal: Python's own handler never gets its turn."""


async def interrupted(client: Client, run: str) -> None:
    """Interrupt a run once, and see that this has ended it."""
    await client.channel.interrupt(run, grade=1)
    end = await client.event(e.RunEnded, 20, run=run)
    assert end.phase is Phase.STOPPED
    assert end.failure is not None
    assert end.failure.cause is Cause.INTERRUPTED


async def test_interrupt_once_keeps_the_state(shared: AgentProcess) -> None:
    async with shared.client() as client:
        await client.run("kept = 5")
        run = await client.submit("import time; print('go', flush=True); time.sleep(60)")
        await client.started(run)
        await interrupted(client, run)
        assert (await client.run("assert kept == 5")).phase is Phase.SUCCEEDED


async def test_three_interrupts_within_a_second_are_no_more_than_one(shared: AgentProcess) -> None:
    async with shared.client() as client:
        cell = (
            "import time\nhits = 0\n"
            "try: print('go', flush=True); time.sleep(60)\nexcept KeyboardInterrupt: hits += 1; raise"
        )
        run = await client.submit(cell)
        await client.started(run)
        results = await asyncio.gather(
            *(client.channel.interrupt(run, grade=1) for _ in range(3)), return_exceptions=True
        )
        assert all(isinstance(result, dict | Conflict) for result in results)
        assert (await client.event(e.RunEnded, 20, run=run)).phase is Phase.STOPPED
        assert (await client.run("assert hits == 1")).phase is Phase.SUCCEEDED


async def test_interrupt_reaches_the_programs_a_cell_has_started(shared: AgentProcess) -> None:
    async with shared.client() as client:
        run = await client.submit("import os; os.system('echo go; sleep 60')")
        await client.started(run)
        await client.channel.interrupt(run, grade=1)
        await client.event(e.RunEnded, 20, run=run)  # os.system shields Python itself from Ctrl-C


async def test_a_cell_blocked_in_c_is_ended_by_the_second_grade(shared: AgentProcess) -> None:
    async with shared.client() as client:
        run = await client.submit(BLOCKED)
        waiting = await client.submit("'buffer' in globals()")
        await client.started(run)
        await client.channel.interrupt(run, grade=1)
        with pytest.raises(AssertionError, match="did not happen"):
            await client.event(e.RunEnded, 0.5, run=run)
        answer = await client.channel.interrupt(run, grade=2)
        assert answer["restarting"] is True
        end = await client.event(e.RunEnded, 5, run=run)
        assert end.phase is Phase.STOPPED
        assert end.failure is not None
        assert "variables are gone" in end.failure.what
        await client.event(e.PayloadRestarted)
        assert (await client.event(e.RunEnded, run=waiting)).phase is Phase.SUCCEEDED
        shown = await client.event(e.OutputWritten, run=waiting, message="execute_result")
        assert shown.content["data"] == {"text/plain": "False"}


async def test_interrupt_while_queued_takes_only_that_run_out(shared: AgentProcess) -> None:
    async with shared.client() as client:
        running = await client.submit("import time; print('go', flush=True); time.sleep(60)")
        second, third = await client.submit("ran = 'second'"), await client.submit("ran = 'third'")
        await client.started(running)
        assert await client.channel.interrupt(second, grade=1) == {"was": "queued"}
        assert (await client.event(e.RunEnded, 5, run=second)).phase is Phase.STOPPED
        assert (await client.channel.state())["queue"] == [third]
        await client.channel.interrupt(running, grade=1)
        assert (await client.event(e.RunEnded, run=third)).phase is Phase.SUCCEEDED
        assert (await client.run("assert ran == 'third'")).phase is Phase.SUCCEEDED


async def test_an_interrupt_before_the_cell_begins_is_not_lost(shared: AgentProcess) -> None:
    async with shared.client() as client:
        for _ in range(10):
            run = await client.submit("import time; time.sleep(60)")
            await client.channel.interrupt(run, grade=1)
            assert (await client.event(e.RunEnded, 20, run=run)).phase is Phase.STOPPED


async def test_an_interrupt_racing_the_end_never_hits_the_next_cell(shared: AgentProcess) -> None:
    async with shared.client() as client:
        for attempt in range(50):
            cell = f"import time; time.sleep({0.002 * (attempt % 10)})"
            run = await client.submit(cell)
            following = await client.submit("for _ in range(100_000): pass\ndone = True")
            await client.event(e.RunStarted, run=run)
            await asyncio.sleep(0.001 * (attempt % 25))
            with contextlib.suppress(Conflict):  # it was over
                await client.channel.interrupt(run, grade=1)
            end = await client.event(e.RunEnded, 20, run=run)
            assert end.phase in (Phase.SUCCEEDED, Phase.STOPPED)
            assert (await client.event(e.RunEnded, 20, run=following)).phase is Phase.SUCCEEDED


async def test_an_interrupt_while_others_get_ready_for_the_cell_is_not_lost(shared: AgentProcess) -> None:
    """IPython swallows what is raised in its callbacks, a KeyboardInterrupt too."""
    async with shared.client() as client:
        await client.run(
            "import time\n"
            "def slow(info): print('go', flush=True); time.sleep(1)\n"
            "get_ipython().events.register('pre_run_cell', slow)"
        )
        try:
            run = await client.submit("time.sleep(60)")
            await client.started(run)
            await interrupted(client, run)
        finally:
            await client.run("get_ipython().events.unregister('pre_run_cell', slow)")


async def test_a_cell_that_awaits_is_interrupted_at_once(shared: AgentProcess) -> None:
    async with shared.client() as client:
        await client.run("kept = 6")
        run = await client.submit("import asyncio; print('go', flush=True); await asyncio.sleep(60)")
        await client.started(run)
        await interrupted(client, run)
        assert (await client.run("assert kept == 6")).phase is Phase.SUCCEEDED


async def test_an_interrupt_that_another_thread_takes_ends_a_call_that_waits(shared: AgentProcess) -> None:
    """As one does that comes between two steps of Python, just before a call that waits."""
    cell = (
        "import signal, time\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
        "print('go', flush=True)\n"
        "try: time.sleep(60)\n"
        "finally: signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})"
    )
    async with shared.client() as client:
        run = await client.submit(cell)
        await client.started(run)
        await interrupted(client, run)
