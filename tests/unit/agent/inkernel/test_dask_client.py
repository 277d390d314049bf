"""In the kernel that drives a Dask cluster: its client, and the bar that follows the tasks of a cell."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import dask.config
import pytest
from distributed import LocalCluster
from distributed.client import _get_global_client as global_client

from gpu_workbench.agent.indask import scheduler as preload
from gpu_workbench.agent.inkernel import dask_client
from gpu_workbench.agent.inkernel.dask_client import DRIVES, Bar, Driver, install
from gpu_workbench.agent.progress import read_progress
from tests.unit.agent.harness import LONG

Answer = tuple[float, Any]
"""Seconds that pass before it, and what the scheduler says then: JSON's form, text, or an error."""


class FakeClient:
    """SIMULATED: its scheduler says one thing after the other, the last of them for ever."""

    def __init__(self, clock: SimpleNamespace, answers: list[Answer]) -> None:
        self.scheduler = self
        self.exhausted = asyncio.Event()
        self._clock, self._answers = clock, answers
        self._last: Any = None

    async def gpu_workbench_tasks(self) -> str:
        if self._answers:
            passed, self._last = self._answers.pop(0)
            self._clock.now += passed
        elif not self.exhausted.is_set():
            self.exhausted.set()
            await asyncio.Event().wait()  # until the cell is over
        if isinstance(self._last, Exception):
            raise self._last
        return self._last if isinstance(self._last, str) else json.dumps(self._last)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    made = SimpleNamespace(now=100.0)
    monkeypatch.setattr(dask_client, "time", SimpleNamespace(monotonic=lambda: made.now))
    monkeypatch.setattr(dask_client, "INTERVAL", 0.0)
    return made


async def cell(clock: SimpleNamespace, *answers: Answer) -> None:
    """A cell in which the scheduler says this, up to its end."""
    client = FakeClient(clock, [*answers])
    bar = Bar(client)
    following = asyncio.create_task(bar.follow())
    await asyncio.wait_for(client.exhausted.wait(), LONG)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await bar.finish()


def open_(done: int, rest: int) -> dict[str, int]:
    return {"done": done, "running": rest} if done else {"running": rest}


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What stays on the screen: each line as it was drawn last."""
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.endswith("\n") or not found.err
    return [line.rpartition("\r")[2].rstrip() for line in found.err.split("\n")[:-1]]


async def test_a_computation_that_takes_long_has_a_bar_that_ends_full(
    clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    await cell(clock, (0, open_(0, 10)), (2, open_(5, 5)), (2, open_(9, 1)), (1, {"done": 10}))
    (line,) = lines(capsys)
    assert line.startswith("Dask: 100%|██████████| 10/10 [00:05<00:00")
    progress = read_progress(line)
    assert progress is not None
    assert (progress.done, progress.total) == (10, 10)


async def test_one_that_is_soon_over_has_none(
    clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    await cell(clock, (0, open_(0, 10)), (0.9, open_(9, 1)), (0.2, {"done": 10}), (5, {"done": 10}))
    assert lines(capsys) == []


async def test_the_next_computation_of_the_cell_has_a_bar_of_its_own(
    clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    first: list[Answer] = [(0, open_(0, 4)), (3, open_(2, 2)), (1, {"done": 4})]
    second: list[Answer] = [(60, open_(0, 8)), (0.5, open_(1, 7)), (2, open_(4, 4)), (1, {"done": 8})]
    await cell(clock, *first, *second)
    found = lines(capsys)
    assert [line.partition(" [")[2][:5] for line in found] == ["00:04", "00:03"]
    assert ["4/4" in found[0], "8/8" in found[1]] == [True, True]


async def test_at_the_end_of_the_cell_the_bar_is_as_it_is_then(
    clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    await cell(clock, (0, open_(0, 10)), (2, open_(5, 5)))
    (line,) = lines(capsys)
    assert "5/10" in line


@pytest.mark.parametrize(
    "wrong", [OSError("the scheduler is gone"), "no JSON", "3", "null", '{"done": "many"}']
)
async def test_a_scheduler_that_cannot_be_asked_ends_no_cell(
    clock: SimpleNamespace, capsys: pytest.CaptureFixture[str], wrong: object
) -> None:
    await cell(clock, (0, open_(0, 10)), (2, open_(5, 5)), (1, wrong), (1, wrong))
    (line,) = lines(capsys)
    assert "5/10" in line


async def test_a_shorter_line_leaves_nothing_of_the_longer_one(
    clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    await cell(
        clock,
        (0, open_(0, 10)),
        (2, {"running": 9, "failed": 1, "rate": 1234.5}),
        (1, open_(5, 5)),
        (1, {"done": 10}),
    )
    drawn = capsys.readouterr().err.rstrip("\n").split("\r")[1:]
    assert [len(line) >= len(before.rstrip()) for before, line in itertools.pairwise(drawn)] == [
        True,
        True,
    ]


# --- The client, with a real scheduler in this process


class Shell:
    """SIMULATED: as much of IPython's shell as is used."""

    def __init__(self) -> None:
        self.user_ns: dict[str, Any] = {}
        self.user_ns_hidden: dict[str, Any] = {}
        self.events = self
        self.registered: dict[str, Any] = {}

    def register(self, event: str, call: Any) -> None:
        self.registered[event] = call


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv(DRIVES, "0123456789ab")
    return Shell()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """One whose address stands in Dask's configuration, as in the environment of a driver."""
    for variable in (preload.ADDRESS, preload.SOCKET):
        monkeypatch.delenv(variable, raising=False)
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as made:
        made.sync(preload.dask_setup, made.scheduler)
        with dask.config.set({"scheduler-address": made.scheduler_address}):
            yield made
        if (left := global_client()) is not None:
            left.close()


GATE = threading.Event()


def held() -> int:
    assert GATE.wait(LONG)
    return 42


def test_before_a_cell_there_is_a_client_and_a_bar_follows_what_it_asks_for(
    cluster: Any, shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dask_client, "INTERVAL", 0.01)
    monkeypatch.setattr(dask_client, "FIRST_BAR", 0.0)
    drawn = threading.Event()
    draw = Bar._draw

    def drawing(self: Bar, tasks: Any) -> None:
        draw(self, tasks)
        drawn.set()

    monkeypatch.setattr(Bar, "_draw", drawing)
    install(shell)
    shell.registered["pre_run_cell"](None)
    client: Any = shell.user_ns["client"]
    assert shell.user_ns_hidden["client"] is client, "it is none of the user's names"
    GATE.clear()
    future = client.submit(held)
    assert drawn.wait(LONG)
    GATE.set()
    assert future.result(LONG) == 42
    shell.registered["post_run_cell"](None)
    (line,) = lines(capsys)
    assert line.startswith("Dask: 100%|")
    shell.registered["pre_run_cell"](None)
    assert shell.user_ns["client"] is client


def test_a_client_that_was_closed_is_replaced_and_a_name_of_the_users_is_left(
    cluster: Any, shell: Shell
) -> None:
    driver = Driver(shell)
    driver.before()
    first: Any = shell.user_ns["client"]
    first.close()
    driver.before()
    second: Any = shell.user_ns["client"]
    assert second is not first
    shell.user_ns["client"] = "a customer"
    second.close()
    driver.before()
    assert shell.user_ns["client"] == "a customer"
    driver.after()


def test_a_kernel_that_drives_nothing_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DRIVES, raising=False)
    assert DRIVES not in os.environ
    made = Shell()
    install(made)
    assert made.registered == {}
