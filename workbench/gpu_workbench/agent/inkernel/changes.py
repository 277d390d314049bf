"""Which variables a cell changes, as far as its text says."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_CONTAINERS = (
    "append appendleft clear difference_update discard extend extendleft insert intersection_update pop popitem popleft "
    "remove reverse rotate setdefault sort symmetric_difference_update update"
)
_ARRAYS = "fill itemset partition put resize setfield setflags"
_MODELS = "fit load_state_dict partial_fit"
_MUTATORS = frozenset(f"{_CONTAINERS} {_ARRAYS} {_MODELS}".split())
"""Methods that change their object, whatever it is. Reading ones have none of these names."""


def changed_names(cell: str) -> set[str]:
    """Names that ``cell`` stores, imports or defines, or whose values it changes in place, in whatever scope.

    In place are stores into an item or attribute and ``del`` of one, methods whose very name says so (those of Python's own
    containers and of numpy, ``fit``, torch's that end with an underscore), and the arguments ``inplace=True`` and ``out=``.
    A change by a function that the cell calls is not seen.
    """
    try:
        tree = ast.parse(cell)
    except (SyntaxError, ValueError):
        return set()
    return {name for node in ast.walk(tree) for name in _changed(node)}


def _changed(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        if not isinstance(node.ctx, ast.Load):
            yield from _root(node)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and _changes_its_object(node, node.func.attr):
            yield from _root(node.func)
        for keyword in node.keywords:
            if keyword.arg == "out":
                yield from _root(keyword.value)


def _changes_its_object(call: ast.Call, method: str) -> bool:
    if method in _MUTATORS or (method.endswith("_") and not method.startswith("_")):
        return True
    return any(
        keyword.arg == "inplace" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for keyword in call.keywords
    )


def _root(node: ast.expr) -> Iterator[str]:
    """The variable that an expression such as ``a.b[c].d`` starts from; none where it starts from a call."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
