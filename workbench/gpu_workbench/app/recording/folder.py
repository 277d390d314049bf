"""The folder of recordings: one file each, bounded, and whole whatever ends in the middle of it.

::

    <data>/recordings/
        0001764115200000-<id>.gz                 a recording; its name says when the workload started, so that
                                                 the newest are found without reading any
        0001764115200000-<id>.<random>.growing   one that becomes longer; its writer holds a lock on it
        ….damaged                                what could not be read, set aside
        lock                                     held by whoever makes, renames or removes files

A recording appears under its name by renaming, after it has reached the disk. One that grows and has no writer any more was
left by a server that is gone, and is taken over by the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gpu_workbench.app.recording.disk import copy, locked, private, sync_folder, write
from gpu_workbench.app.recording.form import HEAD_LIMIT, Head, Story, ending, head_line, parse_head
from gpu_workbench.app.recording.members import Damaged, member, members
from gpu_workbench.core.errors import ProtocolError, VersionMismatch
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.spec import Handle

_NAME = re.compile(r"(?P<started>\d{16})-(?P<id>[A-Za-z0-9_-]{1,64})\.gz")
_GROWING, _DAMAGED, _NEW = ".growing", ".damaged", ".new"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _File:
    """A file of the folder and what its system says of it."""

    name: str
    size: int
    mark: tuple[int, int, int]
    """Another one where it was replaced."""

    @property
    def id(self) -> str:
        """The workload it is of; empty where its name is not a recording's."""
        found = _NAME.fullmatch(self.name)
        return found["id"] if found else ""


class Recordings:
    """All recordings of a user. Its methods block; they may be called from several threads and processes at once.

    Args:
        folder: Where they lie; made for this user alone.
        limit: Bytes of all together.
        count: How many there may be.
    """

    def __init__(self, folder: Path, *, limit: int, count: int) -> None:
        self.folder = folder
        self.limit = limit
        self._count = count
        self._heads: dict[str, tuple[tuple[int, int, int], Head | None]] = {}

    # what there is

    def heads(self, newest: int) -> list[Head]:
        """Those of the newest recordings, newest first. What cannot be read hides no other."""
        found: list[Head] = []
        files = self._recordings()
        for file in files:
            if len(found) == newest:
                break
            if (head := self._head(file)) is not None:
                found.append(head)
        self._heads = {file.name: self._heads[file.name] for file in files if file.name in self._heads}
        return found

    def find(self, workload_id: str) -> Head | None:
        """The recording of that workload; ``None`` where there is none that can be read."""
        heads = (self._head(file) for file in self._recordings() if file.id == workload_id)
        return next((head for head in heads if head is not None), None)

    def journal(self, workload_id: str) -> Iterator[bytes]:
        """Chunks of whole journal lines, from the beginning, as far as they can be read."""
        names = [file.name for file in self._recordings() if file.id == workload_id]
        for name in names[:1]:
            with contextlib.suppress(FileNotFoundError), (self.folder / name).open("rb") as file:
                members_after_head = iter(_readable(file, name))
                next(members_after_head, None)
                for data, _ in members_after_head:
                    yield data

    def _recordings(self) -> list[_File]:
        """Newest first."""
        return sorted((file for file in self._files() if file.id), key=lambda file: file.name, reverse=True)

    def _files(self) -> list[_File]:
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    stat = entry.stat(follow_symlinks=False)
                    mark = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
                    found.append(_File(entry.name, stat.st_size, mark))
        return found

    def _head(self, file: _File) -> Head | None:
        """A recording's head, read once; ``None`` for what is left alone or was set aside."""
        mark, head = self._heads.get(file.name, (None, None))
        if mark != file.mark:
            head = self._read_head(file)
            self._heads[file.name] = file.mark, head
        return head

    def _read_head(self, file: _File) -> Head | None:
        try:
            with (self.folder / file.name).open("rb") as opened:
                head, _ = _first(opened)
        except VersionMismatch as error:
            log.warning("The recording %s is left alone: %s", file.name, error)
        except (ProtocolError, Damaged) as error:
            self._set_aside(file, str(error))
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("The recording %s cannot be read: %s", file.name, error)
        else:
            if head.handle.id == file.id:
                return head
            self._set_aside(file, "it is of another workload than its name says")
        return None

    def _set_aside(self, file: _File, why: str) -> None:
        """What is no recording is out of the way, unless another server has put one in its place meanwhile."""
        with contextlib.suppress(OSError), self.alone():
            if any(other.name == file.name and other.mark == file.mark for other in self._files()):
                aside = file.name + _DAMAGED
                (self.folder / file.name).replace(self.folder / aside)
                log.warning("A recording cannot be read and was set aside as %s: %s", aside, why)

    # what changes it

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While it lasts, no other thread or process makes, renames or removes files here.

        Raises:
            OSError: the folder cannot be written, or its file system knows no locks.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def prepare(self) -> None:
        """Take over what servers that are gone have left, and keep to the limits.

        Raises:
            OSError: the folder cannot be used.
        """
        with self.alone():
            for file in self._files():
                if file.name.endswith(_NEW):
                    (self.folder / file.name).unlink(missing_ok=True)
                elif file.name.endswith(_GROWING):
                    self._take_over(self.folder / file.name)
            self.make_room(0)

    def _take_over(self, path: Path) -> None:
        with path.open("rb") as file:
            if not locked(file):
                return  # its writer is alive
            try:
                head, start = _first(file)
                file.seek(start)
                end, story = start, Story(head.handle)
                for data, end in _readable(file, path.name):  # noqa: B007 -- the last one counts
                    story.take(data)
            except (ProtocolError, Damaged) as error:
                log.warning(
                    "%s, which a server has left, cannot be read and is removed: %s", path.name, error
                )
            else:
                if end > start:
                    self._put(head.handle, story.facts, file, start, end)
            path.unlink()

    def create(self, handle: Handle, head: bytes) -> tuple[Path, BinaryIO]:
        """A new file for a recording that will grow, open and locked.

        Raises:
            OSError: there is no room for it, or it cannot be written.
        """
        with self.alone():
            if not self.make_room(len(head)):
                raise OSError("there is no room beside others that are being recorded")
            path = self.folder / f"{_stem(handle)}.{secrets.token_hex(4)}{_GROWING}"
            file = private(path)
            locked(file)
            write(file, head)
            return path, file

    def keep(self, handle: Handle, facts: Facts | None, growing: Path, start: int, end: int) -> None:
        """Make a recording of what has grown: what lies from ``start`` to ``end`` in a file."""
        with self.alone():
            with growing.open("rb") as file:
                self._put(handle, facts, file, start, end)
            growing.unlink()
            self.make_room(0)

    def _put(self, handle: Handle, facts: Facts | None, file: BinaryIO, start: int, end: int) -> None:
        """Write a recording under its name, unless the one that is there says more."""
        name = f"{_stem(handle)}.gz"
        kept, whole = ending(facts)
        head = Head(handle, kept, whole=whole, length=end - start)
        there = next((self._head(other) for other in self._recordings() if other.name == name), None)
        if there is not None and (there.whole, there.length or 0) > (whole, end - start):
            return
        new = self.folder / f"{name}{_NEW}"
        with private(new) as target:
            write(target, member(head_line(head)))
            copy(file, target, start, end)
            os.fsync(target.fileno())
        new.replace(self.folder / name)
        sync_folder(self.folder)

    def make_room(self, size: int) -> bool:
        """Remove the oldest until there is room for so many bytes; ``False`` where there cannot be. Call it alone."""
        files = [file for file in self._files() if file.name != "lock"]
        total, count = sum(file.size for file in files), sum(bool(file.id) for file in files)
        damaged = [file for file in files if file.name.endswith(_DAMAGED)]
        oldest = sorted((file for file in files if file.id), key=lambda file: file.name)
        for file in [*damaged, *oldest]:
            if total + size <= self.limit and count <= self._count:
                break
            (self.folder / file.name).unlink(missing_ok=True)
            total -= file.size
            count -= bool(file.id)
        return total + size <= self.limit

    def forget(self, workload_id: str) -> None:
        """Remove what there is of a workload."""
        with self.alone():
            for file in self._recordings():
                if file.id == workload_id:
                    (self.folder / file.name).unlink(missing_ok=True)


def _stem(handle: Handle) -> str:
    stem = f"{max(0, int(handle.started * 1000)):016d}-{handle.id}"
    if not _NAME.fullmatch(f"{stem}.gz"):
        raise OSError(f"{handle.id!r} is no id that a file could be named by")
    return stem


def _first(file: BinaryIO) -> tuple[Head, int]:
    """The head, which is the first member, and where it ends.

    Raises:
        VersionMismatch, ProtocolError, Damaged.
    """
    data, end = next(members(file), (b"", 0))
    if len(data) > HEAD_LIMIT:
        raise Damaged("its head is too long")
    return parse_head(data), end


def _readable(file: BinaryIO, name: str) -> Iterator[tuple[bytes, int]]:
    """The members from where the file stands, as far as they can be read."""
    try:
        yield from members(file)
    except Damaged as error:
        log.warning("The end of %s cannot be read: %s", name, error)
