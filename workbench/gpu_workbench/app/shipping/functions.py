"""What functions and classes of the notebook need beside themselves: the names they read, or their source."""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import linecache
import textwrap
import types
from collections.abc import Iterator, Mapping

from gpu_workbench.app.shipping.scopes import global_reads
from gpu_workbench.core.errors import NotPicklable
from gpu_workbench.values.plain import is_a


def names_of(value: object, *, namespace: Mapping[str, object]) -> frozenset[str]:
    """Names of the notebook that ``value`` reads when it is used, through whatever other functions of the notebook.

    Follows functions, methods, classes, partials, wrapped functions, and instances of the notebook's classes. Functions of
    installed modules read their own module's names, and need none.

    Args:
        namespace: The notebook's globals.
    """
    found: set[str] = set()
    seen: set[int] = set()
    rest = [value]
    while rest:
        item = rest.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        for function in _functions(item, namespace):
            for name in global_reads(function.__code__).keys() & namespace.keys():
                found.add(name)
                rest.append(namespace[name])
            rest.extend(_closure(function))
    return frozenset(found)


def source_of(value: object, *, name: str = "") -> str:
    """The source of a function or class as its defining cell has it: what travels to another minor version of Python.

    Raises:
        NotPicklable: it has no source of its own, or closes over variables that would not travel with it.
    """
    why = ""
    source = None
    inner = inspect.unwrap(value) if callable(value) else value
    if getattr(inner, "__name__", "") == "<lambda>":
        why = "a lambda is a part of a line"
    elif isinstance(inner, types.FunctionType) and inner.__closure__:
        why = f"this one closes over {', '.join(inner.__code__.co_freevars)}"
    else:
        source = _class_source(inner) if isinstance(inner, type) else _function_source(inner)
        why = "it has none here"
    if source is None:
        raise NotPicklable(
            f"{name or getattr(value, '__name__', 'A value')} cannot travel to another version of Python",
            why=f"functions and classes go there as their source, and {why}",
            fix="Define it with def or class at the top of a cell, or use an image with this version of Python",
        )
    return textwrap.dedent(source)


def _function_source(function: object) -> str | None:
    try:
        return inspect.getsource(function)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return None


def _class_source(kind: type) -> str | None:
    """The cell that defined a class is found by one of its methods, else by looking through the cells, newest first."""
    codes = [member.__code__ for member in vars(kind).values() if isinstance(member, types.FunctionType)]
    files = [code.co_filename for code in codes] or reversed(list(linecache.cache))
    for filename in files:
        text = "".join(linecache.getlines(filename))
        if f"class {kind.__name__}" not in text:
            continue
        with contextlib.suppress(SyntaxError):
            for node in reversed(ast.parse(text).body):
                if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
                    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                    return "".join(text.splitlines(keepends=True)[first - 1 : node.end_lineno])
    return None


def _functions(value: object, namespace: Mapping[str, object]) -> Iterator[types.FunctionType]:
    """The notebook's functions that make up ``value``."""
    if is_a(value, types.FunctionType) and value.__globals__ is namespace:
        yield value
    parts = _parts(value)
    if parts is None:
        kind = value if is_a(value, type) else type(value)
        home = namespace.get("__name__", "__main__")
        members = (vars(base).values() for base in kind.__mro__ if base.__module__ == home)
        parts = [member for group in members for member in group if not is_a(member, type)]
    for part in parts:
        yield from _functions(part, namespace)


def _parts(value: object) -> list[object] | None:
    """What a callable calls; ``None`` for what is none of the usual ones."""
    if is_a(value, types.FunctionType):
        return [value.__wrapped__] if hasattr(value, "__wrapped__") else []
    if is_a(value, types.MethodType):
        return [value.__func__, value.__self__]
    if is_a(value, staticmethod) or is_a(value, classmethod):
        return [value.__func__]
    if is_a(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if is_a(value, property):
        return [value.fget, value.fset, value.fdel]
    return None


def _closure(function: types.FunctionType) -> Iterator[object]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue
