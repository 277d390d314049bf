"""What pickles made here call when they are loaded, at the other end.

Pickles refer to these by name, so a name here is never changed; see :mod:`gpu_workbench.values.pickles`.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Namespace:
    """Stands in a pickle for the globals of the notebook's own functions: at the other end, those of the session."""

    def __reduce__(self) -> tuple[Any, ...]:
        return current_namespace, ()


def current_namespace() -> dict[str, object]:
    """The namespace that a value is loaded into. The unpickler puts its own in this function's place."""
    raise RuntimeError("a value of the workbench is loaded by the workbench")


def function(code: types.CodeType, namespace: dict[str, object], cells: int | None) -> types.FunctionType:
    """A function of the notebook, whose globals are the session's; :func:`set_function` fills in the rest."""
    closure = None if cells is None else tuple(types.CellType() for _ in range(cells))
    return types.FunctionType(code, namespace, None, None, closure)


def set_function(made: types.FunctionType, state: tuple[dict[str, object], dict[str, Any]]) -> None:
    """Give a function its attributes and its closure's values, which may refer to the function itself."""
    attributes, slots = state
    made.__dict__.update(attributes)
    for cell, sent in zip(made.__closure__ or (), slots.pop("__closure__") or (), strict=True):
        try:
            cell.cell_contents = sent.cell_contents
        except ValueError:  # empty there, so empty here
            continue
    for name, value in slots.items():
        setattr(made, name, value)


def named(namespace: dict[str, object], name: str) -> object:
    """A function or class that came by itself, as its source."""
    return namespace[name]


def tensor(data: Buffer, dtype: str, shape: tuple[int, ...], device: str, requires_grad: bool) -> object:
    """A torch tensor on ``device``, or on the CPU where there is no such device."""
    import torch  # the pickle would not name this function if its sender had not used torch

    flat = torch.frombuffer(data, dtype=getattr(torch, dtype)) if memoryview(data).nbytes else torch.empty(0)
    made = flat.to(getattr(torch, dtype)).reshape(shape)
    if device != "cpu" and has_device(torch, device):
        made = made.to(device)
    return made.requires_grad_(requires_grad)


def has_device(torch: Any, device: str) -> bool:
    """Whether this process can hold a tensor on ``device``, such as ``cuda:1``."""
    kind, _, index = device.partition(":")
    if kind != "cuda":
        return False
    return bool(torch.cuda.is_available()) and int(index or 0) < torch.cuda.device_count()


def load_storage(data: bytes) -> object:
    """What ``torch.storage._load_from_bytes`` does, on the CPU where there is no CUDA."""
    import io

    torch: Any = sys.modules["torch"]
    where = None if torch.cuda.is_available() else "cpu"
    return torch.load(io.BytesIO(data), map_location=where, weights_only=False)
