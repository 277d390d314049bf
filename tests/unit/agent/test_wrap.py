"""The agent around a Dask scheduler: how that ends, what it says and is told. SIMULATED: small programs in its place."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench.agent.children import Children
from gpu_workbench.agent.exits import no_scheduler
from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.kernel import KernelDied
from gpu_workbench.agent.runs import Runs
from gpu_workbench.agent.wrap import Wrapped
from gpu_workbench.core import events as e
from gpu_workbench.core.model import Cause, DaskState, Failure, Phase
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.transport.server import HttpError
from tests.unit.agent.harness import LONG, alive, eventually

CONNECT = """
import json, os, signal, socket, subprocess, sys, threading, time
def connect():
    made = socket.socket(socket.AF_UNIX)
    made.connect(os.environ["GPU_WORKBENCH_DASK_SOCKET"])
    return made
def say(made, *lines):
    for line in lines:
        made.sendall(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\\n")
def wait():
    threading.Event().wait()
"""
SPEAKS = CONNECT + "spoken = connect()\nsay(spoken, {'clients': 1})\n"
STOPPED = Failure(Cause.STOPPED, "it was stopped")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short one: a Unix socket's path has 107 characters at most."""
    made = Path(tempfile.mkdtemp(prefix="gwb-"))
    yield made
    shutil.rmtree(made)


@dataclass
class World:
    """An agent's parts around one program."""

    wrapped: Wrapped
    events: list[e.Event] = field(default_factory=list)
    now: float = 100.0

    def states(self) -> list[DaskState]:
        return [event.state for event in self.events if isinstance(event, e.DaskSampled)]


Wrap = Callable[[str], World]


@pytest.fixture
async def wrap(folder: Path) -> AsyncIterator[Wrap]:
    made: list[World] = []

    def make(program: str) -> World:
        journal = Journal(folder / "journal", rank=0, epoch="e", clock=lambda: 0.0, limit=2**20)

        def clock() -> float:
            return made[0].now

        wrapped = Wrapped(
            command=[sys.executable, "-c", program],
            folder=folder,
            work_dir=folder,
            env=dict(os.environ),
            journal=journal,
            runs=Runs(journal=journal, clock=clock, devices=tuple),
            children=Children(),
            clock=clock,
        )
        made.append(World(wrapped))
        journal.listen(lambda entry: made[0].events.append(entry.event))
        return made[0]

    yield make
    for one in made:
        await one.wrapped.stop(Phase.STOPPED, STOPPED, patience=0.1)


async def start(world: World) -> None:
    await asyncio.wait_for(world.wrapped.start(), LONG)


async def ended(world: World) -> int:
    return await asyncio.wait_for(asyncio.shield(world.wrapped.ended), LONG)


# --- How it ends


@pytest.mark.parametrize(
    ("program", "code", "what"),
    [
        ("raise SystemExit(3)", 3, "The Dask scheduler ended with exit code 3"),
        ("import os; os.kill(os.getpid(), 6)", -6, "The Dask scheduler was killed by SIGABRT"),
        ("import distributed_nosuch", 1, "This image has no Dask"),
    ],
)
async def test_one_that_dies_before_it_speaks_is_reported_with_its_last_words(
    wrap: Wrap, program: str, code: int, what: str
) -> None:
    world = wrap(f"print('last words', flush=True)\n{program}")
    with pytest.raises(KernelDied) as caught:
        await start(world)
    assert caught.value.code == code
    assert caught.value.tail.startswith("last words")
    failure = no_scheduler(caught.value.code, tail=caught.value.tail)
    assert failure.what.startswith(what)
    assert "last words" in failure.detail
    assert world.events == []


async def test_of_a_long_output_the_end_is_kept(wrap: Wrap) -> None:
    world = wrap(
        "import sys\nfor n in range(50_000): print(n)\nsys.stderr.write('the very last')\nsys.exit(1)"
    )
    with pytest.raises(KernelDied) as caught:
        await start(world)
    assert caught.value.tail.endswith("49998\n49999\nthe very last")
    assert len(caught.value.tail) == 4000


@pytest.mark.parametrize(("how", "code"), [("sys.exit(7)", 7), ("os.kill(os.getpid(), signal.SIGSEGV)", -11)])
async def test_one_that_dies_later_has_ended_with_its_code(wrap: Wrap, how: str, code: int) -> None:
    world = wrap(f"{SPEAKS}sys.stdin.readline()\nprint('what went wrong', flush=True)\n{how}")
    await start(world)
    assert [type(event) for event in world.events] == [e.DaskSampled, e.RankStarted]
    world.wrapped.order(go=True)
    assert await ended(world) == code
    assert "what went wrong" in world.wrapped.tail()


async def test_one_that_ignores_sigterm_is_killed_with_all_that_it_started(wrap: Wrap) -> None:
    world = wrap(
        f"{CONNECT}signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import threading; threading.Event().wait()'])\n"
        "spoken = connect()\nsay(spoken, {'moved': child.pid})\nwait()"
    )
    await start(world)
    child = world.wrapped.state.moved
    assert alive(child)
    await world.wrapped.stop(Phase.STOPPED, STOPPED, patience=0.2)
    assert await ended(world) == -signal.SIGKILL
    await eventually(lambda: not alive(child))


async def test_one_that_minds_sigterm_ends_in_good_order(wrap: Wrap) -> None:
    world = wrap(
        f"{CONNECT}signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\nspoken = connect()\nsay(spoken, {{}})\nwait()"
    )
    await start(world)
    await world.wrapped.stop(Phase.STOPPED, STOPPED, patience=LONG)
    assert await ended(world) == 5
    world.wrapped.order(scale=3)  # nobody is there to take it, and that is no error
    world.wrapped.tell(shrink="cpu")


async def test_workers_that_outlive_it_are_killed(wrap: Wrap) -> None:
    world = wrap(
        f"{CONNECT}child = subprocess.Popen([sys.executable, '-c', 'import threading; threading.Event().wait()'])\n"
        "spoken = connect()\nsay(spoken, {'moved': child.pid})\nsys.stdin.readline()"
    )
    await start(world)
    world.wrapped.order(go=True)
    assert await ended(world) == 0
    await eventually(lambda: not alive(world.wrapped.state.moved))


# --- What it says


async def test_what_cannot_be_read_is_passed_over(wrap: Wrap) -> None:
    lines: list[object] = [[], 3, None, "text", {"workers": 3}, {"tasks": {"done": "many"}}]
    world = wrap(
        f"{CONNECT}spoken = connect()\nsay(spoken, b'no JSON' + bytes([10]), b'\\xff' + bytes([10]), *{lines})\n"
        "say(spoken, {'clients': 2})\nwait()"
    )
    await start(world)
    assert world.states() == [DaskState(clients=2)]
    assert world.wrapped.state == DaskState(clients=2)


async def test_a_line_without_an_end_closes_the_connection_and_the_next_one_is_heard(
    wrap: Wrap, caplog: pytest.LogCaptureFixture
) -> None:
    world = wrap(
        f"{CONNECT}spoken = connect()\n"
        "try:\n    say(spoken, b'x' * 10_000_000)\n    spoken.recv(1000); spoken.recv(1)\nexcept OSError:\n    pass\n"
        "again = connect()\nsay(again, {'clients': 3})\nwait()"
    )
    await start(world)
    assert world.wrapped.state.clients == 3
    assert caplog.records == []


async def test_since_when_it_is_idle_is_told_in_the_agents_seconds(wrap: Wrap) -> None:
    world = wrap(f"{CONNECT}spoken = connect()\nsay(spoken, {{'idle_since': time.time() - 30}})\nwait()")
    await start(world)
    assert world.wrapped.state.idle_since == pytest.approx(67.5, abs=2.5)


# --- What it is told


@pytest.fixture
async def speaks(wrap: Wrap) -> World:
    """One that has spoken."""
    world = wrap(f"{SPEAKS}wait()")
    await start(world)
    return world


@contextlib.asynccontextmanager
async def preload(folder: Path) -> AsyncIterator[Callable[[], Any]]:
    """A connection as the scheduler's preload makes it; gives the next thing that it is told."""
    reader, writer = await asyncio.open_unix_connection(str(folder / "dask"))

    async def told() -> Any:
        return json.loads(await asyncio.wait_for(reader.readline(), LONG))

    yield told
    writer.close()


async def test_what_is_to_be_minded_is_said_again_to_a_new_connection_and_what_was_for_once_is_not(
    speaks: World, folder: Path
) -> None:
    async with preload(folder) as told:
        assert await told() == {"idle_since": None}
        speaks.wrapped.tell(idle_since=5)
        speaks.wrapped.tell(shrink="cpu")
        assert [await told(), await told()] == [{"idle_since": 5}, {"shrink": "cpu"}]
    async with preload(folder) as told:
        assert await told() == {"idle_since": 5}
        speaks.wrapped.tell(idle_since=None)
        assert await told() == {"idle_since": None}


async def test_who_ends_idle_clusters_is_told_since_when_by_the_wall_clock_and_only_what_is_new(
    speaks: World, folder: Path
) -> None:
    async with preload(folder) as told:
        await told()
        speaks.wrapped.of_no_use_since(None)  # it is not, as was said
        speaks.wrapped.of_no_use_since(40.0)
        (since,) = (await told()).values()
        assert since == pytest.approx(time.time() - 60, abs=5)
        speaks.now += time.time() - since - 60  # the clocks go on together
        speaks.wrapped.of_no_use_since(40.0)
        speaks.wrapped.of_no_use_since(None)
        assert await told() == {"idle_since": None}


async def test_an_order_comes_on_its_standard_input(wrap: Wrap) -> None:
    world = wrap(f"{SPEAKS}order = json.loads(sys.stdin.readline())\nsys.exit(order['scale'])")
    await start(world)
    world.wrapped.order(scale=4)
    assert await ended(world) == 4


async def test_it_runs_no_cells_and_says_what_it_is(speaks: World) -> None:
    with pytest.raises(HttpError, match="This workload is a Dask cluster and runs no cells"):
        speaks.wrapped.submit(RunSpec(id="r", cell="1"))
