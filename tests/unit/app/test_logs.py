"""A log as it is read: what is missing is said where it is missing, and why there is none at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

from gpu_workbench.app.logs import Logs, Page, Remark
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.backends.kept import Kept, KeptFolder
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.core import events as e
from gpu_workbench.core.errors import NotFound
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Kind, Phase
from gpu_workbench.core.spec import Handle, WorkloadSpec

BORN = "2026-01-01T00:00:00Z"


class Ended:
    """A backend with one job that has ended: what was kept of it, and what its container printed."""

    name = "ended"

    def __init__(self, kept: Path | None, printed: str = "", phase: Phase = Phase.SUCCEEDED) -> None:
        self._kept, self._printed, self._phase = kept, printed, phase

    async def watch(self, handle: Handle) -> AsyncIterator[Facts]:
        yield Facts(phase=self._phase, gone=self._phase.ended)

    async def kept(self, handle: Handle) -> Kept | None:
        return None if self._kept is None else KeptFolder(self._kept, self._kept, b"")

    async def logs(self, handle: Handle, *, tail: int | None = None, rank: int = 0) -> str:
        if not self._printed:
            raise NotFound("There are no logs", why="its pod is gone, and its log with it")
        return self._printed


def write(folder: Path, epoch: str, events: dict[int, e.Event], *, extra: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        e.encode_entry(e.Entry(rank=0, epoch=epoch, n=n, t=float(n), event=event))
        for n, event in events.items()
    ]
    (folder / f"{min(events):016d}.ndjson").write_text("\n".join(lines) + "\n" + extra)
    return folder


def said(text: str, run: str = "job") -> e.OutputWritten:
    return e.OutputWritten(run, "stream", {"name": "stdout", "text": text})


def born(at: str = BORN) -> e.AgentStarted:
    return e.AgentStarted(Kind.JOB, "1", at)


def read(backend: Ended, after: e.Cursor = e.Cursor.START) -> Page:
    async def page() -> Page:
        spec = WorkloadSpec(id="job", owner="me", kind=Kind.JOB)
        subscription = Subscription(cast("Backend", backend), Handle(spec, "ended", 0.0))
        try:
            await subscription.settle(5)
            return await Logs().page(subscription, "", after)
        finally:
            await subscription.close()

    return asyncio.run(page())


def texts(page: Page) -> list[str]:
    return [
        f"[{piece.what.text}]" if isinstance(piece.what, Remark) else str(piece.what.content["text"])
        for piece in page.pieces
    ]


def test_all_of_it_with_its_times(tmp_path: Path) -> None:
    page = read(Ended(write(tmp_path, "aa", {1: born(), 2: said("a\n"), 3: said("b\n")})))
    assert texts(page) == ["a\n", "b\n"]
    assert (page.cursor, page.more, page.end) == (e.Cursor("aa", 3), False, True)
    assert page.pieces[1].at == 1767225603.0


def test_a_beginning_that_made_room_is_said_with_its_size(tmp_path: Path) -> None:
    events: dict[int, e.Event] = {
        7: said("late\n"),
        8: e.JournalTruncated(events=6, characters=0),
        9: e.JournalTruncated(events=0, characters=1234, run="job"),
    }
    first, second = texts(read(Ended(write(tmp_path, "aa", events))))
    assert first.startswith("[The beginning is missing (1,234 characters): the journal was full")
    assert second == "late\n"


def test_a_part_that_made_room_before_one_came_to_it_is_said_there(tmp_path: Path) -> None:
    folder = write(tmp_path, "aa", {9: said("on\n")})
    assert texts(read(Ended(folder), e.Cursor("aa", 4)))[0].startswith("[Some output is missing here")
    assert texts(read(Ended(folder), e.Cursor("aa", 8))) == ["on\n"]


def test_a_new_life_of_the_agent_is_said_where_it_begins(tmp_path: Path) -> None:
    write(tmp_path / "aa", "aa", {1: born(), 2: said("a\n")})
    write(tmp_path / "bb", "bb", {1: born("2026-01-02T00:00:00Z"), 2: said("b\n")})
    assert texts(read(Ended(tmp_path))) == ["a\n", "[The agent was started again here]", "b\n"]
    assert texts(read(Ended(tmp_path), e.Cursor("bb", 1))) == ["b\n"]


def test_what_a_newer_agent_wrote_and_a_damaged_line_hide_nothing(tmp_path: Path) -> None:
    extra = '{"rank":0,"epoch":"aa","n":3,"t":1,"type":"Novel"}\nrubbish\n'
    after = e.encode_entry(e.Entry(rank=0, epoch="aa", n=5, t=1.0, event=said("b\n")))
    folder = write(tmp_path, "aa", {1: born(), 2: said("a\n")}, extra=f"{extra}{after}\n")
    assert texts(read(Ended(folder))) == ["a\n", "b\n"]


def test_without_a_journal_there_is_what_the_container_printed(tmp_path: Path) -> None:
    page = read(Ended(None, "x" * 1_500_000))
    remark, text = texts(page)
    assert "journal went with its agent" in remark
    assert (len(text), page.more) == (1_000_000, True)
    rest = read(Ended(None, "x" * 1_500_000), page.cursor)
    assert ([len(text) for text in texts(rest)], rest.more, rest.end) == ([500_000], False, True)


def test_without_anything_it_is_at_its_end(tmp_path: Path) -> None:
    page = read(Ended(None))
    assert (texts(page), page.end) == ([], True)


def test_before_there_is_an_agent_there_is_nothing_and_it_is_not_the_end() -> None:
    page = read(Ended(None, phase=Phase.PENDING))
    assert (page.pieces, page.more, page.end) == ((), False, False)


def test_a_page_is_bounded(tmp_path: Path) -> None:
    events: dict[int, e.Event] = {1: born(), **{n: said("x" * 500_000) for n in range(2, 12)}}
    backend: Any = Ended(write(tmp_path, "aa", events))
    found, cursor = [], e.Cursor.START
    while True:
        page = read(backend, cursor)
        found.append(sum(map(len, texts(page))))
        cursor = page.cursor
        if page.end:
            break
    assert sum(found) == 5_000_000
    assert max(found) <= 1_500_000
