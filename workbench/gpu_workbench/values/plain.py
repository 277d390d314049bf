"""What can be told of a value by looking at it: its type in words, and whether ``json`` gives it back as it was."""

from __future__ import annotations

import math
from typing import Any, TypeGuard, TypeVar

ITEMS = 10_000
CHARACTERS = 2**20
DEPTH = 50
INT_BITS = 4096


T = TypeVar("T")


def is_a(value: object, kind: type[T]) -> TypeGuard[T]:
    """What ``isinstance`` tells of a user's value, by its type alone.

    ``isinstance`` asks the value for its ``__class__``, too, at which a proxy outside of its context raises.
    """
    return issubclass(type(value), kind)


def type_name(value: object) -> str:
    """What a value is, for people: ``numpy.ndarray``, ``int``, ``Net``."""
    kind = type(value)
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"


def fits_json(value: object) -> bool:
    """Whether ``value`` survives ``json`` unchanged, types and all, and is small.

    Tuples, keys that are no strings, NaN, subclasses, cycles, and lists or dicts that occur twice do not.
    """
    items = characters = 0
    seen: set[int] = set()
    level = [value]
    for _ in range(DEPTH):
        below: list[object] = []
        for item in level:
            if type(item) is list or type(item) is dict:
                parts = _parts(item)
                items += len(parts)
                if id(item) in seen or items > ITEMS:
                    return False
                seen.add(id(item))
                below.extend(parts)
            elif not _scalar_fits(item):
                return False
            elif type(item) is str:
                characters += len(item)
        if characters > CHARACTERS:
            return False
        if not below:
            return True
        level = below
    return False


def _parts(item: Any) -> list[object]:
    if type(item) is list:
        return item
    # a key that is no string is put where no scalar fits
    return [key if type(key) is str else (key,) for key in item] + list(item.values())


def _scalar_fits(item: Any) -> bool:
    kind = type(item)
    if kind is str:
        return item.isascii() or _has_utf8(item)
    if kind is int:
        return bool(item.bit_length() <= INT_BITS)
    if kind is float:
        return math.isfinite(item)
    return item is None or kind is bool


def _has_utf8(text: str) -> bool:
    """Lone surrogates have none, and two of them would come back as one character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
