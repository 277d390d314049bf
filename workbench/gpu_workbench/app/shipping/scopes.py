"""What code reads and binds outside itself, as the compiler sees it."""

from __future__ import annotations

import ast
import dis
import types
from collections.abc import Iterator

_READING = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_SET_BY_CLASSES = frozenset({"__name__", "__class__", "__module__", "__qualname__", "__annotations__"})


def global_reads(code: types.CodeType) -> dict[str, int]:
    """Global names that ``code``, or code inside it, reads, each with its first line there."""
    found: dict[str, int] = {}
    lines = dict(dis.findlinestarts(code))
    line = code.co_firstlineno
    for step in dis.get_instructions(code):
        line = lines.get(step.offset) or line
        if step.opname in _READING and step.argval not in _SET_BY_CLASSES:
            found.setdefault(step.argval, line)
    for inner in _inner(code):
        for name, first in global_reads(inner).items():
            found.setdefault(name, first)
    return found


def global_stores(code: types.CodeType) -> set[str]:
    """Global names that ``code``, or code inside it, binds."""
    found = {step.argval for step in dis.get_instructions(code) if step.opname == "STORE_GLOBAL"}
    return found.union(*map(global_stores, _inner(code)))


def body_code(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, *, class_name: str = ""
) -> types.CodeType:
    """The body of a function alone, without its decorators, defaults and annotations, which run when it is defined.

    Args:
        class_name: Of the class around it: private names are mangled with it.
    """
    arguments = ast.arguments(**dict(ast.iter_fields(node.args)))
    arguments.defaults = [ast.Constant(None) for _ in node.args.defaults]
    arguments.kw_defaults = [ast.Constant(None) for _ in node.args.kw_defaults]
    alone: ast.stmt
    if isinstance(node, ast.Lambda):
        alone = ast.copy_location(ast.Expr(ast.Lambda(arguments, node.body)), node)
    else:
        fields = {**dict(ast.iter_fields(node)), "decorator_list": [], "returns": None, "args": arguments}
        alone = ast.copy_location(type(node)(**fields), node)
    if class_name:
        around = ast.parse(f"class {class_name}: pass").body[0]
        around.body = [alone]  # type: ignore[attr-defined]
        alone = around
    module = ast.fix_missing_locations(ast.Module([alone], []))
    whole = compile(module, "<cell>", "exec", dont_inherit=True)
    for _ in range(2 if class_name else 1):
        whole = next(iter(_inner(whole)))
    return whole


def looked_up(node: ast.Call | ast.Subscript) -> Iterator[str]:
    """The name in ``globals()["name"]``, ``globals().get("name")`` and the like."""
    if isinstance(node, ast.Subscript):
        space, key, looks = node.value, node.slice, isinstance(node.ctx, ast.Load)
    elif isinstance(node.func, ast.Attribute) and node.args:
        space, key, looks = node.func.value, node.args[0], node.func.attr in ("get", "pop", "setdefault")
    else:
        return
    if looks and _is_namespace(space) and isinstance(key, ast.Constant):
        yield str(key.value)


def _is_namespace(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) and not node.args else None
    return isinstance(called, ast.Name) and called.id in ("globals", "locals", "vars")


def _inner(code: types.CodeType) -> list[types.CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
