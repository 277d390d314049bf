"""What the preload of a Dask scheduler tells of its cluster, and what it has the scheduler do: with real ones of Dask's."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from distributed import Client, Scheduler, Worker

from gpu_workbench.agent.indask import scheduler as preload
from gpu_workbench.agent.indask.scheduler import (
    ADDRESS,
    SOCKET,
    Watch,
)
from gpu_workbench.core.model import DaskState, DaskTasks
from gpu_workbench.core.wire import decode
from tests.unit.agent.harness import eventually
from tests.unit.agent.indask.reading import state_of, tasks_of

ID = "0123456789ab"


@dataclass
class Cluster:
    """A scheduler with the preload, two workers of one thread each, and a client."""

    scheduler: Any
    workers: list[Any]
    client: Any

    @property
    def watch(self) -> Watch:
        found: Watch = self.scheduler.plugins["gpu-workbench"]
        return found

    def look(self) -> DaskState:
        return state_of(self.watch.look())

    async def until_open(self, count: int) -> DaskTasks:
        """Wait until so many tasks are neither done nor failed."""
        await eventually(lambda: self.look().tasks.open == count)
        return self.look().tasks


@pytest.fixture
async def cluster(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    for variable in (ADDRESS, SOCKET):
        monkeypatch.delenv(variable, raising=False)
    here = {"protocol": "tcp", "host": "127.0.0.1", "dashboard": False}
    async with Scheduler(**here, port=0, dashboard_address="127.0.0.1:0") as scheduler:
        await preload.dask_setup(scheduler)
        names = (f"gwb-{ID}-default-worker-a", f"gwb-{ID}-cpu-worker-b")
        made = [Worker(scheduler.address, name=name, nthreads=1, host="127.0.0.1") for name in names]
        async with made[0], made[1], Client(scheduler.address, asynchronous=True) as client:
            yield Cluster(scheduler, made, client)


GATES: dict[int, threading.Event] = {}
_numbers = itertools.count()


def gate() -> int:
    """Holds tasks up that run in threads of this process."""
    number = next(_numbers)
    GATES[number] = threading.Event()
    return number


def held(number: int, gate: int) -> int:
    assert GATES[gate].wait(60)
    return number


def fails(number: int) -> None:
    raise ValueError(number)


async def test_the_counts_of_a_computation_begin_anew_with_the_next_one(cluster: Cluster) -> None:
    first, second = gate(), gate()
    futures = cluster.client.map(held, range(6), gate=first)
    tasks = await cluster.until_open(6)
    assert (tasks.done, tasks.total, tasks.groups) == (0, 6, {"held": (0, 6)})
    GATES[first].set()
    await cluster.client.gather(futures)
    tasks = cluster.look().tasks
    assert (tasks.done, tasks.open, tasks.groups) == (6, 0, {"held": (6, 6)})
    more = cluster.client.map(held, range(3), gate=second)
    tasks = await cluster.until_open(3)
    assert (tasks.done, tasks.total) == (0, 3), "the six before are another one's"
    GATES[second].set()
    await cluster.client.gather(more)
    assert cluster.look().tasks.done == 3


async def test_one_that_is_over_before_anybody_looks_is_counted_by_itself_too(cluster: Cluster) -> None:
    for count in (5, 2):
        await cluster.client.gather(cluster.client.map(str, range(count), pure=False))
        tasks = cluster.look().tasks
        assert (tasks.done, tasks.groups) == (count, {"str": (count, count)})


async def test_tasks_that_fail_and_tasks_that_no_worker_fits_are_told(cluster: Cluster) -> None:
    number = gate()
    hold = cluster.client.map(held, range(2), gate=number)
    await cluster.until_open(2)
    failing = cluster.client.map(fails, range(3))
    stuck = cluster.client.submit(held, 9, gate=number, resources={"moon": 1})
    await cluster.until_open(6)
    GATES[number].set()
    await cluster.client.gather([*failing, *hold], errors="skip")
    tasks = await cluster.until_open(1)
    assert (tasks.done, tasks.failed, tasks.stuck, tasks.waiting) == (2, 3, 1, 1)
    del stuck


async def test_a_worker_that_goes_unasked_is_lost_and_what_it_had_is_done_again(cluster: Cluster) -> None:
    number = gate()
    done = cluster.client.map(held, range(4), gate=number)
    GATES[number].set()
    await cluster.client.gather(done)
    going = next(iter(cluster.scheduler.workers.values()))
    had = len(going.has_what)
    assert had
    other = gate()
    open_ = cluster.client.map(held, range(100, 104), gate=other)
    await cluster.until_open(4)
    running = len(going.processing)
    (worker,) = [worker for worker in cluster.workers if worker.address == going.address]
    worker.batched_stream.comm.abort()  # as when its process is killed
    await eventually(lambda: going.address not in cluster.scheduler.workers)
    GATES[other].set()
    assert await cluster.client.gather([*done, *open_]) == [0, 1, 2, 3, 100, 101, 102, 103]
    state = cluster.look()
    assert (state.lost, state.tasks.retried) == (1, had + running)
    assert state.tasks.done == 4 + had, "what was done before is a part of this computation now"


async def test_what_is_done_again_counts_once(cluster: Cluster) -> None:
    first, other = gate(), gate()
    done = cluster.client.map(held, range(4), gate=first)
    open_ = cluster.client.map(held, range(100, 104), gate=other)
    GATES[first].set()
    await cluster.client.gather(done)
    going = next(iter(cluster.scheduler.workers.values()))
    assert going.has_what
    (worker,) = [worker for worker in cluster.workers if worker.address == going.address]
    worker.batched_stream.comm.abort()
    await eventually(lambda: going.address not in cluster.scheduler.workers)
    GATES[other].set()
    await cluster.client.gather([*done, *open_])
    assert cluster.look().tasks.done == 8


async def test_a_worker_that_is_retired_is_not_lost(cluster: Cluster) -> None:
    number = gate()
    done = cluster.client.map(held, range(4), gate=number)
    GATES[number].set()
    await cluster.client.gather(done)
    await cluster.scheduler.retire_workers(workers=[cluster.workers[0].address])
    assert await cluster.client.gather(done) == [0, 1, 2, 3]
    state = cluster.look()
    assert (state.lost, state.tasks.retried, len(state.workers)) == (0, 0, 1)


async def test_workers_clients_and_idleness_are_told(cluster: Cluster) -> None:
    number = gate()
    futures = cluster.client.map(held, range(3), gate=number)
    await eventually(lambda: sum(worker.executing for worker in cluster.look().workers) == 2)
    state = cluster.look()
    assert {worker.name for worker in state.workers} == {worker.name for worker in cluster.workers}
    assert {(worker.status, worker.threads) for worker in state.workers} == {("running", 1)}
    assert all((worker.memory or 0) > 2**20 and worker.memory_limit for worker in state.workers)
    assert (state.clients, state.idle_since) == (1, None)
    GATES[number].set()
    await cluster.client.gather(futures)
    await eventually(lambda: cluster.look().idle_since is not None)
    assert cluster.look().dashboard == "status"


async def test_a_client_may_ask_for_the_tasks_alone(cluster: Cluster) -> None:
    number = gate()
    futures = cluster.client.map(held, range(3), gate=number)
    await cluster.until_open(3)
    assert tasks_of(json.loads(await cluster.client.scheduler.gpu_workbench_tasks())).open == 3
    GATES[number].set()
    await cluster.client.gather(futures)


async def test_the_operators_questions_are_answered_over_http(cluster: Cluster) -> None:
    url = f"http://127.0.0.1:{cluster.scheduler.http_server.port}/api/v1"
    number = gate()
    futures = cluster.client.map(held, range(3), gate=number)
    await cluster.until_open(3)
    async with aiohttp.ClientSession() as session:

        async def ask(what: str) -> Any:
            async with session.get(f"{url}/{what}") as reply:
                assert reply.status == 200
                return await reply.json()

        workers = await ask("get_workers")
        assert workers["num_workers"] == 2
        assert await ask("check_idle") == {"idle_since": None}
        cluster.watch.hear({"idle_since": 1_700_000_000.0})
        assert await ask("check_idle") == {"idle_since": 1_700_000_000.0}, "the agent's word, not Dask's"
        assert (await ask("adaptive_target"))["workers"] >= 0
        GATES[number].set()
        await cluster.client.gather(futures)
        cluster.watch.hear({"shrink": "cpu"})
        async with session.post(f"{url}/retire_workers", json={"n": 1}) as reply:
            (retired,) = (await reply.json()).values()
    assert retired["name"] == f"gwb-{ID}-cpu-worker-b"
    assert await cluster.client.gather(futures) == [0, 1, 2]


async def test_the_same_questions_over_dasks_own_protocol(cluster: Cluster) -> None:
    cluster.watch.hear({"idle_since": 5.0})
    assert await cluster.client.scheduler.check_idle() == 5.0
    assert await cluster.client.scheduler.adaptive_target() == cluster.watch.adaptive_target()


# --- What is said to the agent, and heard from it


class Agent:
    """Listens where an agent would."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[DaskState] = asyncio.Queue()
        self.speaking: asyncio.StreamWriter | None = None

    async def listen(self, path: str) -> asyncio.Server:
        return await asyncio.start_unix_server(self._serve, path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.speaking = writer
        while line := await reader.readline():
            self.heard.put_nowait(decode(DaskState, json.loads(line)))
        writer.close()

    def say(self, line: bytes) -> None:
        assert self.speaking is not None
        self.speaking.write(line)


async def test_the_agent_hears_of_every_change_and_is_minded_until_it_goes(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preload, "INTERVAL", 0.01)
    agent = Agent()
    server = await agent.listen(str(tmp_path / "s"))
    telling = asyncio.create_task(cluster.watch.run(str(tmp_path / "s")))
    assert len((await asyncio.wait_for(agent.heard.get(), 10)).workers) == 2
    agent.say(b"no JSON\n[]\n" + json.dumps({"idle_since": 7.0}).encode() + b"\n")
    await eventually(lambda: cluster.scheduler.check_idle() == 7.0)
    number = gate()
    futures = cluster.client.map(held, range(3), gate=number)
    while (await asyncio.wait_for(agent.heard.get(), 10)).tasks.open != 3:
        pass
    GATES[number].set()
    await cluster.client.gather(futures)
    while (await asyncio.wait_for(agent.heard.get(), 10)).tasks.done != 3:
        pass
    assert agent.speaking is not None
    agent.speaking.close()
    await asyncio.wait_for(telling, 10)
    server.close()


async def test_where_ports_are_drawn_the_scheduler_leaves_word_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(ADDRESS, str(tmp_path / "address"))
    monkeypatch.delenv(SOCKET, raising=False)
    async with Scheduler(
        host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0"
    ) as scheduler:
        await preload.dask_setup(scheduler)
        form = json.loads((tmp_path / "address").read_text())
        assert form == {"scheduler": scheduler.address, "dashboard": scheduler.http_server.port}
    assert [path.name for path in tmp_path.iterdir()] == ["address"]
