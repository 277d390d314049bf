"""Which bytes a value travels as: data first, a pickle last.

=========  ====================================================================================================
``json``   ``None``, bools, ints, finite floats, strings, and lists and dicts of them, if small and without sharing
``bytes``  the content of a ``bytes`` object
``npy``    numpy's own file format, version 1 to 3, for arrays of numbers, dates and fixed-length strings; no pickle
``pickle5``  a frame of :mod:`gpu_workbench.values.frames`; loaded only when its sender is trusted
``source``   the source of one function or class, for another minor version of Python; run only as a pickle is loaded
=========  ====================================================================================================

What comes back equals what was sent, types and all; a value that ``json`` would change travels otherwise.
"""

from __future__ import annotations

import io
import json
import linecache
import math
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpu_workbench.core.errors import ForgedValue, NotPicklable, ProtocolError, ShippingError
from gpu_workbench.values import frames, pickles
from gpu_workbench.values.blame import blame
from gpu_workbench.values.frames import Filler, Reader, Receiving
from gpu_workbench.values.plain import fits_json, type_name

if TYPE_CHECKING:
    from typing_extensions import Buffer

JSON, BYTES, NPY, PICKLE, SOURCE = "json", "bytes", "npy", "pickle5", "source"

_NPY_KINDS = "?biufcmMSU"


@dataclass(frozen=True)
class Chunks:
    """The bytes of a value, in views of at most 1 MiB. Can be gone through again, for a second attempt."""

    parts: Callable[[], Iterable[Buffer]]

    def __iter__(self) -> Iterator[memoryview]:
        return frames.pieces(self.parts())


@dataclass(frozen=True)
class Encoded:
    """A value ready to travel. Large parts are the value's own memory: it must not change before they are sent.

    Args:
        length: Bytes in all.
        type: What it is, for people: ``numpy.ndarray``, ``int``, ``Net``.
        reads: Global names of the notebook that functions inside it read, and that must therefore travel too.
        objects: Mutable objects inside it, by ``id``; values that have one in common have to travel together.
    """

    codec: str
    length: int
    chunks: Chunks
    type: str
    reads: frozenset[str] = frozenset()
    objects: Mapping[int, object] = field(default_factory=dict)


def encode(
    value: object,
    *,
    name: str = "",
    namespace: Mapping[str, object] | None = None,
    by_name: bool = False,
    shared: bool = False,
) -> Encoded:
    """Choose the codec for ``value`` and prepare its bytes; memory for large parts is not copied.

    Args:
        name: What the value is called, for errors.
        namespace: The globals of the notebook's own functions, which they find again at the other end.
        by_name: The other end runs another minor version of Python, and has the notebook's functions and classes from
            :func:`encode_source`.
        shared: Only a codec that keeps it one and the same object where ``value`` holds one object several times.

    Raises:
        NotPicklable: no codec holds it; says which part of it.
    """
    if shared:
        return _encode_pickle(value, name=name, namespace=namespace, by_name=by_name)
    if fits_json(value):
        data = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")
        objects = {id(value): value} if type(value) in (list, dict) else {}
        return _encoded(JSON, value, [data], objects=objects)
    if type(value) is bytes:
        return _encoded(BYTES, value, [value])
    array = _plain_array(value)
    if array is not None:
        return _encode_npy(value, array)
    return _encode_pickle(value, name=name, namespace=namespace, by_name=by_name)


def encode_source(value: type | types.FunctionType, source: str) -> Encoded:
    """A function or class as the source that defines it."""
    data = json.dumps({"name": value.__name__, "source": source}).encode()
    return _encoded(SOURCE, value, [data])


def decode(
    codec: str,
    reader: Reader,
    *,
    length: int,
    trust_pickle: bool,
    namespace: dict[str, object] | None = None,
) -> object:
    """Read a value of ``length`` bytes from ``reader``. Arguments and errors as :class:`Decoder`."""
    decoder = Decoder(codec, length=length, trust_pickle=trust_pickle, namespace=namespace)
    decoder.filler.read(reader)
    return decoder.value()


class Decoder:
    """Takes the bytes of a value as they come, each straight to its final place, and makes the value at the end.

    Args:
        length: Bytes in all.
        trust_pickle: Whether its sender is known, so that a pickle may be loaded.
        namespace: What functions of the notebook read as their globals here.

    Raises:
        ForgedValue: it is a pickle, and its sender is not known.
        ProtocolError: the codec is unknown, or its bytes are not what it says.
    """

    def __init__(
        self, codec: str, *, length: int, trust_pickle: bool, namespace: dict[str, object] | None = None
    ) -> None:
        if codec in (PICKLE, SOURCE) and not trust_pickle:
            raise ForgedValue(
                "A pickle was not loaded",
                why="loading it would run code of a sender that is not known",
                fix="Only take pickles from runs you started",
            )
        receive = _RECEIVERS.get(codec)
        if receive is None:
            raise ProtocolError("A value cannot be read", why=f"its codec {codec!r} is not known here")
        self._namespace = namespace
        self.filler = Filler(receive(length))
        self.get_buffer = self.filler.get_buffer
        self.buffer_updated = self.filler.buffer_updated
        self.feed = self.filler.feed

    @property
    def done(self) -> bool:
        """Whether every byte has come."""
        return self.filler.done

    def value(self) -> object:
        """The value, once it is done.

        Raises:
            ShippingError: it needs a package that is not installed here.
        """
        result = self.filler.result
        try:
            if isinstance(result, frames.Frame):
                return pickles.load(result, namespace=self._namespace)
            if isinstance(result, _Source):
                return result.run({"__name__": "__main__"} if self._namespace is None else self._namespace)
        except ModuleNotFoundError as error:
            raise _missing(error) from error
        return result


@dataclass(frozen=True)
class _Source:
    """The source of one definition, whose functions read the session's names and whose lines tracebacks can show."""

    name: str
    source: str

    def run(self, namespace: dict[str, object]) -> object:
        filename = f"<{self.name} from the notebook>"
        linecache.cache[filename] = len(self.source), None, self.source.splitlines(keepends=True), filename
        made: dict[str, object] = {}
        exec(compile(self.source, filename, "exec", dont_inherit=True), namespace, made)  # noqa: S102 - a trusted sender's
        return made[self.name]


def _encoded(codec: str, value: object, parts: list[Any], **more: Any) -> Encoded:
    length = sum(memoryview(part).nbytes for part in parts)
    return Encoded(codec=codec, length=length, chunks=Chunks(lambda: parts), type=type_name(value), **more)


def _encode_pickle(
    value: object, *, name: str, namespace: Mapping[str, object] | None, by_name: bool
) -> Encoded:
    try:
        pickled = pickles.dump(value, namespace=namespace, by_name=by_name)
    except Exception as error:
        path, reason = blame(value, name=name or "value", namespace=namespace, error=error)
        raise NotPicklable(
            f"{name or 'A value'} cannot travel",
            why=f"{path} {reason}",
            fix="Make it in the cell that uses it, or leave that part out",
        ) from error
    return _encoded(PICKLE, value, list(pickled.parts()), reads=pickled.reads, objects=pickled.objects)


def _plain_array(value: object) -> Any:
    """``value`` as an array that ``npy`` holds exactly, or ``None``."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) not in (numpy.ndarray, numpy.memmap):
        return None
    array: Any = numpy.asarray(value)
    dtype = array.dtype
    if dtype.kind not in _NPY_KINDS or dtype.num >= 256 or not dtype.itemsize or dtype.metadata:
        return None
    return array if numpy.dtype(dtype.str) == dtype else None


def _encode_npy(value: object, array: Any) -> Encoded:
    from numpy.lib import format as npy

    head = io.BytesIO()
    npy.write_array_header_1_0(head, npy.header_data_from_array_1_0(array))
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    contiguous = array.flags.c_contiguous or array.flags.f_contiguous

    def parts() -> Iterator[Buffer]:
        yield head.getvalue()
        if contiguous:
            if array.size:
                yield _flat(array, order).data
        else:
            yield from _copied(array)

    length = len(head.getvalue()) + array.nbytes
    return Encoded(
        codec=NPY, length=length, chunks=Chunks(parts), type=type_name(value), objects={id(value): value}
    )


def _flat(array: Any, order: str) -> Any:
    return array.reshape(-1, order=order).view("u1")


def _copied(array: Any) -> Iterator[Buffer]:
    """An array that is not in one piece, copied 1 MiB at a time in C order."""
    import numpy

    count = max(frames.PIECE // array.itemsize, 1)
    flags = ["external_loop", "buffered", "zerosize_ok"]
    for part in numpy.nditer(array, flags=flags, buffersize=count, order="C"):  # type: ignore[call-overload]
        yield part.tobytes("C")


def _missing(error: ModuleNotFoundError) -> ShippingError:
    return ShippingError(
        "A value cannot be made here",
        why=f"it needs {error.name}, which is not installed where it arrived",
        fix=f"Use an image that has {error.name}, or %gpu pip install it",
    )


def _receive_json(length: int) -> Receiving[object]:
    data = bytearray(length)
    yield memoryview(data)
    try:
        return json.loads(data)
    except ValueError as error:
        raise ProtocolError("A value cannot be read", why=f"it is not JSON: {error}") from None


def _receive_source(length: int) -> Receiving[_Source]:
    form = yield from _receive_json(length)
    if not isinstance(form, dict) or not all(isinstance(form.get(key), str) for key in ("name", "source")):
        raise ProtocolError("A value cannot be read", why="it is no source")
    return _Source(form["name"], form["source"])


def _receive_bytes(length: int) -> Receiving[bytes]:
    """``bytes`` cannot be written to, but the memory of a ``BytesIO`` becomes theirs without a copy."""
    if not length:
        return b""
    file = io.BytesIO()
    file.seek(length - 1)
    file.write(b"\0")
    with file.getbuffer() as place:
        yield place
    return file.getvalue()


def _receive_npy(length: int) -> Receiving[object]:
    try:
        import numpy
        from numpy.lib import format as npy
    except ModuleNotFoundError as error:
        raise _missing(error) from error

    start = bytearray(12)
    if length < len(start):
        raise ProtocolError("A value cannot be read", why="it is too short for an array")
    yield memoryview(start)
    size = int.from_bytes(start[8:10] if start[6] == 1 else start[8:12], "little") + (
        10 if start[6] == 1 else 12
    )
    if start[:6] != npy.MAGIC_PREFIX or not len(start) <= size <= min(length, 2**16):
        raise ProtocolError("A value cannot be read", why="it is no numpy array")
    rest = bytearray(size - len(start))
    if rest:
        yield memoryview(rest)
    file = io.BytesIO(start + rest)
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except ValueError as error:
        raise ProtocolError("A value cannot be read", why=str(error)) from None
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != length - size:
        raise ProtocolError("A value cannot be read", why=f"{length - size} bytes are not {shape} of {dtype}")
    array = numpy.empty(shape, dtype, order="F" if fortran else "C")
    if array.size:
        yield _flat(array, "F" if fortran else "C").data
    return array


_RECEIVERS: dict[str, Callable[[int], Receiving[Any]]] = {
    JSON: _receive_json,
    BYTES: _receive_bytes,
    NPY: _receive_npy,
    PICKLE: frames.receive,
    SOURCE: _receive_source,
}
