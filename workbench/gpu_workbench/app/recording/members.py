"""A file of gzip members, each whole or not there: what a crash leaves of the last one is not read, what came before is.

``zcat`` reads it too.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import BinaryIO

MEMBER_LIMIT = 64 * 1024 * 1024
"""Bytes that one member may become: what is more was not written here."""

_PIECE = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS


class Damaged(Exception):
    """From here on the file is not what was written."""


def member(data: bytes) -> bytes:
    """The data as one member."""
    return gzip.compress(data, compresslevel=1, mtime=0)


def members(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The content of each member from where the file stands, in order, and where in the file it ends.

    Raises:
        Damaged: what follows is no whole member.
    """
    left = b""
    while left or (left := file.read(_PIECE)):
        data, left = _one(file, left)
        yield data, file.tell() - len(left)


def _one(file: BinaryIO, begun: bytes) -> tuple[bytes, bytes]:
    """The member that begins so, and what was read beyond it."""
    inflating, parts, length = zlib.decompressobj(_GZIP), [], 0
    try:
        piece = begun
        while not inflating.eof:
            parts.append(inflating.decompress(piece, MEMBER_LIMIT + 1 - length))
            length += len(parts[-1])
            if length > MEMBER_LIMIT:
                raise Damaged("it is too long")
            piece = inflating.unconsumed_tail
            if not inflating.eof and not piece and not (piece := file.read(_PIECE)):
                raise Damaged("it breaks off")
    except zlib.error as error:
        raise Damaged(str(error)) from None
    return b"".join(parts), inflating.unused_data
