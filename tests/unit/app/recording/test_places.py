"""Which journal an ended workload has: the backend's own where that is near, else what was recorded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench.app.recording.places import RecordedPlace, RecordedToo
from gpu_workbench.core.errors import NotFound, Unreachable, UsageError
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Phase
from tests.unit.app.recording.journals import DONE, handle, journal, record, recordings, written

RECORDED = journal(written("recorded"))
SEEN, NOT_SEEN = DONE, Facts(phase=Phase.RUNNING)


@dataclass
class Keeps:
    """What a backend keeps of an ended workload."""

    near: bool

    async def journal(self) -> Any:
        yield b"the backend's"


class Place:
    """A backend that keeps that much."""

    name = "kubernetes"

    def __init__(self, kept: Keeps | Exception | None) -> None:
        self._kept = kept

    async def kept(self, handle_: object) -> Keeps | None:
        if isinstance(self._kept, Exception):
            raise self._kept
        return self._kept


AWAY = Unreachable("The cluster is away")


@pytest.mark.parametrize(
    ("kept", "end", "expected"),
    [
        (Keeps(near=True), SEEN, b"the backend's"),
        (Keeps(near=True), None, b"the backend's"),
        (Keeps(near=False), SEEN, RECORDED),
        (Keeps(near=False), NOT_SEEN, b"the backend's"),
        (Keeps(near=False), None, b"the backend's"),
        (None, SEEN, RECORDED),
        (None, NOT_SEEN, RECORDED),
        (None, None, b""),
        (AWAY, SEEN, RECORDED),
    ],
)
async def test_the_journal_of_an_ended_workload(
    tmp_path: Path, kept: Keeps | Exception | None, end: Facts | None, expected: bytes
) -> None:
    known = recordings(tmp_path)
    if end is not None:
        record(known, "a", RECORDED, facts=end)
    found = await RecordedToo(Place(kept), known).kept(handle("a"))  # type: ignore[arg-type]
    assert b"".join([chunk async for chunk in found.journal()] if found is not None else []) == expected


async def test_a_backend_that_cannot_be_asked_says_so_where_nothing_was_recorded(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        await RecordedToo(Place(AWAY), recordings(tmp_path)).kept(handle("a"))  # type: ignore[arg-type]


async def test_all_else_is_the_backends(tmp_path: Path) -> None:
    assert RecordedToo(Place(None), recordings(tmp_path)).name == "kubernetes"  # type: ignore[arg-type]


async def test_what_is_recorded_has_ended_and_can_only_be_forgotten(tmp_path: Path) -> None:
    known = recordings(tmp_path)
    record(known, "a", RECORDED, facts=Facts(phase=Phase.FAILED, log_tail="one\ntwo"))
    place = RecordedPlace(known)
    (found,) = await place.list()
    assert found.ended
    assert [facts.phase async for facts in place.watch(found)] == [Phase.FAILED]
    assert [await place.logs(found, tail=tail) for tail in (None, 1, 0)] == ["one\ntwo", "two", ""]
    with pytest.raises(Unreachable):
        await place.open(found)
    with pytest.raises(UsageError):
        await place.start(found.spec)
    await place.stop(found)
    await place.forget(found)
    assert await place.list() == []
    assert await place.find("a") is None
    assert await place.kept(found) is None
    with pytest.raises(NotFound):
        await place.logs(found)
    assert [facts.phase async for facts in place.watch(found)] == [Phase.LOST]


async def test_a_long_journal_is_read_without_holding_up_others(tmp_path: Path) -> None:
    known = recordings(tmp_path)
    record(known, "a", RECORDED)
    kept = await RecordedPlace(known).kept(handle("a"))
    assert kept is not None
    reading = asyncio.create_task(anext(kept.journal()))
    await asyncio.sleep(0)
    assert not reading.done(), "it is read in a thread"
    assert await reading == RECORDED
    assert await kept.names() == []
    assert await kept.result("x") is None
