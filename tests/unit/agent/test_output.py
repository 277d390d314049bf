"""What a user relies on when cells run in a session, against a real agent with a real kernel: output and how a cell ends."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from gpu_workbench.agent.inkernel.outputs import MESSAGES_LIMIT
from gpu_workbench.core import events as e
from gpu_workbench.core.model import Cause, Phase

from .harness import AgentProcess, resident

MB = 2**20


async def test_a_cell_shows_its_output_its_value_and_keeps_its_state(shared: AgentProcess) -> None:
    async with shared.client() as client:
        run = await client.submit("x = 41\nprint('hello')\nx + 1", magic="%%gpu --out x", count=7, out=("x",))
        end = await client.event(e.RunEnded, run=run)
        assert end.phase is Phase.SUCCEEDED
        assert client.text(run) == "hello\n"
        shown = await client.event(e.OutputWritten, run=run, message="execute_result")
        assert shown.content["data"]["text/plain"] == "42"  # type: ignore[index,call-overload]
        assert shown.content["execution_count"] == 7
        assert await client.get("x", run=run) == 41
        assert (await client.event(e.NamesBound, run=run)).names["x"].type == "int"
        assert (await client.run("assert x == 41")).phase is Phase.SUCCEEDED


async def test_a_traceback_has_the_notebooks_line_numbers(shared: AgentProcess) -> None:
    async with shared.client() as client:
        end = await client.run("a = 1\n1/0", magic="%%gpu")
        assert end.phase is Phase.FAILED
        assert end.failure is not None
        assert end.failure.cause is Cause.USER_ERROR
        assert end.failure.what == "ZeroDivisionError: division by zero"
        assert "----> 3 1/0" in _plain(end.failure.detail)
        syntax = await client.run("def f(:")
        assert syntax.failure is not None
        assert syntax.failure.cause is Cause.SYNTAX_ERROR


def _plain(text: str) -> str:
    parts = text.split("\x1b[")
    return parts[0] + "".join(part.partition("m")[2] for part in parts[1:])


# output


async def test_no_line_is_lost_while_the_agent_is_stopped(shared: AgentProcess) -> None:
    lines = 10_000
    async with shared.client() as client:
        run = await client.submit(
            f"print('go', flush=True)\nfor i in range({lines}): print(i, 'x' * 40, flush=True)"
        )
        await client.started(run)
        kernel = shared.kernel_pid()
        before = resident(kernel)
        shared.process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(10)
            grown = resident(kernel) - before
        finally:
            shared.process.send_signal(signal.SIGCONT)
        end = await client.event(e.RunEnded, run=run)
        assert end.phase is Phase.SUCCEEDED
        expected = "go\n" + "".join(f"{i} {'x' * 40}\n" for i in range(lines))
        assert client.text(run) == expected
        assert grown < 64 * MB


async def test_ten_megabytes_on_one_line(shared: AgentProcess) -> None:
    async with shared.client() as client:
        before = shared.resident
        run = await client.submit("print('y' * 10_000_000)")
        await client.event(e.RunEnded, run=run)
        assert client.text(run) == "y" * 10_000_000 + "\n"
        assert shared.resident - before < 96 * MB


async def test_a_million_lines_in_order_and_bounded_memory(shared: AgentProcess) -> None:
    async with shared.client() as client:
        before = shared.resident
        run = await client.submit("for i in range(1_000_000): print(i)")
        end = await client.event(e.RunEnded, 110, run=run)
        assert end.phase is Phase.SUCCEEDED
        assert client.text(run) == "".join(f"{i}\n" for i in range(1_000_000))
        assert shared.resident - before < 64 * MB
        assert resident(shared.kernel_pid()) < 400 * MB


async def test_rubbish_on_the_descriptor_and_what_children_print_is_text(shared: AgentProcess) -> None:
    cell = (
        "import os, sys, subprocess\n"
        "os.write(1, bytes(range(256)) * 500)\n"
        "os.write(1, b'\\n')\n"
        "subprocess.run([sys.executable, '-c', 'print(\"é€\" * 100000)'])"
    )
    async with shared.client() as client:
        run = await client.submit(cell)
        end = await client.event(e.RunEnded, run=run)
        assert end.phase is Phase.SUCCEEDED
        out = client.text(run)
        assert "\ufffd" in out
        assert "é€" * 100_000 in out


async def test_half_of_a_surrogate_pair_loses_no_line(shared: AgentProcess) -> None:
    async with shared.client() as client:
        run = await client.submit("print('first'); print('\\udcff ü'); print('last')")
        assert (await client.event(e.RunEnded, run=run)).phase is Phase.SUCCEEDED
        assert client.text(run) == "first\n\\udcff ü\nlast\n"


async def test_bars_and_errors_side_by_side(shared: AgentProcess) -> None:
    cell = (
        "import sys\n"
        "print('\\r 10%', end='', flush=True); print('\\r 20%', flush=True)\n"
        "for i in range(100):\n"
        "    print('out', i, flush=True); print('err', i, file=sys.stderr, flush=True)"
    )
    async with shared.client() as client:
        run = await client.submit(cell)
        end = await client.event(e.RunEnded, run=run)
        assert end.phase is Phase.SUCCEEDED
        lines = "".join(f"out {i}\n" for i in range(100))
        assert client.text(run) == "\r 10%\r 20%\n" + lines
        assert client.text(run, "stderr") == "".join(f"err {i}\n" for i in range(100))


async def test_bars_and_widgets_are_text(shared: AgentProcess) -> None:
    pytest.importorskip("ipywidgets")
    cell = (
        "from tqdm.auto import tqdm, trange\nfrom tqdm.notebook import tqdm as other\nimport ipywidgets\n"
        "for _ in tqdm(range(3), desc='epochs'): pass\n"
        "for _ in other(range(2), desc='epochs'): pass\n"
        "ipywidgets.IntSlider(7)"
    )
    async with shared.client() as client:
        run = await client.submit(cell)
        end = await client.event(e.RunEnded, run=run)
        assert end.phase is Phase.SUCCEEDED, end.failure
        bar = client.text(run, "stderr")
        assert "epochs: 100%" in bar
        assert "2/2" in bar
        assert not client.events(e.OutputWritten, message="display_data")
        (box,) = client.events(e.OutputWritten, message="execute_result")
        data = box.content["data"]
        assert isinstance(data, dict)
        assert "IntSlider" in str(data["text/plain"])
        assert "application/vnd.jupyter.widget-view+json" not in data
        progress = (await client.event(e.ProgressMoved, run=run)).progress
        assert progress.label == "epochs"


async def test_children_of_a_cell_may_print_and_outlive_it(shared: AgentProcess) -> None:
    cell = (
        "import os, subprocess\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    print('child', flush=True); os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "print('parent')\n"
        "p = subprocess.Popen(['sh', '-c', 'sleep 1; echo late'])"
    )
    async with shared.client() as client:
        run = await client.submit(cell)
        end = await client.event(e.RunEnded, run=run)
        assert end.phase is Phase.SUCCEEDED, end.failure
        assert "parent\n" in client.text(run)
        await client.until(lambda: "late\n" in client.text(run))
        assert (await client.run("assert p.wait() == 0")).phase is Phase.SUCCEEDED


# the end of a process


async def test_a_cell_that_ends_its_process_says_so_and_keeps_its_output(shared: AgentProcess) -> None:
    cell = "import os\nkept = 1\nfor i in range(5_000): print(i, flush=True)\nos._exit(3)"
    async with shared.client() as client:
        run = await client.submit(cell)
        after = await client.submit("'kept' in globals()")
        end = await client.event(e.RunEnded, run=run)
        assert end.phase is Phase.FAILED
        assert end.failure is not None
        assert end.failure.cause is Cause.EXITED
        assert end.failure.exit_code == 3
        written = "".join(f"{i}\n" for i in range(5_000))
        assert written.startswith(client.text(run))
        assert (
            len(client.text(run).splitlines()) > 5_000 - 2 * MESSAGES_LIMIT
        )  # what ZeroMQ held dies with it
        restarted = await client.event(e.PayloadRestarted)
        assert "exit code 3" in restarted.reason
        assert (await client.event(e.RunEnded, run=after)).phase is Phase.SUCCEEDED
        shown = await client.event(e.OutputWritten, run=after, message="execute_result")
        assert shown.content["data"] == {"text/plain": "False"}


async def test_a_kernel_that_is_killed_between_cells_is_replaced_at_once(shared: AgentProcess) -> None:
    async with shared.client() as client:
        await client.run("1")  # it is up
        generation = (await client.channel.state())["generation"]
        os.kill(shared.kernel_pid(), signal.SIGKILL)
        restarted = await client.event(e.PayloadRestarted)
        assert restarted.generation == int(str(generation)) + 1
        assert "SIGKILL" in restarted.reason
        await client.event(e.RankStarted)
        assert (await client.run("1")).phase is Phase.SUCCEEDED


async def test_a_cell_that_closes_its_own_stdout_ends_with_a_true_status(shared: AgentProcess) -> None:
    async with shared.client() as client:
        run = await client.submit("import os, sys; print('before'); sys.stdout.close(); print('after')")
        assert (await client.event(e.RunEnded, run=run)).phase is Phase.SUCCEEDED
        assert client.text(run) == "before\nafter\n"
        assert (await client.run("1/0")).phase is Phase.FAILED
        assert (await client.run("os.close(1); os.close(2)")).phase is Phase.SUCCEEDED
        assert (await client.run("1")).phase is Phase.SUCCEEDED
        run = await client.submit("print('go', file=sys.stderr); import time; time.sleep(60)")
        await client.event(e.RunStarted, run=run)
        await client.channel.interrupt(run, grade=2)  # and with a new process all is well
        assert (await client.event(e.RunEnded, run=run)).phase is Phase.STOPPED
        again = await client.submit("print('well')")
        end = await client.event(e.RunEnded, run=again)
        assert end.phase is Phase.SUCCEEDED, end.failure
        assert client.text(again) == "well\n", [type(entry.event).__name__ for entry in client.entries]
