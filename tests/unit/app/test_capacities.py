"""Capacities are counted while somebody looks, told when they change, and kept for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gpu_workbench.app.board import Target
from gpu_workbench.app.capacities import Capacities, Counted
from gpu_workbench.core.capacity import Capacity, GpuKind
from gpu_workbench.core.errors import Unreachable

SOON = 0.001
LIMIT = 10.0


@dataclass
class Place:
    """A backend that counts what the test says."""

    name: str = "kubernetes"
    free: int = 1
    fault: Exception | None = None
    hangs: bool = False
    asked: list[str] = field(default_factory=list)

    async def capacity(self, *, owner: str) -> Capacity:
        self.asked.append(owner)
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        return Capacity(kinds=(GpuKind("H200", "nvidia.com/gpu", total=8, free=self.free),))


async def owner() -> str:
    return "me"


def capacities(*places: Any) -> Capacities:
    return Capacities([Target(place, owner) for place in places], interval=SOON)


class Told:
    """Who looks."""

    def __init__(self) -> None:
        self.count = 0
        self._news = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async def wait() -> None:
            while not condition():
                self._news.clear()
                await self._news.wait()

        await asyncio.wait_for(wait(), LIMIT)


def free(found: Capacities, name: str = "kubernetes") -> int | None:
    counted = found.known.get(name, Counted()).capacity
    return counted.kinds[0].free if counted else None


async def rounds(place: Place, count: int) -> None:
    """Until it was asked so many times more."""
    end = len(place.asked) + count

    async def wait() -> None:
        while len(place.asked) < end:
            await asyncio.sleep(0)

    await asyncio.wait_for(wait(), LIMIT)


async def test_changes_are_told_and_what_stays_is_not() -> None:
    place, told = Place(), Told()
    found = capacities(place)
    with found.look(told):
        await told.until(lambda: free(found) == 1)
        await rounds(place, 3)
        assert told.count == 1
        place.free = 0
        await told.until(lambda: free(found) == 0)
    assert set(place.asked) == {"me"}


async def test_nothing_is_asked_or_kept_while_nobody_looks() -> None:
    place, one, other = Place(), Told(), Told()
    found = capacities(place)
    assert (found.known, place.asked) == ({}, [])
    with found.look(one):
        with found.look(other):
            await other.until(lambda: free(found) == 1)
        before = len(place.asked)
        await rounds(place, 1)
        assert len(place.asked) > before, "one looks still"
    asked = len(place.asked)
    await asyncio.sleep(20 * SOON)
    assert len(place.asked) == asked
    assert found.known == {}


async def test_what_cannot_be_counted_is_an_error_and_no_old_figure() -> None:
    place, told = Place(), Told()
    found = capacities(place)
    with found.look(told):
        await told.until(lambda: free(found) == 1)
        place.fault = Unreachable("The cluster is away")
        await told.until(lambda: found.known["kubernetes"] == Counted(error="The cluster is away"))
        place.fault = None
        await told.until(lambda: free(found) == 1)


async def test_a_fault_of_ours_is_said_and_logged_and_counting_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    place, told = Place(fault=ZeroDivisionError()), Told()
    found = capacities(place)
    with found.look(told):
        await told.until(lambda: "its log says what" in found.known["kubernetes"].error)
        place.fault = None
        await told.until(lambda: free(found) == 1)
    assert "ZeroDivisionError" in caplog.text


async def test_one_that_does_not_answer_holds_up_no_other() -> None:
    told = Told()
    found = capacities(Place(hangs=True), Place(name="local"))
    with found.look(told):
        await told.until(lambda: free(found, "local") == 1)
        assert "kubernetes" not in found.known


async def test_a_backend_that_cannot_count_has_no_capacity() -> None:
    class Silent:
        name = "broker"

    told, place = Told(), Place()
    found = capacities(Silent(), place)
    with found.look(told):
        await told.until(lambda: free(found) == 1)
        assert found.known.keys() == {"kubernetes"}
