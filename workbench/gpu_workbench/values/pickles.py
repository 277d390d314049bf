"""Pickle 5 with out-of-band buffers, for everything that no data codec holds.

Functions and classes of the notebook travel by value, with cloudpickle. Unlike there, a function defined in the notebook
does not carry its globals: at the other end it reads the session's own, as it reads the notebook's here. Which names those
are is reported (:attr:`Pickled.reads`), so that the caller can see to it that they travel too.

Either end may have cloudpickle under another name: the agent brings its own copy along as ``_gwb_cloudpickle``.
"""

from __future__ import annotations

import functools
import io
import itertools
import logging
import pickle
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpu_workbench.values import rebuild
from gpu_workbench.values.frames import Frame, header
from gpu_workbench.values.plain import is_a

PRIVATE_CLOUDPICKLE = "_gwb_cloudpickle"
_IN_BAND_BELOW = 64 * 2**10
_HEAP_TYPE = 1 << 9


@dataclass(frozen=True)
class Pickled:
    """A pickled value, its large parts still where they were.

    Args:
        stream: The pickle, in parts.
        buffers: The out-of-band buffers: the value's own memory.
        reads: Global names of the notebook that functions inside the value read.
        objects: The mutable objects inside the value by ``id``: two values that have one in common share it.
    """

    stream: Sequence[bytes]
    buffers: Sequence[memoryview]
    reads: frozenset[str] = frozenset()
    objects: Mapping[int, object] = field(default_factory=dict)

    def parts(self) -> Iterator[bytes | memoryview]:
        """The frame, in order."""
        yield header(pickle=sum(map(len, self.stream)), buffers=map(len, self.buffers))
        yield from self.stream
        yield from self.buffers


class _Stream:
    """A file for the pickler: keeps what it is given, without joining it."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.parts.append(data)
        return len(data)


def cloudpickle_module() -> types.ModuleType:
    """cloudpickle: the agent's own copy where it brought one, else the installed one.

    Raises:
        ModuleNotFoundError: there is none.
    """
    import importlib

    for name in (PRIVATE_CLOUDPICKLE, "cloudpickle"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as missing:
            if missing.name != name:
                raise
    raise ModuleNotFoundError("cloudpickle is not installed here", name="cloudpickle")


def dump(value: object, *, namespace: Mapping[str, object] | None = None, by_name: bool = False) -> Pickled:
    """Pickle ``value``.

    Args:
        namespace: The globals of the notebook's own functions. ``None`` sends a function's globals with it.
        by_name: Functions and classes of the notebook go as their name, not as bytecode, which another minor version of
            Python could not run. The other end must have them; they are among what is read.

    Raises:
        TypeError: by name, for a function or class that no name of the notebook stands for.
        Exception: whatever the value's own ``__reduce__`` raises.
    """
    stream = _Stream()
    buffers: list[memoryview] = []

    def out_of_band(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if len(view) < _IN_BAND_BELOW:
            return True
        buffers.append(view)
        return False

    pickler = _pickler_class()(stream, protocol=5, buffer_callback=out_of_band)
    pickler.namespace = namespace
    pickler.by_name = by_name
    pickler.dump(value)
    return Pickled(
        stream=stream.parts, buffers=buffers, reads=frozenset(pickler.reads), objects=dict(pickler.objects)
    )


def load(frame: Frame, *, namespace: dict[str, object] | None = None) -> object:
    """Unpickle a frame. Its buffers become the memory of what was in them. Only for what a trusted sender sent.

    Args:
        namespace: What functions of the notebook read as their globals here. ``None`` gives them an empty one.
    """
    unpickler = _Unpickler(io.BytesIO(frame.pickle), buffers=frame.buffers)
    unpickler.namespace = {"__name__": "__main__"} if namespace is None else namespace
    return unpickler.load()


@functools.cache
def _pickler_class() -> Any:
    """The pickler, made when it is first needed: cloudpickle is not imported before."""

    class Pickler(cloudpickle_module().Pickler):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.namespace: Mapping[str, object] | None = None
            self.by_name = False
            self.reads: set[str] = set()
            self.objects: dict[int, object] = {}

        def reducer_override(self, value: Any) -> Any:
            if self.by_name and (is_a(value, types.FunctionType) or is_a(value, type)):
                return self._named(value)
            if is_a(value, types.FunctionType):
                return self._function(value)
            torch = sys.modules.get("torch")
            if torch is not None and type(value) is getattr(torch, "Tensor", None):
                self.objects[id(value)] = value
                return _tensor(torch, value)
            if _shared_by_identity(value):
                self.objects[id(value)] = value
            return super().reducer_override(value)

        def _function(self, value: types.FunctionType) -> Any:
            reduced = super().reducer_override(value)
            if self.namespace is None or value.__globals__ is not self.namespace:
                return reduced
            if not isinstance(reduced, tuple):  # travels as its name
                return reduced
            self.reads |= global_names(value.__code__)
            attributes, slots = reduced[2]
            kept = {
                name: slots[name] for name in slots if name not in ("__globals__", "_cloudpickle_submodules")
            }
            cells = None if value.__closure__ is None else len(value.__closure__)
            args = (value.__code__, rebuild.Namespace(), cells)
            return rebuild.function, args, (attributes, kept), None, None, rebuild.set_function

        def _named(self, value: Any) -> Any:
            reduced = super().reducer_override(value)
            if not isinstance(reduced, tuple):
                return reduced
            name = value.__qualname__
            if self.namespace is None or self.namespace.get(name) is not value:
                raise TypeError(f"{name} has no name of its own to go by to another version of Python")
            self.reads.add(name)
            return rebuild.named, (rebuild.Namespace(), name)

    return Pickler


class _Unpickler(pickle.Unpickler):
    namespace: dict[str, object]

    def find_class(self, module: str, name: str) -> Any:
        top, _, rest = module.partition(".")
        if top in ("cloudpickle", PRIVATE_CLOUDPICKLE):
            module = ".".join(filter(None, (cloudpickle_module().__name__, rest)))
        elif module.endswith(".values.rebuild"):
            return self._own_namespace if name == "current_namespace" else getattr(rebuild, name)
        elif (module, name) == ("torch.storage", "_load_from_bytes") and "torch" in sys.modules:
            return rebuild.load_storage
        return super().find_class(module, name)

    def _own_namespace(self) -> dict[str, object]:
        return self.namespace


def global_names(code: types.CodeType) -> set[str]:
    """The global names that ``code``, or code inside it, reads; some may be builtins, or attributes of that name."""
    import dis

    found = {
        step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return found.union(itertools.chain.from_iterable(map(global_names, inner)))


def _shared_by_identity(value: object) -> bool:
    """Whether it matters that two names hold the very same object: it can be changed in place."""
    kind = type(value)
    if issubclass(type(value), type | types.ModuleType | logging.Logger):
        return False
    numpy = sys.modules.get("numpy")
    if numpy is not None and is_a(value, numpy.ndarray):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and issubclass(type(value), getattr(torch, "Tensor", ())):
        return True
    return bool(kind.__flags__ & _HEAP_TYPE) and kind.__hash__ in (None, object.__hash__)


def _tensor(torch: Any, value: Any) -> Any:
    """Plain tensors give their memory away as a buffer; all others are left to torch's own pickling."""
    if value.layout is not torch.strided or value.is_quantized or value.is_conj() or value.is_neg():
        return NotImplemented
    if value.device.type not in ("cpu", "cuda") or value.__dict__:
        return NotImplemented
    here = value.detach().cpu().contiguous()
    data = pickle.PickleBuffer(here.reshape(-1).view(torch.uint8).numpy())
    dtype = str(value.dtype).removeprefix("torch.")
    return rebuild.tensor, (data, dtype, tuple(value.shape), str(value.device), value.requires_grad)
