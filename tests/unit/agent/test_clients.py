"""What clients of a real agent may rely on: order, requests made twice, values, a journal that is read on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from pathlib import Path

import pytest

from gpu_workbench.core import events as e
from gpu_workbench.core.errors import Conflict, NotFound, Unreachable
from gpu_workbench.core.events import decode_entry
from gpu_workbench.core.model import Phase
from gpu_workbench.core.sealed import content_hash
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.core.wire import Json
from gpu_workbench.transport.tar import pack

from .harness import TOKEN, AgentProcess, agent, new_id

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


async def lost(agent_: AgentProcess, method: str, path: str, body: bytes | Json = b"") -> None:
    """Make a request whose reply is cut off on its way: it is done, and the client never hears of it."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = (
        f"{method} /v1/{path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    with await agent_.connect() as sock:
        await loop.sock_sendall(sock, head + content)
        assert await asyncio.wait_for(loop.sock_recv(sock, 1), 20)


async def test_a_run_whose_reply_is_lost_runs_once(shared: AgentProcess) -> None:
    async with shared.client() as client:
        await client.run("hits = 0")
        spec = RunSpec(id=new_id(), cell="hits += 1")
        await lost(shared, "PUT", f"runs/{spec.id}", {"id": spec.id, "cell": spec.cell})
        await client.channel.put_run(spec)
        await client.event(e.RunEnded, run=spec.id)
        assert (await client.run("assert hits == 1")).phase is Phase.SUCCEEDED


async def test_an_interrupt_whose_reply_is_lost_is_heard_once(shared: AgentProcess) -> None:
    cell = """
import time
hits = 0
try:
    print('go', flush=True)
    time.sleep(60)
except KeyboardInterrupt: hits += 1
input('saving')
"""
    async with shared.client() as client:
        run = await client.submit(cell)
        await client.started(run)
        await lost(shared, "POST", f"runs/{run}/interrupt", {"grade": 1})
        assert await client.channel.interrupt(run, grade=1) == {"was": "running"}
        asked = await client.event(e.InputRequested, run=run)
        await client.channel.answer(run, request=asked.request, value="")
        assert (await client.event(e.RunEnded, run=run)).phase is Phase.SUCCEEDED
        assert (await client.run("assert hits == 1")).phase is Phase.SUCCEEDED


async def test_a_restart_whose_reply_is_lost_happens_once(shared: AgentProcess) -> None:
    async with shared.client() as client:
        run = await client.submit("import time; print('go', flush=True); time.sleep(60)")
        await client.started(run)
        await lost(shared, "POST", f"runs/{run}/interrupt", {"grade": 2})
        with contextlib.suppress(Conflict):  # it may be over by now
            await client.channel.interrupt(run, grade=2)
        assert (await client.run("1")).phase is Phase.SUCCEEDED
        assert len(client.events(e.PayloadRestarted)) == 1


async def test_an_answer_whose_reply_is_lost_answers_no_second_question(shared: AgentProcess) -> None:
    async with shared.client() as client:
        run = await client.submit("said = [input('first '), input('second ')]")
        first = await client.event(e.InputRequested, run=run, prompt="first ")
        await lost(shared, "POST", f"runs/{run}/input", {"request": first.request, "value": "one"})
        with pytest.raises(Conflict):  # which is as good as done
            await client.channel.answer(run, request=first.request, value="one")
        second = await client.event(e.InputRequested, run=run, prompt="second ")
        with pytest.raises(Conflict):
            await client.channel.answer(run, request=first.request, value="one")
        await client.channel.answer(run, request=second.request, value="two")
        await client.event(e.RunEnded, run=run)
        assert (await client.run("assert said == ['one', 'two']")).phase is Phase.SUCCEEDED
        assert [event.request for event in client.events(e.InputAnswered)] == [first.request, second.request]


async def test_files_whose_reply_is_lost_are_laid_out_once(shared: AgentProcess) -> None:
    work, content = shared.folder / "work", b"1,2"
    (work / "gone.csv").write_bytes(b"old")
    entry: Json = {"hash": content_hash(content), "mode": 0o100644, "size": len(content)}
    manifest: dict[str, Json] = {"files": {"lost.csv": entry}, "remove": ["gone.csv"]}
    async with shared.client() as client:
        await lost(shared, "PUT", f"files/{content_hash(content)}", content)
        assert await client.channel.missing_files(manifest) == []
        await client.channel.put_file(content_hash(content), content)
        await lost(shared, "POST", "files/commit", manifest)
        (work / "lost.csv").write_bytes(b"the session's own by now")
        await client.channel.commit_files(manifest)
        assert (work / "lost.csv").read_bytes() == b"the session's own by now"
        assert not (work / "gone.csv").exists()


async def test_a_copy_whose_reply_is_lost_is_there_once(shared: AgentProcess, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x").write_text("x")
    packed = pack(tmp_path / "folder")
    async with shared.client() as client:
        await lost(shared, "PUT", "archive?path=lost-copy&name=folder", b"".join(packed.chunks()))
        await client.channel.put_archive(
            "lost-copy", name="folder", file=False, chunks=packed.chunks(), length=packed.length
        )
    found = shared.folder / "work" / "lost-copy"
    assert [path.name for path in found.rglob("*")] == ["x"]


async def test_a_stop_whose_reply_is_lost_stops_once_and_keeping_twice_keeps_no_longer(
    tmp_path: Path,
) -> None:
    with agent(tmp_path) as made:
        async with made.client(after="") as client:
            await client.up()
            before = (await client.channel.state())["now"]
            assert isinstance(before, float)
            await lost(made, "POST", "keep", {"seconds": 10_000})
            ends_at = (await client.channel.keep(10_000))["ends_at"]
            now = (await client.channel.state())["now"]
            assert isinstance(ends_at, float)
            assert isinstance(now, float)
            assert before + 9_999 < ends_at < now + 10_001
            await lost(made, "POST", "stop", {"reason": "enough"})
            with contextlib.suppress(Unreachable):  # it may be gone by now
                await client.channel.stop("again")
            await client.closed()
            assert [event.reason for event in client.events(e.StopBegan)] == ["enough"]
        assert made.wait() == 0
    assert (made.record["outcome"], made.record["reason"]) == ("Stopped", "enough")


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


HELD = """
import gc
held = sum(type(it) is list and len(it) == 2 and type(it[0]) is str and it[0] == 'sent' for it in gc.get_objects())
"""
"""How many lists that begin with "sent" a kernel holds."""


async def test_what_was_sent_for_a_run_that_is_taken_out_of_the_queue_is_held_no_longer(
    shared: AgentProcess,
) -> None:
    async with shared.client() as client:
        running = await client.submit("while True: pass")
        await client.event(e.RunStarted, run=running)
        queued = new_id()
        await client.put("staged", ["sent", 1], run=queued)
        await client.submit("staged", id=queued)
        await client.channel.interrupt(queued, grade=1)
        await client.event(e.RunEnded, run=queued)
        await client.channel.interrupt(running, grade=1)
        assert (await client.run(HELD, out=("held",))).phase is Phase.SUCCEEDED
        assert await client.get("held") == 0


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
