"""A recording while it becomes longer. Blocking; for one thread at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator

from gpu_workbench.app.recording.disk import copy, locked, private, write
from gpu_workbench.app.recording.folder import Recordings
from gpu_workbench.app.recording.form import Head, head_line, thinned
from gpu_workbench.app.recording.members import MEMBER_LIMIT, member, members
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.spec import Handle

SHARE = 4
"""One recording takes no more than this part of what all may take together."""


class Growing:
    """A new file that journal lines are added to. Where it becomes too long its oldest output goes, and is counted.

    Args:
        recordings: Where it lies.
        handle: The workload.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, recordings: Recordings, handle: Handle) -> None:
        self._recordings = recordings
        self._handle = handle
        head = member(head_line(Head(handle)))
        self._path, self._file = recordings.create(handle, head)
        self._ends = [self._file.tell()]
        """Where the head ends, and each member after it."""

    def add(self, lines: bytes) -> None:
        """Add whole journal lines. What there is no room for is left out, and the journal says so.

        Raises:
            OSError: it cannot be written.
        """
        if len(lines) > MEMBER_LIMIT:
            lines = thinned(lines)
        block = member(lines)
        while not self._fits(block) and self._thin():
            pass
        if not self._fits(block):
            block = member(thinned(lines))
        if self._fits(block):
            write(self._file, block)
            self._ends.append(self._file.tell())

    def _fits(self, block: bytes) -> bool:
        """Whether there is room for it, after older recordings have gone where that helps."""
        if self._ends[-1] + len(block) > self._recordings.limit // SHARE:
            return False
        with self._recordings.alone():
            return self._recordings.make_room(len(block))

    def _thin(self) -> bool:
        """Take the output from the older half; ``False`` where that makes it no smaller."""
        start, end = self._ends[0], self._ends[-1]
        middle = next(at for at in self._ends if at - start >= (end - start) / 2)
        block = member(thinned(b"".join(map(thinned, self._read(start, middle)))))
        if len(block) >= middle - start:
            return False
        new = self._path.with_suffix(".new")
        with self._recordings.alone():
            target = private(new)
            locked(target)
            try:
                copy(self._file, target, 0, start)
                write(target, block)
                copy(self._file, target, middle, end)
                new.replace(self._path)
            except OSError:
                target.close()
                new.unlink(missing_ok=True)
                raise
        self._file.close()
        self._file = target
        moved = start + len(block) - middle
        self._ends = [start, *(at + moved for at in self._ends if at >= middle)]
        return True

    def _read(self, start: int, end: int) -> Iterator[bytes]:
        self._file.seek(start)
        while start < end:
            data, start = next(members(self._file))
            yield data
            self._file.seek(start)

    def finish(self, facts: Facts | None) -> None:
        """Make a recording of it: the workload has ended so.

        Raises:
            OSError: it cannot be written; the next server tries it again.
        """
        with self._file:
            if len(self._ends) > 1 or facts is not None:
                self._recordings.keep(self._handle, facts, self._path, self._ends[0], self._ends[-1])
            else:
                self._path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Write no more. It stays for whoever looks next."""
        with self._file:
            if len(self._ends) > 1:
                os.fsync(self._file.fileno())
            else:
                self._path.unlink(missing_ok=True)
