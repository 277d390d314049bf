"""Which part of a value is the one that cannot be pickled."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterator, Mapping

from gpu_workbench.values import pickles
from gpu_workbench.values.plain import is_a

_DEPTH = 20
_TRIES = 500


def blame(
    value: object, *, name: str, namespace: Mapping[str, object] | None = None, error: Exception
) -> tuple[str, str]:
    """The path to the smallest part of ``value`` that cannot be pickled, such as ``model.lock``, and what is wrong with it.

    Args:
        name: What the path begins with.
        error: What pickling the whole raised.
    """
    tries = _TRIES
    for _ in range(_DEPTH):
        for path, part in _looked_into(value, name):
            tries -= 1
            if tries < 0:
                return name, _reason(value, error)
            failed = _failure(part, namespace)
            if failed is not None:
                name, value, error = path, part, failed
                break
        else:
            break
    return name, _reason(value, error)


def _failure(value: object, namespace: Mapping[str, object] | None) -> Exception | None:
    if value is None or type(value) in (bool, int, float, str, bytes):
        return None
    try:
        pickles.dump(value, namespace=namespace)
    except Exception as error:  # a user's __reduce__ may raise anything
        return error
    return None


def _reason(value: object, error: Exception) -> str:
    kind = type(value)
    full = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"is a {full} ({error})"


def _looked_into(value: object, name: str) -> Iterator[tuple[str, object]]:
    """The parts of a value, as far as it lets itself be looked into: a user's object may raise at anything."""
    with contextlib.suppress(Exception):
        yield from _parts(value, name)


def _parts(value: object, name: str) -> Iterator[tuple[str, object]]:
    """What ``value`` is made of, each part with the expression that reaches it."""
    if is_a(value, dict):
        for key, item in list(value.items()):
            yield f"{name}[{key!r:.40}]", item
            yield f"the key {key!r:.40} of {name}", key
    elif is_a(value, list) or is_a(value, tuple):
        for index, item in enumerate(list(value)):
            yield f"{name}[{index}]", item
    elif is_a(value, set) or is_a(value, frozenset):
        for item in list(value):
            yield f"{item!r:.40} in {name}", item
    elif is_a(value, types.FunctionType):
        yield from _function_parts(value, name)
    elif is_a(value, types.MethodType):
        yield f"{name}.__self__", value.__self__
    if not is_a(value, type) and not is_a(value, types.ModuleType):
        yield from _attributes(value, name)


def _function_parts(value: types.FunctionType, name: str) -> Iterator[tuple[str, object]]:
    for variable, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
        try:
            yield f"{variable} inside {name}", cell.cell_contents
        except ValueError:  # an empty cell
            continue
    for index, item in enumerate(value.__defaults__ or ()):
        yield f"default {index + 1} of {name}", item
    for keyword, item in (value.__kwdefaults__ or {}).items():
        yield f"default {keyword} of {name}", item


def _attributes(value: object, name: str) -> Iterator[tuple[str, object]]:
    for attribute, item in list(getattr(value, "__dict__", {}).items()):
        yield f"{name}.{attribute}", item
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in ("__dict__", "__weakref__") and hasattr(value, slot):
                yield f"{name}.{slot}", getattr(value, slot)
