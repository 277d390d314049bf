"""Whether a value is still what it was: a digest of its whole content, at memory speed.

Two equal fingerprints prove equal content (128 bits of xxh3, in a process that does not attack itself). Two different ones
prove nothing; the value is then sent again. A value that cannot be encoded has none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from gpu_workbench.core.errors import NotPicklable
from gpu_workbench.values.codecs import Encoded, encode

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BLOCK = 64 * 2**20
_THREADS = 4


def fingerprint(
    value: object, *, encoded: Encoded | None = None, namespace: Mapping[str, object] | None = None
) -> str | None:
    """32 hexadecimal digits, or ``None`` for a value that cannot be proven unchanged.

    Args:
        encoded: The value's bytes, where they are there already; otherwise they are made.
        namespace: As in :func:`gpu_workbench.values.codecs.encode`.
    """
    if is_frame(value):
        return _frame_digest(value)
    if encoded is None:
        try:
            encoded = encode(value, namespace=namespace)
        except NotPicklable:
            return None
    return digest((f"{encoded.codec} {encoded.length}".encode(), *encoded.chunks.parts()))


def is_frame(value: object) -> bool:
    """Whether it is a pandas frame or series, by their exact types."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and type(value) in (pandas.DataFrame, pandas.Series)


def digest(parts: Iterable[Buffer]) -> str:
    """The digest of ``parts`` in order, large ones by several threads. Where a part ends matters."""
    import xxhash

    total = xxhash.xxh3_128()
    for part in parts:
        view = memoryview(part).cast("B")
        total.update(len(view).to_bytes(8, "little"))
        if len(view) <= _BLOCK:
            total.update(view)
        else:
            for block in _blocks(view):
                total.update(block)
    found: str = total.hexdigest()
    return found


def _blocks(view: memoryview) -> Iterator[bytes]:
    """The digest of each 64 MiB block; the same however many threads there are."""
    import xxhash

    def one(start: int) -> bytes:
        found: bytes = xxhash.xxh3_128(view[start : start + _BLOCK]).digest()
        return found

    starts = range(0, len(view), _BLOCK)
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        yield from pool.map(one, starts)


def _frame_digest(value: Any) -> str | None:
    """Column by column: pandas rearranges the blocks behind them without a change of content."""
    frame = value.to_frame() if hasattr(value, "to_frame") else value
    about = [type(value).__name__, str(getattr(value, "name", "")), list(frame.columns), dict(value.attrs)]
    found = [fingerprint(about), _array_digest(frame.index)]
    found.extend(map(_array_digest, _columns(frame)))
    if None in found:
        return None
    return digest(str(part).encode() for part in found)


def _array_digest(value: Any) -> str | None:
    content = fingerprint(value)
    return content and f"{getattr(value, 'dtype', '')} {getattr(value, 'shape', '')} {content}"


def _columns(frame: Any) -> Iterator[object]:
    """The columns' arrays without copying: those that lie side by side in one array come as that array."""
    import numpy

    beside: list[Any] = []

    def together() -> Any:
        first, count = beside[0], len(beside)
        shape, strides = (len(first), count), (first.strides[0], first.itemsize)
        return numpy.lib.stride_tricks.as_strided(first, shape, strides, writeable=False)

    for index in range(frame.shape[1]):
        column = frame.iloc[:, index].array
        array = column.to_numpy() if type(column).__name__ == "NumpyExtensionArray" else column
        strided = (
            isinstance(array, numpy.ndarray) and not array.flags.c_contiguous and array.dtype.kind != "O"
        )
        if beside and not (strided and _follows(beside, array)):
            yield together()
            beside.clear()
        if strided:
            beside.append(array)
        else:
            yield array
    if beside:
        yield together()


def _follows(beside: list[Any], array: Any) -> bool:
    first = beside[0]
    address = first.ctypes.data + len(beside) * first.itemsize
    same = (array.dtype, array.strides, array.shape) == (first.dtype, first.strides, first.shape)
    return same and array.ctypes.data == address
