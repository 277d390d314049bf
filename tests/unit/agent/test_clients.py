"""What clients of a real agent may rely on: order, requests made twice, values, a journal that is read on."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from gpu_workbench.core import events as e
from gpu_workbench.core.errors import Conflict, NotFound
from gpu_workbench.core.events import decode_entry
from gpu_workbench.core.model import Phase
from gpu_workbench.core.spec import RunSpec

from .harness import AgentProcess, new_id

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
