"""What a user relies on when cells run in a session, against a real agent with a real kernel."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

import pytest

from gpu_workbench.agent.inkernel.outputs import MESSAGES_LIMIT
from gpu_workbench.core import events as e
from gpu_workbench.core.errors import Conflict, NotFound, PermissionDenied, TooLarge
from gpu_workbench.core.events import decode_entry
from gpu_workbench.core.model import Cause, Phase
from gpu_workbench.core.spec import RunSpec

from .harness import AgentProcess, agent, alive, eventually, new_id, resident

BLOCKED = """
import ctypes, os, signal
signal.siginterrupt(signal.SIGINT, False)
pipe, buffer = os.pipe(), ctypes.create_string_buffer(1)
print('go', flush=True)
ctypes.CDLL(None).read(pipe[0], buffer, 1)
"""
"""A cell that sits in C code which goes on after a signal: Python's own handler never gets its turn."""

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
        assert (await client.run("import os, sys; sys.stdout.close()")).phase is Phase.SUCCEEDED
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


# interrupts


async def test_interrupt_once_keeps_the_state(shared: AgentProcess) -> None:
    async with shared.client() as client:
        await client.run("kept = 5")
        run = await client.submit("import time; print('go', flush=True); time.sleep(60)")
        await client.started(run)
        await client.channel.interrupt(run, grade=1)
        end = await client.event(e.RunEnded, 20, run=run)
        assert end.phase is Phase.STOPPED
        assert end.failure is not None
        assert end.failure.cause is Cause.INTERRUPTED
        assert (await client.run("assert kept == 5")).phase is Phase.SUCCEEDED


async def test_three_interrupts_within_a_second_are_no_more_than_one(shared: AgentProcess) -> None:
    async with shared.client() as client:
        cell = (
            "import time\nhits = 0\nprint('go', flush=True)\n"
            "try: time.sleep(60)\nexcept KeyboardInterrupt: hits += 1; raise"
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


# several clients, lost replies


async def test_two_clients_run_one_at_a_time_first_come_and_see_each_other(shared: AgentProcess) -> None:
    async with shared.client() as one, shared.client() as two:
        first = await one.submit("print('go', flush=True); input('wait')")
        await one.started(first)
        answer = await two.channel.put_run(RunSpec(id=(second := new_id()), cell="print('two')"))
        third = await one.submit("print('three')")
        assert answer["ahead"] == [first]
        assert (await one.event(e.RunQueued, run=third)).ahead == (first, second)
        asked = await two.event(e.InputRequested, run=first)
        await two.channel.answer(first, request=asked.request, value="on")
        for client in (one, two):
            await client.event(e.RunEnded, run=third)
            order = [event.run for event in client.events(e.RunStarted)]
            assert order == [first, second, third]
            assert client.text(second) == "two\n"


async def test_the_same_id_again_runs_nothing_twice(shared: AgentProcess) -> None:
    async with shared.client() as client:
        await client.run("count = 0")
        spec = RunSpec(id=new_id(), cell="count += 1; print('go', flush=True); input()")
        await client.channel.put_run(spec)
        await client.started(spec.id)
        again = await client.channel.put_run(spec)
        assert (again["place"], again["phase"]) == (0, "Running")
        asked = await client.event(e.InputRequested, run=spec.id)
        await client.channel.answer(spec.id, request=asked.request, value="")
        await client.event(e.RunEnded, run=spec.id)
        assert (await client.channel.put_run(spec))["phase"] == "Succeeded"
        assert (await client.run("assert count == 1")).phase is Phase.SUCCEEDED
        assert len(client.events(e.RunStarted)) == 3


async def test_a_request_whose_reply_is_lost_can_be_made_again(shared: AgentProcess) -> None:
    async with shared.client() as client:
        await client.run("hits = 0")
        spec = RunSpec(id=new_id(), cell="hits += 1")
        body = b'{"id": "%s", "cell": "hits += 1"}' % spec.id.encode()
        head = (
            f"PUT /v1/runs/{spec.id} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer only-for-tests\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode()
        sock = await shared.connect()
        await asyncio.get_running_loop().sock_sendall(sock, head + body)
        sock.close()  # before any reply
        await client.event(e.RunEnded, run=spec.id)
        await client.channel.put_run(spec)
        assert (await client.run("assert hits == 1")).phase is Phase.SUCCEEDED


async def test_the_first_answer_to_input_wins(shared: AgentProcess) -> None:
    async with shared.client() as one, shared.client() as two:
        run = await one.submit("name = input('who? ')\nprint('hello', name)")
        asked = await one.event(e.InputRequested, run=run)
        assert asked.prompt == "who? "
        results = await asyncio.gather(
            one.channel.answer(run, request=asked.request, value="one"),
            two.channel.answer(run, request=asked.request, value="two"),
            return_exceptions=True,
        )
        assert [isinstance(result, Conflict) for result in results].count(True) == 1
        await one.event(e.RunEnded, run=run)
        winner = "one" if results[0] is None else "two"
        assert one.text(run) == f"hello {winner}\n"
        with pytest.raises(Conflict):
            await two.channel.answer(run, request=asked.request, value="late")


# values


async def test_values_are_bound_just_before_their_run(shared: AgentProcess) -> None:
    async with shared.client() as client:
        run = new_id()
        await client.put("staged", {"a": [1, 2.5, None]}, run=run)
        assert (await client.run("'staged' in globals()")).phase is Phase.SUCCEEDED
        await client.run("seen = staged['a']", id=run, out=("seen",))
        assert await client.get("seen", run=run) == [1, 2.5, None]
        with pytest.raises(Conflict):
            await client.put("staged", 1, run=run)
        await client.put("pushed", 5)
        assert await client.get("pushed") == 5


async def test_names_that_are_not_there_or_cannot_travel(shared: AgentProcess) -> None:
    async with shared.client() as client:
        await client.run("import threading; lock = threading.Lock()")
        with pytest.raises(NotFound):
            await client.get("no_such_name")
        with pytest.raises(Exception, match="lock"):
            await client.get("lock")
        assert (await client.run("1")).phase is Phase.SUCCEEDED


# the journal


async def test_reattach_after_a_cut_connection_is_complete_in_order_and_nothing_twice(
    shared: AgentProcess,
) -> None:
    lines = 5_000
    after = str((await shared.channel().state())["cursor"])
    run = new_id()
    await shared.channel().put_run(RunSpec(id=run, cell=f"for i in range({lines}): print(i, flush=True)"))
    entries: list[e.Entry] = []
    over = False
    for cut in itertools.count(1):
        socket_ = await shared.channel().journal_socket(after)
        for _ in range(cut):
            chunk = await socket_.receive()
            assert chunk is not None
            for line in chunk.splitlines():
                entry = decode_entry(line)
                assert entry is not None
                entries.append(entry)
            over = any(isinstance(entry.event, e.RunEnded) and entry.event.run == run for entry in entries)
            if over:
                break
        socket_._stream.close()  # as when a cable is pulled
        after = str(entries[-1].cursor)
        if over:
            break
    numbers = [entry.n for entry in entries]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    text = "".join(
        str(entry.event.content["text"])
        for entry in entries
        if isinstance(entry.event, e.OutputWritten) and entry.event.run == run
    )
    assert text == "".join(f"{i}\n" for i in range(lines))


async def test_an_unknown_epoch_is_said_and_everything_follows(shared: AgentProcess) -> None:
    socket_ = await shared.channel().journal_socket("anotherlife.12")
    first = await socket_.receive()
    assert first is not None
    assert b'"EpochChanged"' in first
    assert b'"anotherlife.12"' in first
    second = await socket_.receive()
    assert second is not None
    entry = decode_entry(second.splitlines()[0])
    assert entry is not None
    assert entry.n == 1 or isinstance(entry.event, e.JournalTruncated)
    await socket_.close()


# who may ask, and how much


async def test_without_the_token_nothing_is_answered(shared: AgentProcess) -> None:
    with pytest.raises(PermissionDenied):
        await shared.channel("wrong").state()
    for extra in ("", "authorization: Basic abc\r\n", "authorization: Bearer\r\n"):
        answer = await _raw(shared, f"GET /v1/state HTTP/1.1\r\nhost: a\r\n{extra}\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 401")
        assert b"gpu-workbench-version: 1" in answer.lower()


async def test_bodies_that_are_too_large_are_refused_unread(shared: AgentProcess) -> None:
    answer = await _raw(
        shared,
        b"POST /v1/stop HTTP/1.1\r\nhost: a\r\nauthorization: Bearer only-for-tests\r\n"
        b"content-length: 999999999999\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 413")
    with pytest.raises(TooLarge):
        await shared.channel().put_value("x", codec="bytes", length=2**50, chunks=[], run="r")


async def _raw(shared: AgentProcess, request: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with await shared.connect() as sock:
        await loop.sock_sendall(sock, request)
        return await asyncio.wait_for(loop.sock_recv(sock, 65536), 20)


async def test_a_thousand_connections_do_not_disturb_a_run(shared: AgentProcess) -> None:
    async with shared.client() as client:
        run = await client.submit("import time\nfor i in range(40): print(i, flush=True); time.sleep(0.05)")
        held: list[socket.socket] = []
        try:
            for number in range(1000):
                with_head = await shared.connect()
                held.append(with_head)
                if number % 2:
                    with_head.send(b"GET /v1/st")  # and no more
            end = await client.event(e.RunEnded, run=run)
        finally:
            for sock in held:
                sock.close()
        assert end.phase is Phase.SUCCEEDED
        assert end.receipt is not None
        assert end.receipt.seconds < 15
        assert client.text(run) == "".join(f"{i}\n" for i in range(40))
        assert shared.resident < 200 * MB
    await eventually(lambda: _answers(shared))


async def _answers(shared: AgentProcess) -> bool:
    try:
        return bool(await shared.channel().state())
    except Exception:
        return False


# the end of an agent


@pytest.mark.skipif(sys.platform != "linux", reason="a Linux kernel sends the signal")
async def test_the_kernel_dies_with_its_agent_and_paths_may_be_long(tmp_path: Path) -> None:
    long = tmp_path / ("a-folder-with-a-long-name-" * 5)
    with agent(tmp_path / "a", config={"state_dir": str(long)}) as made:
        async with made.client(after="") as client:
            await client.up()
            assert (await client.run("1")).phase is Phase.SUCCEEDED
            kernel = made.kernel_pid()
            made.process.kill()
            made.process.wait()
            await eventually(lambda: not alive(kernel), 10)


async def test_limits_end_a_session_that_nobody_uses_and_keep_postpones_that(tmp_path: Path) -> None:
    with agent(tmp_path, config={"idle_limit": 1.5, "orphan_limit": 900.0}) as made:
        async with made.client(after="") as client:
            assert "ends_at" in await client.channel.keep(30)
            await client.up()
            await client.event(e.LimitSet, limit="idle")  # it is idle once it takes runs, not before
            run = await client.submit("print('go', flush=True); input()")
            await client.started(run)
            await client.event(e.LimitSet, limit="none")
            asked = await client.event(e.InputRequested, run=run)
            await client.channel.answer(run, request=asked.request, value="")
            end = await client.event(e.RunEnded, run=run)
            assert end.phase is Phase.SUCCEEDED
            assert client.events(e.LimitSet, limit="idle")
            await client.channel.keep(0.1)
            stop = await client.event(e.StopBegan)
            assert stop.reason == "no cell ran for 2 s (idle limit)"
            await client.closed()
        assert made.wait() == 0
    assert made.record["outcome"] == "Stopped"
    assert "idle limit" in str(made.record["reason"])


async def test_stop_ends_a_running_cell_and_says_so(tmp_path: Path) -> None:
    with agent(tmp_path) as made:
        async with made.client(after="") as client:
            run = await client.submit("import time; print('go', flush=True); time.sleep(60)")
            waiting = await client.submit("1")
            await client.started(run)
            await client.channel.stop("enough")
            for name in (run, waiting):
                end = await client.event(e.RunEnded, 20, run=name)
                assert end.phase is Phase.STOPPED
                assert end.failure is not None
                assert end.failure.what == "enough"
            await client.event(e.RankEnded, phase=Phase.STOPPED)
        assert made.wait() == 0
    assert made.record["outcome"] == "Stopped"
    assert not (tmp_path / "state" / "k").exists()


@pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0 or not shutil.which("unshare"),
    reason="a process namespace needs root on Linux",
)
async def test_as_the_first_process_it_buries_orphans_and_no_child_of_its_own(tmp_path: Path) -> None:
    cell = """
import os, subprocess, time
def dead():
    found = 0
    for pid in filter(str.isdecimal, os.listdir('/proc')):
        with open(f'/proc/{pid}/stat') as file: fields = file.read().rpartition(')')[2].split()
        found += fields[0] == 'Z' and fields[1] == '1'
    return found
for _ in range(20): subprocess.run(['sh', '-c', 'sleep 0.05 & '])
end = time.monotonic() + 20
time.sleep(0.2)
while dead() and time.monotonic() < end: time.sleep(0.05)
assert os.getppid() == 1 and not dead()
"""
    wrapper = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    with agent(tmp_path, wrapper=wrapper) as made:
        async with made.client(after="") as client:
            await client.up()
            end = await client.run(cell)
            assert end.phase is Phase.SUCCEEDED, end.failure
            died = await client.run("os._exit(3)")
            assert died.failure is not None
            assert died.failure.exit_code == 3
            await client.channel.stop("enough")
            await client.event(e.RankEnded, phase=Phase.STOPPED)
        assert made.wait() == 0
