"""What the preload of a Dask scheduler tells of its cluster, and what it has the scheduler do."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from distributed import Client, Scheduler, Worker
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.agent.indask import scheduler as preload
from gpu_workbench.agent.indask.scheduler import (
    ADDRESS,
    GROUPS_SHOWN,
    QUIET,
    SHRINKING,
    SOCKET,
    WINDOW,
    Tasks,
    Watch,
)
from gpu_workbench.core.model import DaskState, DaskTasks
from gpu_workbench.core.wire import decode
from gpu_workbench.engines.dask import group_name
from tests.unit.agent.harness import eventually

ID = "0123456789ab"


def tasks_of(form: Any) -> DaskTasks:
    """As the agent reads it."""
    return decode(DaskTasks, json.loads(json.dumps(form)))


def state_of(form: Any) -> DaskState:
    return decode(DaskState, json.loads(json.dumps(form)))


# --- With a real scheduler and real workers, in this process


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


# --- With a scheduler that is a double: clocks and groups


class Clock:
    """The module's clock, in the test's hands."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(preload, "time", made)
    return made


class FakeScheduler:
    """SIMULATED: what the preload reads of a scheduler."""

    def __init__(self, *names: str) -> None:
        self.workers = {name: worker(name) for name in names}
        self.clients: dict[str, object] = {}
        self.services: dict[str, object] = {}
        self.task_prefixes: dict[str, Any] = {}

    def check_idle(self) -> float | None:
        return None

    def adaptive_target(self, target_duration: float | None = None) -> int:
        return 10

    def set(self, name: str, *, processing: int = 0, waiting: int = 0, done: int = 0, erred: int = 0) -> None:
        """The tasks of one function: those that are open, and all that were ever done or failed."""
        states = defaultdict(int, processing=processing, waiting=waiting)
        counts = defaultdict(int, memory=done, erred=erred)
        self.task_prefixes[name] = SimpleNamespace(
            state_counts=counts, groups=[SimpleNamespace(states=states)]
        )


def worker(name: str, **metrics: object) -> Any:
    return SimpleNamespace(
        name=name,
        status=SimpleNamespace(name="running"),
        nthreads=2,
        memory_limit=2**30,
        processing={},
        metrics={"cpu": 1.0, "memory": 2**28, **metrics},
    )


def test_the_rate_is_that_of_late_and_says_how_long_it_takes(clock: Clock) -> None:
    scheduler = FakeScheduler()
    tasks = Tasks(scheduler)
    scheduler.set("f", processing=60)
    assert tasks_of(tasks.look()).rate is None, "nothing can be said yet"
    clock.now += 2
    scheduler.set("f", processing=40, done=20)
    found = tasks_of(tasks.look())
    assert (found.rate, found.seconds_left) == (10.0, 4.0)
    for second in range(int(WINDOW) + 2):  # slower from here on
        clock.now += 1
        scheduler.set("f", processing=39 - second, done=21 + second)
        found = tasks_of(tasks.look())
    assert (found.rate, found.seconds_left) == (1.0, 28.0)
    scheduler.set("f", done=60)
    clock.now += 1
    found = tasks_of(tasks.look())
    assert (found.rate, found.seconds_left, found.done) == (None, None, 60)


def test_a_computation_of_many_functions_shows_those_with_most_to_do(clock: Clock) -> None:
    scheduler = FakeScheduler()
    tasks = Tasks(scheduler)
    for number in range(8):
        scheduler.set(f"f{number}", waiting=number)
    scheduler.set("x" * 100, waiting=50)
    found = tasks_of(tasks.look())
    assert list(found.groups) == ["x" * 40, "f7", "f6", "f5", "f4"]
    assert (found.open, found.waiting) == (78, 78)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["asked", "done", "failed", "looked"]), st.sampled_from("fgh"), st.integers(1, 9)
    ),
    max_size=30,
)


@given(STEPS)
def test_counts_are_those_of_the_computation_whenever_one_looks(steps: list[tuple[str, str, int]]) -> None:
    """Another one begins where tasks are asked for while no others are open."""
    scheduler = FakeScheduler()
    tasks = Tasks(scheduler)
    opened, ever = dict.fromkeys("fgh", 0), {name: [0, 0] for name in "fgh"}
    done = failed = 0
    for what, name, number in steps:
        count = number if what == "asked" else min(number, opened[name])
        opened[name] += count if what == "asked" else 0 if what == "looked" else -count
        if what == "asked" and sum(opened.values()) == count:
            done = failed = 0
        if what in ("done", "failed"):
            ever[name][what == "failed"] += count
            done, failed = done + count * (what == "done"), failed + count * (what == "failed")
        scheduler.set(name, processing=opened[name], done=ever[name][0], erred=ever[name][1])
        if what == "asked":
            tasks.asked_for(count)
        found = tasks_of(tasks.look())
        assert (found.done, found.failed, found.open) == (done, failed, sum(opened.values()))
        assert all(0 <= part <= total for part, total in found.groups.values())
        assert len(found.groups) <= GROUPS_SHOWN


def gpu(**changes: float) -> dict[str, object]:
    sample = {
        "index": 0,
        "utilisation": 0.0,
        "memory_used": 100,
        "temperature": 31.0,
        "power": 70.1,
        **changes,
    }
    return {"gpu_workbench": {"gpus": [sample], "device": "NVIDIA H200", "simulated": False}}


def test_of_a_quiet_cluster_little_is_said(clock: Clock) -> None:
    scheduler = FakeScheduler("a")
    watch = Watch(scheduler)

    def is_news(**metrics: object) -> bool:
        clock.now += 1
        scheduler.workers["a"] = worker("a", **metrics)
        return watch._is_news(watch.look())

    assert is_news(**gpu())
    assert not is_news(**gpu(power=70.4, temperature=32.0, memory_used=101), cpu=3.0, memory=2**29)
    assert is_news(**gpu(utilisation=5.0)), "somebody uses it"
    assert not is_news(**gpu(utilisation=5.0))
    clock.now += QUIET
    assert is_news(**gpu(utilisation=5.0)), "now and then"
    scheduler.workers["b"] = worker("b")
    assert is_news(**gpu(utilisation=5.0)), "another worker"
    scheduler.set("f", processing=1)
    assert is_news(**gpu(utilisation=5.0))
    assert is_news(**gpu(utilisation=5.0)), "while it computes, each second"


def test_all_that_is_measured_of_a_worker_arrives(clock: Clock) -> None:
    scheduler = FakeScheduler()
    metrics = {
        **gpu(utilisation=50.0),
        "task_counts": {"executing": 1, "long-running": 1},
        "spilled_bytes": {"memory": 5, "disk": 3 * 2**20},
        "gpu_workbench_transfer": {"sent": 2.0e6, "received": 1.0e6},
        "cpu": 150.4,
        "memory": 2**28 + 5,
    }
    scheduler.workers["a"] = worker("a", **metrics)
    scheduler.workers["a"].processing = dict.fromkeys(range(5), 1.0)
    watch = Watch(scheduler)
    clock.now += 3
    state = state_of(watch.look())
    (found,) = state.workers
    assert (found.executing, found.waiting, found.threads) == (2, 3, 2)
    assert (found.cpu, found.memory, found.memory_limit, found.spilled) == (150.0, 2**28, 2**30, 3 * 2**20)
    assert (found.sent, found.received, found.device) == (2.0e6, 1.0e6, "NVIDIA H200")
    assert (found.gpus[0].utilisation, found.gpus[0].power) == (50.0, 70.1)
    assert 0 <= 6.0e6 - state.moved < 2**16


def test_where_our_preload_is_not_what_dask_measures_is_told(clock: Clock) -> None:
    scheduler = FakeScheduler()
    scheduler.workers["a"] = worker("a", gpu={"utilization": 12, "memory-used": 2**30})
    (found,) = state_of(Watch(scheduler).look()).workers
    assert [(sample.utilisation, sample.memory_used) for sample in found.gpus] == [(12.0, 2**30)]


def test_the_clients_that_workers_are_to_each_other_are_nobody(clock: Clock) -> None:
    scheduler = FakeScheduler()
    scheduler.clients = {"Client-1": 1, "Client-worker-2": 1, "fire-and-forget": 1}
    assert state_of(Watch(scheduler).look()).clients == 1


def names(**groups: int) -> list[str]:
    return [
        f"{group_name(ID, group)}-worker-{number:x}"
        for group, count in groups.items()
        for number in range(count)
    ]


def test_only_the_default_group_adapts() -> None:
    assert Watch(FakeScheduler(*names(default=4, cpu=3))).adaptive_target() == 7
    assert Watch(FakeScheduler(*names(default=4, cpu=12))).adaptive_target() == 0
    assert Watch(FakeScheduler("0", "1")).adaptive_target() == 10, "on this machine there are no groups"


def test_only_workers_of_the_group_that_shrinks_go(clock: Clock) -> None:
    scheduler = FakeScheduler(*names(default=2, cpu=2), "unnamed")
    watch, workers = Watch(scheduler), list(scheduler.workers.values())

    def going() -> list[str]:
        return [one.name for one in watch.valid_workers_downscaling(scheduler, workers)]

    assert going() == [*names(default=2), "unnamed"]
    watch.hear({"shrink": "cpu"})
    assert going() == [*names(cpu=2), "unnamed"]
    clock.now += SHRINKING + 1
    assert going() == [*names(default=2), "unnamed"]


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?", fullmatch=True), st.integers(0, 2**40))
def test_a_workers_name_tells_its_group_whatever_that_is_called(group: str, number: int) -> None:
    assert preload._group(SimpleNamespace(name=f"{group_name(ID, group)}-worker-{number:010x}")) == group


@pytest.mark.parametrize("name", [0, "0", "tls://10.0.0.1:4000"])
def test_a_worker_of_another_making_is_in_no_group(name: object) -> None:
    assert preload._group(SimpleNamespace(name=name)) == ""
