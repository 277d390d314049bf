"""The frame of a pickle with its out-of-band buffers (PEP 574), and how bytes find their final place.

Layout, little-endian throughout: 8 bytes of magic, ``u32`` count of buffers, ``u64`` length of the pickle, one ``u64``
length per buffer, then the pickle, then the buffers in order.

Receiving is a generator of places: it yields one writable buffer after another, each to be filled to its end before the next
is asked for, and returns what they held. So the same code serves a socket (``recv_into``), a file (``readinto``) and an
``asyncio.BufferedProtocol``, and every byte is written once, where it stays.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from gpu_workbench.core.errors import ProtocolError

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAGIC = b"GWBP5\0\0\1"
PIECE = 2**20
"""Bytes at most that are handed on at a time."""

_HEAD = struct.Struct("<8sIQ")
_LENGTH = struct.Struct("<Q")
_MAPPED_FROM = 2 * 2**20
_MAX_BUFFERS = 2**24

T = TypeVar("T")
Receiving = Generator[memoryview, None, T]
Writable = bytearray | mmap.mmap


class Reader(Protocol):
    """What bytes are read from: any raw or buffered binary file, such as ``socket.makefile("rb")``."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Write up to ``len(buffer)`` bytes into ``buffer``; 0 at the end."""
        ...


@dataclass(frozen=True)
class Frame:
    """A received frame: the pickle and its buffers, which become the memory of the arrays they are unpickled into."""

    pickle: Writable
    buffers: tuple[Writable, ...]


def header(*, pickle: int, buffers: Iterable[int]) -> bytes:
    """The bytes before the pickle.

    Args:
        pickle: Length of the pickle in bytes.
        buffers: Length of each buffer in bytes.
    """
    lengths = list(buffers)
    return _HEAD.pack(MAGIC, len(lengths), pickle) + b"".join(map(_LENGTH.pack, lengths))


def allocate(length: int) -> Writable:
    """Writable memory of ``length`` bytes.

    Large memory is mapped, privately, and asked for in huge pages: it is not written before it is filled, and filling it
    takes a few hundred page faults instead of a few hundred thousand.
    """
    if length < _MAPPED_FROM:
        return bytearray(length)
    place = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without huge pages: only slower
            place.madvise(mmap.MADV_HUGEPAGE)
    return place


def receive(length: int) -> Receiving[Frame]:
    """Receive a frame of ``length`` bytes in all.

    Raises:
        ProtocolError: it is no frame, or its parts do not add up to ``length``. Nothing is allocated for such a frame.
    """
    head = bytearray(_HEAD.size)
    if length < len(head):
        raise ProtocolError("A value cannot be read", why=f"{length} bytes are too few for a frame")
    yield memoryview(head)
    magic, count, pickle = _HEAD.unpack(head)
    if magic != MAGIC:
        raise ProtocolError(
            "A value cannot be read", why=f"a frame begins with {MAGIC!r}, not {bytes(magic)!r}"
        )
    rest = length - len(head) - pickle - count * _LENGTH.size
    if count > _MAX_BUFFERS or rest < 0:
        raise ProtocolError("A value cannot be read", why="the parts of its frame are longer than the whole")
    table = bytearray(count * _LENGTH.size)
    if table:
        yield memoryview(table)
    lengths = [size for (size,) in _LENGTH.iter_unpack(table)]
    if sum(lengths) != rest:
        raise ProtocolError("A value cannot be read", why="the parts of its frame do not add up to the whole")
    places = [allocate(size) for size in (pickle, *lengths)]
    for place in places:
        if len(place):
            yield memoryview(place)
    return Frame(pickle=places[0], buffers=tuple(places[1:]))


def pieces(parts: Iterable[Buffer]) -> Iterator[memoryview]:
    """``parts`` as flat views of at most :data:`PIECE` bytes, without copying."""
    for part in parts:
        view = memoryview(part).cast("B")
        for start in range(0, len(view), PIECE):
            yield view[start : start + PIECE]


class Filler:
    """Drives a receiving generator with bytes as they come. The names are those of ``asyncio.BufferedProtocol``."""

    def __init__(self, receiving: Receiving[T]) -> None:
        self._receiving: Receiving[object] = receiving
        self._result: object = None
        self._place: memoryview | None = None
        self._filled = 0
        self._advance()

    @property
    def done(self) -> bool:
        """Whether every byte has come."""
        return self._place is None

    @property
    def result(self) -> object:
        """What was received, once it is done."""
        if self._place is not None:
            raise ProtocolError("A value cannot be read", why="it ended before all of it had come")
        return self._result

    def get_buffer(self, sizehint: int = -1) -> memoryview:
        """Where the next bytes belong; empty once it is done."""
        return memoryview(b"") if self._place is None else self._place[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """``nbytes`` bytes were written to the last buffer."""
        self._filled += nbytes
        if self._place is not None and self._filled == len(self._place):
            self._advance()

    def feed(self, data: Buffer) -> None:
        """Take ``data``, copying it to its place.

        Raises:
            ProtocolError: more came than was announced.
        """
        view = memoryview(data).cast("B")
        while len(view):
            place = self.get_buffer()[: len(view)]
            if not len(place):
                raise ProtocolError("A value cannot be read", why="more bytes came than were announced")
            place[:] = view[: len(place)]
            view = view[len(place) :]
            self.buffer_updated(len(place))

    def read(self, reader: Reader) -> object:
        """Read to the end from ``reader`` and return the result."""
        while not self.done:
            count = reader.readinto(self.get_buffer())
            if not count:
                break
            self.buffer_updated(count)
        return self.result

    def _advance(self) -> None:
        self._place, self._filled = None, 0
        try:
            self._place = next(self._receiving).cast("B")
        except StopIteration as end:
            self._result = end.value
