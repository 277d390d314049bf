"""What a workload has written, page by page from any place of its journal, for whoever reads, goes, and comes again."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.backends.kept import Kept
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.core.errors import ProtocolError, WorkbenchError
from gpu_workbench.core.events import AgentStarted, Cursor, Entry, OutputWritten, RunStarted, decode_entry
from gpu_workbench.core.model import Kind, Workload
from gpu_workbench.core.spec import Handle
from gpu_workbench.transport.timing import within

PAGE = 1_000_000
"""Bytes of output entries after which a page ends, with the chunk of the journal that it reached them in."""

SCAN = 8 * 2**20
"""Bytes of journal that are read for one page, whatever is in them."""

CONTAINER = "log"
"""The epoch of cursors that count characters of what the container itself printed."""

_KEPT = 4
"""Ended workloads whose stored journal stays at hand."""

_PATIENCE = 5.0
"""Seconds for a first word of a workload's objects."""


@dataclass(frozen=True)
class Remark:
    """Something to be known at this place of a log that nobody wrote there."""

    text: str


@dataclass(frozen=True)
class Piece:
    """A piece of a log, and when it was written, in seconds since 1970; ``None`` where that is not known."""

    what: OutputWritten | Remark
    at: float | None = None


@dataclass(frozen=True)
class Page:
    """A part of a log.

    Args:
        pieces: In order.
        cursor: Where to read on.
        more: Whether there is more to be read at once.
        end: Whether all was read that will ever be written.
    """

    pieces: tuple[Piece, ...] = ()
    cursor: Cursor = Cursor.START
    more: bool = False
    end: bool = False


class Logs:
    """Reads pages. What it fetched of the last few workloads that have ended stays at hand for the next page."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    async def page(
        self, subscription: Subscription, run: str = "", after: Cursor = Cursor.START, *, rank: int = 0
    ) -> Page:
        """The page that begins at a cursor.

        Args:
            subscription: Of the workload.
            run: Which of its runs; all of them where it is empty.
            after: Where to begin.
            rank: Whose; the head's is the workload's own.

        Raises:
            Unreachable: neither its agent nor its store answers.
        """
        with contextlib.suppress(asyncio.TimeoutError):
            await within(subscription.until(lambda: subscription.facts is not None), _PATIENCE)
        if subscription.over:
            return await (
                _printed(subscription, after, rank) if rank else self._ended(subscription, run, after)
            )
        if subscription.facts is None or not subscription.facts.agent_ready:
            return Page(cursor=after)
        channel = await subscription.channel()
        target = Cursor.parse(str((await channel.state(rank=rank))["cursor"]))
        taken = _Taken(subscription.workload, run, after, live=True, rank=rank)
        if taken.cursor == target:
            return Page(cursor=after)
        async with contextlib.aclosing(
            _generator(channel.journal(str(after), observer=True, rank=rank))
        ) as chunks:
            async for chunk in chunks:
                taken.take(chunk)
                if taken.full or taken.has_reached(target):
                    break
        return Page(tuple(taken.pieces), taken.cursor, more=not taken.has_reached(target))

    async def _ended(self, subscription: Subscription, run: str, after: Cursor) -> Page:
        kept = await self._kept_of(subscription.backend, subscription.handle)
        taken = _Taken(subscription.workload, run, after, live=False)
        if kept is not None and after.epoch != CONTAINER:
            async with contextlib.aclosing(_generator(kept.journal(after))) as chunks:
                async for chunk in chunks:
                    taken.take(chunk)
                    if taken.full:
                        return Page(tuple(taken.pieces), taken.cursor, more=True)
        if taken.heard and kept is not None:
            return Page(tuple(taken.pieces), taken.cursor, end=True)
        return await _printed(subscription, after)

    async def _kept_of(self, backend: Backend, handle: Handle) -> Kept | None:
        found = self._kept.pop(handle.id, None) or await backend.kept(handle)
        if found is not None:
            self._kept[handle.id] = found
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found


async def _printed(subscription: Subscription, after: Cursor, rank: int = 0) -> Page:
    """A page of what the container printed: all that is left where the journal went with its agent."""
    if after.epoch not in ("", CONTAINER) and _all_was_read(subscription.workload, after):
        return Page(cursor=after, end=True)
    try:
        text = await subscription.backend.logs(subscription.handle, rank=rank)
    except WorkbenchError as error:
        return Page((Piece(Remark(str(error))),) if after.epoch else (), after, end=True)
    begin = after.n if after.epoch == CONTAINER else 0
    pieces = []
    if text and begin == 0:
        before = " before all of it was read" if after.n else ""
        what = f"The journal went with its agent{before}; this is all that the container printed"
        pieces.append(Piece(Remark(what)))
    part = text[begin : begin + PAGE]
    if part:
        pieces.append(
            Piece(OutputWritten(subscription.handle.id, "stream", {"name": "stdout", "text": part}))
        )
    more = begin + len(part) < len(text)
    return Page(tuple(pieces), Cursor(CONTAINER, begin + len(part)), more=more, end=not more)


def _all_was_read(workload: Workload, after: Cursor) -> bool:
    """Whether whoever reads has had the journal's last word: every run's end, and nothing after it."""
    head = workload.ranks.get(0)
    at_end = head is not None and (head.epoch, head.number) == (after.epoch, after.n)
    return at_end and all(run.phase.ended for run in workload.runs.values())


def _generator(chunks: object) -> AsyncGenerator[bytes, None]:
    """Both kinds of journals are read by generators, which have to be closed where one does not read to the end."""
    return cast("AsyncGenerator[bytes, None]", chunks)


def _since_1970(stamp: str) -> float | None:
    """Seconds of an ISO 8601 time; ``None`` for what is none."""
    try:
        return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


@dataclass
class _Taken:
    """A page in the making."""

    workload: Workload
    run: str
    cursor: Cursor
    live: bool
    """Whether an agent is read: of a life before its own it has nothing."""
    rank: int = 0
    pieces: list[Piece] = field(default_factory=list)
    _born: float | None = None
    """When the agent's clock began, in seconds since 1970."""
    _written: int = 0
    _scanned: int = 0

    def __post_init__(self) -> None:
        head = self.workload.ranks.get(0)
        if head is not None and head.epoch == self.cursor.epoch and not self.rank:
            self._born = _since_1970(head.started)

    @property
    def heard(self) -> bool:
        """Whether it is known where in a journal this is."""
        return self.cursor.n > 0

    @property
    def full(self) -> bool:
        return self._written >= PAGE or self._scanned >= SCAN

    def has_reached(self, target: Cursor) -> bool:
        return self.cursor.epoch == target.epoch and self.cursor.n >= target.n

    def take(self, chunk: bytes) -> None:
        """Add whole lines of a journal."""
        self._scanned += len(chunk)
        for line in chunk.splitlines():
            if not line.startswith(b'{"type"'):  # that a life is new is seen by its first entry
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            entry = decode_entry(line)
        except ProtocolError:
            entry = None
        if entry is None:  # of a newer version, or damaged; it has a number all the same
            self.cursor = Cursor(self.cursor.epoch, self.cursor.n + 1)
            return
        if entry.epoch != self.cursor.epoch:
            self._begin_life(entry.epoch)
        if entry.n <= self.cursor.n:
            return
        if entry.n > self.cursor.n + 1:
            self._say(self._gap())
        self.cursor = entry.cursor
        self._add(entry, len(line))

    def _begin_life(self, epoch: str) -> None:
        if self.cursor.epoch:
            lost = "; what it had written before and was not read is gone" if self.live else ""
            self._say(f"The agent was started again here{lost}")
        self.cursor, self._born = Cursor(epoch, 0), None

    def _gap(self) -> str:
        why = "the journal was full, and its oldest part made room"
        if self.cursor.n:
            return f"Some output is missing here: {why}"
        runs = self.workload.runs.values()
        gone = sum(run.truncated for run in runs if self.run in ("", run.id))
        return f"The beginning is missing{f' ({gone:,} characters)' if gone else ''}: {why}"

    def _add(self, entry: Entry, size: int) -> None:
        event = entry.event
        at = None if self._born is None else self._born + entry.t
        if isinstance(event, AgentStarted):
            self._born = _since_1970(event.started)
        elif isinstance(event, OutputWritten) and self.run in ("", event.run):
            self._written += size
            self.pieces.append(Piece(event, at))
        elif isinstance(event, RunStarted) and not self.run and self.workload.kind is Kind.SESSION:
            run = self.workload.runs.get(event.run)
            name = run.name if run is not None and run.name else event.run[:8]
            self._say(f"Run {name} begins", at)

    def _say(self, text: str, at: float | None = None) -> None:
        self.pieces.append(Piece(Remark(text), at))
