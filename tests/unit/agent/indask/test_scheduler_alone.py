"""What the preload of a Dask scheduler makes of what it sees: clocks, counts and groups. The scheduler is a double."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.agent.indask import scheduler as preload
from gpu_workbench.agent.indask.scheduler import (
    GROUPS_SHOWN,
    QUIET,
    SHRINKING,
    WINDOW,
    Tasks,
    Watch,
)
from gpu_workbench.engines.dask import group_name
from tests.unit.agent.indask.reading import state_of, tasks_of

ID = "0123456789ab"


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
