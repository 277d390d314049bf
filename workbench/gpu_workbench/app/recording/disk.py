"""Files that only this user can read, written whole."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import BinaryIO, cast

_PIECE = 256 * 1024


def private(path: Path) -> BinaryIO:
    """A new file, or an emptied one, for reading and writing without a buffer."""
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    return cast("BinaryIO", os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0))


def locked(file: BinaryIO) -> bool:
    """Whether this one has the file's lock now; it has it until the file is closed."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write(file: BinaryIO, data: bytes) -> None:
    """Write at the end: all of it, or nothing.

    Raises:
        OSError: there is no room, or the disk fails.
    """
    end = file.seek(0, os.SEEK_END)
    left = memoryview(data)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError:
        file.truncate(end)
        raise


def copy(source: BinaryIO, target: BinaryIO, start: int, end: int) -> None:
    """Add a part of one file to the end of another."""
    source.seek(start)
    while (left := end - source.tell()) > 0 and (piece := source.read(min(left, _PIECE))):
        write(target, piece)


def sync_folder(folder: Path) -> None:
    """The names in it are on the disk when this returns."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
