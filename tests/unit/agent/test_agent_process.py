"""What a real agent refuses, what it bounds, and how it ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from gpu_workbench.core import events as e
from gpu_workbench.core.errors import PermissionDenied, TooLarge
from gpu_workbench.core.model import Phase
from gpu_workbench.transport.streams import ByteStream

from .harness import AgentProcess, agent, alive, eventually

MB = 2**20


# who may ask, and how much


async def test_without_the_token_nothing_is_answered(reached: AgentProcess) -> None:
    with pytest.raises(PermissionDenied):
        await reached.channel("wrong").state()
    for extra in ("", "authorization: Basic abc\r\n", "authorization: Bearer\r\n"):
        answer = await _raw(reached, f"GET /v1/state HTTP/1.1\r\nhost: a\r\n{extra}\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 401")
        assert b"gpu-workbench-version: 1" in answer.lower()


async def test_bodies_that_are_too_large_are_refused_unread(reached: AgentProcess) -> None:
    answer = await _raw(
        reached,
        b"POST /v1/stop HTTP/1.1\r\nhost: a\r\nauthorization: Bearer only-for-tests\r\n"
        b"content-length: 999999999999\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 413")
    with pytest.raises(TooLarge):
        await reached.channel().put_value("x", codec="bytes", length=2**50, chunks=[], run="r")


async def _raw(agent_: AgentProcess, request: bytes) -> bytes:
    stream = await agent_.stream()
    try:
        await stream.write(request)
        return await asyncio.wait_for(stream.read(), 20)
    finally:
        stream.close()


HALF_A_HEAD = b"GET /v1/st"
HALF_A_HANDSHAKE = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


async def test_a_thousand_connections_do_not_disturb_a_run(reached: AgentProcess) -> None:
    begun = HALF_A_HANDSHAKE if reached.port else HALF_A_HEAD
    async with reached.client() as client:
        run = await client.submit("import time\nfor i in range(40): print(i, flush=True); time.sleep(0.05)")
        held: list[socket.socket | ByteStream] = []
        try:
            for number in range(1000):
                if number % 20 == 0:
                    stream = await reached.stream()
                    held.append(stream)
                    await stream.write(HALF_A_HEAD)  # and no more
                    continue
                sock = await reached.connect()
                held.append(sock)
                if number % 2:
                    sock.send(begun)
            end = await client.event(e.RunEnded, run=run)
        finally:
            for one in held:
                one.close()
        assert end.phase is Phase.SUCCEEDED
        assert end.receipt is not None
        assert end.receipt.seconds < 15
        assert client.text(run) == "".join(f"{i}\n" for i in range(40))
        assert reached.resident < 200 * MB
    await eventually(lambda: _answers(reached))


async def _answers(agent_: AgentProcess) -> bool:
    try:
        return bool(await agent_.channel().state())
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


async def test_who_only_looks_keeps_no_session(tmp_path: Path) -> None:
    with agent(tmp_path, config={"idle_limit": 900.0, "orphan_limit": 1.0}) as made:
        seen = [b""]

        async def observe() -> None:
            async for chunk in made.channel().journal("", observer=True):
                seen.append(chunk)

        observing = asyncio.create_task(observe())
        async with made.client(after="") as client:
            await client.up()  # a session does not end while one is there
            await eventually(lambda: b"RankStarted" in b"".join(seen))
        await asyncio.wait_for(observing, 30)
        assert b"no notebook was connected and no cell ran for 1 s (orphan limit)" in b"".join(seen)


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
