"""Dataclasses to JSON and back, the one wire form of everything here.

A field that has its default value is left out; unknown fields are ignored, so that either end may be newer.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import TypeVar, Union

from gpu_workbench.core.errors import ProtocolError

Json = Union[None, bool, int, float, str, "list[Json]", "dict[str, Json]"]
JsonObject = dict[str, Json]

T = TypeVar("T")


def encode(value: object) -> Json:
    """The JSON form of a dataclass, enum, tuple, mapping or plain value.

    Numbers that JSON does not have (NaN, infinity) become ``None``.

    Raises:
        TypeError: a value that has no JSON form.
    """
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return encode_fields(value)
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [encode(item) for item in items]
    raise TypeError(f"{type(value).__name__} has no JSON form")


def encode_fields(value: object) -> JsonObject:
    """The JSON object of a dataclass instance, without the fields that hold their default."""
    form: JsonObject = {}
    cls: type = type(value)
    for name, default in _fields(cls):
        item = getattr(value, name)
        if item != default:
            form[name] = encode(item)
    return form


def decode(cls: type[T], form: Mapping[str, Json]) -> T:
    """Build the dataclass ``cls`` from its JSON object.

    Raises:
        ProtocolError: a field is missing or has the wrong type.
    """
    arguments: dict[str, object] = {}
    target: type = cls
    for name, convert in _converters(target).items():
        if name in form:
            try:
                arguments[name] = convert(form[name])
            except (TypeError, ValueError, OverflowError) as error:
                raise ProtocolError(f"{cls.__name__}.{name} cannot be read", why=str(error)) from None
    try:
        return cls(**arguments)
    except TypeError as error:
        raise ProtocolError(f"{cls.__name__} cannot be read", why=str(error)) from None


class _Required:
    """Equals nothing: the default of a field that has none."""

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__


@functools.cache
def _fields(cls: type) -> tuple[tuple[str, object], ...]:
    found = []
    for field in dataclasses.fields(cls):
        default: object = _Required()
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        found.append((field.name, default))
    return tuple(found)


_Converter = typing.Callable[[Json], object]


@functools.cache
def _converters(cls: type) -> dict[str, _Converter]:
    hints = typing.get_type_hints(cls, localns={"Json": Json})  # a JsonObject names it wherever it is used
    return {field.name: _converter(hints[field.name]) for field in dataclasses.fields(cls)}


def _converter(hint: object) -> _Converter:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        inner = [part for part in parts if part is not type(None)]
        if len(inner) != 1:
            return _plain
        convert = _converter(inner[0])
        return lambda form: None if form is None else convert(form)
    if origin is tuple:
        convert = _converter(parts[0])
        return lambda form: tuple(convert(item) for item in _as_list(form))
    if origin is dict or origin is Mapping:
        key_of, convert = (int if parts[0] is int else str), _converter(parts[1])
        return lambda form: {key_of(key): convert(item) for key, item in _as_object(form).items()}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        target: type = hint
        return lambda form: decode(target, _as_object(form))
    if hint is float:
        return _as_float
    if hint is bool:
        return lambda form: _exactly(form, bool)
    if hint is int:
        return lambda form: _exactly(form, int)
    if hint is str:
        return lambda form: _exactly(form, str)
    return _plain


def _plain(form: Json) -> object:
    return form


def _as_float(form: Json) -> float:
    if isinstance(form, bool) or not isinstance(form, int | float):
        raise TypeError(f"a number was expected, not {form!r:.80}")
    return float(form)


def _exactly(form: Json, cls: type[T]) -> T:
    if not isinstance(form, cls) or (cls is int and isinstance(form, bool)):
        raise TypeError(f"{cls.__name__} was expected, not {form!r:.80}")
    return form


def _as_list(form: Json) -> list[Json]:
    if not isinstance(form, list):
        raise TypeError(f"a list was expected, not {form!r:.80}")
    return form


def _as_object(form: Json) -> dict[str, Json]:
    if not isinstance(form, dict):
        raise TypeError(f"an object was expected, not {form!r:.80}")
    return form
