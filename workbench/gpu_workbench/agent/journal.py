"""The numbered events of this rank, on disk, in the form they travel in.

A segment is a file of journal lines; readers get the file's own bytes. When all segments together are over the limit the
oldest goes, and how much went with it becomes an event itself.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from gpu_workbench.core.events import Cursor, Entry, Event, JournalTruncated, OutputWritten, encode_entry

SEGMENT = 8 * 2**20
"""Bytes after which a segment is full."""

CHUNK = 256 * 1024
"""Bytes a reader gets at once, unless one line is longer."""

_MARK = 64 * 1024
"""Bytes between two remembered places of a segment."""


@dataclass
class _Segment:
    path: Path
    descriptor: int
    first: int
    last: int = 0
    size: int = 0
    marks: list[tuple[int, int]] = field(default_factory=list)
    """(number, offset) of some lines, in order."""
    characters: dict[str, int] = field(default_factory=dict)
    """Run to characters of its output in here."""
    read: tuple[int, int] = (0, 0)
    """(number, offset) after what was read last: whoever reads live goes on from there."""

    def offset_after(self, number: int) -> int:
        """The offset of the first line after event ``number``."""
        if number < self.first:
            return 0
        if number >= self.last:
            return self.size
        index = bisect.bisect_right(self.marks, (number, self.size)) - 1
        at, offset = self.marks[index] if index >= 0 else (self.first - 1, 0)
        if at < self.read[0] <= number:
            at, offset = self.read
        return self._walk(at, offset, number)

    def _walk(self, at: int, offset: int, number: int) -> int:
        """From the line after event ``at`` on, the offset of the line after ``number``."""
        while at < number:
            data = os.pread(self.descriptor, _MARK, offset)
            if not data:
                return offset
            start = 0
            while at < number and (end := data.find(b"\n", start)) >= 0:
                start, at = end + 1, at + 1
            offset += start if at >= number else len(data)
        return offset


class Journal:
    """Append-only, bounded, readable from any number while it grows. For the thread of one event loop.

    Args:
        folder: Where segments lie; those of a former life of the agent are removed.
        rank: Whose journal it is.
        epoch: The name of this life of the agent.
        clock: Seconds since the agent started.
        limit: Bytes of all segments together.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rank: int,
        epoch: str,
        clock: Callable[[], float],
        limit: int,
        segment: int = SEGMENT,
    ) -> None:
        self.rank = rank
        self.epoch = epoch
        self._clock = clock
        self._limit = max(limit, 2 * segment)
        self._segment_size = segment
        self._folder = folder
        self._number = 0
        self._segments: deque[_Segment] = deque()
        self._waiters: set[asyncio.Event] = set()
        self._listeners: list[Callable[[Entry], None]] = []
        self._ended = False
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.glob("*.ndjson"):
            left.unlink()
        self._begin_segment()

    @property
    def cursor(self) -> Cursor:
        """The place after the newest event."""
        return Cursor(self.epoch, self._number)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(segment.size for segment in self._segments)

    def listen(self, listener: Callable[[Entry], None]) -> None:
        """Call ``listener`` with every further entry, after it is on disk."""
        self._listeners.append(listener)

    def append(self, event: Event, *, rank: int | None = None) -> Entry:
        """Number an event and write it.

        Args:
            event: What happened.
            rank: To which rank; its own unless told.
        """
        return self.extend([event], rank=rank)[-1]

    def extend(self, events: list[Event], *, rank: int | None = None) -> list[Entry]:
        """Number several events and write them at once."""
        t, rank = self._clock(), self.rank if rank is None else rank
        entries = []
        for event in events:
            self._number += 1
            entries.append(Entry(rank=rank, epoch=self.epoch, n=self._number, t=t, event=event))
        self._write(entries)
        for waiter in self._waiters:
            waiter.set()
        for listener in self._listeners:
            for entry in entries:
                listener(entry)
        if self._segments[-1].size >= self._segment_size:
            self._begin_segment()
            self._keep_to_limit()
        return entries

    def _write(self, entries: list[Entry]) -> None:
        segment = self._segments[-1]
        lines: list[bytes] = []
        offset = segment.size
        for entry in entries:
            line = encode_entry(entry).encode("utf-8", "surrogatepass") + b"\n"
            if not segment.marks or offset - segment.marks[-1][1] >= _MARK:
                segment.marks.append((entry.n - 1, offset))
            if isinstance(entry.event, OutputWritten):
                run = entry.event.run
                segment.characters[run] = segment.characters.get(run, 0) + _characters(entry.event)
            segment.last = entry.n
            lines.append(line)
            offset += len(line)
        self._put(segment, b"".join(lines))

    def _put(self, segment: _Segment, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                written = os.pwrite(segment.descriptor, view, segment.size)
            except OSError:  # the disk is full: the oldest output makes room for the newest
                if len(self._segments) < 2:
                    raise
                self._drop_oldest()
                continue
            segment.size += written
            view = view[written:]

    def _begin_segment(self) -> None:
        path = self._folder / f"{self._number + 1:016d}.ndjson"
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._segments.append(
            _Segment(path, os.open(path, flags, 0o600), first=self._number + 1, last=self._number)
        )

    def _keep_to_limit(self) -> None:
        while self.size > self._limit and len(self._segments) > 2:
            self.extend(self._drop_oldest())

    def _drop_oldest(self) -> list[Event]:
        oldest = self._segments.popleft()
        os.close(oldest.descriptor)
        oldest.path.unlink(missing_ok=True)
        count = oldest.last - oldest.first + 1
        runs = list(oldest.characters.items())
        events: list[Event] = [JournalTruncated(events=0, characters=size, run=run) for run, size in runs]
        return [JournalTruncated(events=count), *events]

    def files(self) -> dict[Path, int]:
        """The segments there are, oldest first, and how many bytes each has."""
        return {segment.path: segment.size for segment in list(self._segments)}

    def end(self) -> None:
        """Nothing follows any more: who reads on gets the rest, and then the end."""
        self._ended = True
        for waiter in self._waiters:
            waiter.set()

    async def read(self, after: Cursor) -> AsyncIterator[tuple[bytes, int]]:
        """Chunks of whole lines after a cursor, each with the number of its last event; then each further one live."""
        number = after.n if after.epoch == self.epoch else 0
        wake = asyncio.Event()
        self._waiters.add(wake)
        try:
            while True:
                wake.clear()
                chunk, number = self._chunk(number)
                if chunk:
                    yield chunk, number
                elif self._ended:
                    return
                else:
                    await wake.wait()
                    await asyncio.sleep(0)  # what happens at once is sent at once
        finally:
            self._waiters.discard(wake)

    def _chunk(self, number: int) -> tuple[bytes, int]:
        """The lines after event ``number``, as many as are read at once, and the number of the last of them."""
        for segment in self._segments:
            if segment.last <= number or not segment.size:
                continue
            offset = segment.offset_after(number)
            data = self._whole_lines(segment, offset)
            number = max(number, segment.first - 1) + data.count(b"\n")
            segment.read = number, offset + len(data)
            return data, number
        return b"", number

    @staticmethod
    def _whole_lines(segment: _Segment, offset: int) -> bytes:
        length = CHUNK
        while True:
            data = os.pread(segment.descriptor, length, offset)
            end = data.rfind(b"\n") + 1
            if end or offset + length >= segment.size:
                return data[:end]
            length *= 2

    def close(self) -> None:
        """Let go of the files; they stay."""
        for segment in self._segments:
            with contextlib.suppress(OSError):
                os.close(segment.descriptor)


def _characters(event: OutputWritten) -> int:
    text = event.content.get("text")
    return len(text) if isinstance(text, str) else 0
