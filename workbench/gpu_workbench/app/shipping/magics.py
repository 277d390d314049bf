"""IPython's own syntax in a cell: ``%magics``, ``!commands`` and ``?help``, and the Python inside them."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator

_RUN_PYTHON = frozenset({"time", "timeit", "prun", "mprun", "lprun", "memit", "capture", "debug"})
_MAY_BE_IPYTHON = re.compile(
    r"[%!?\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]|\A\s*\n?[ \t]|^\s*(?:[,;/]|>>>|\.\.\.|In \[)", re.MULTILINE
)
_SHELL_NAME = re.compile(r"(?<![\\$])\$(\w+)")


def python_of(cell: str) -> str:
    """The cell as Python; unchanged where it has none of IPython's marks, or IPython is not installed."""
    if not _MAY_BE_IPYTHON.search(cell):
        return cell
    try:
        from IPython.core.inputtransformer2 import TransformerManager
    except ModuleNotFoundError:
        return cell
    transformed: str = TransformerManager().transform_cell(cell)
    return transformed


def parse(source: str, *, filename: str) -> ast.Module:
    """Python source, compiled to be sure that it is Python; ``await`` may stand outside functions.

    Raises:
        SyntaxError: as Python itself would say it.
    """
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = compile(source, filename, "exec", flags=ast.PyCF_ONLY_AST | flags, dont_inherit=True)
    compile(tree, filename, "exec", flags=flags, dont_inherit=True)
    if not isinstance(tree, ast.Module):
        raise TypeError(f"{filename} is no module")
    return tree


def parse_inner(source: str, *, line: int) -> list[ast.stmt]:
    """The statements in a magic's string, as if they stood on ``line``; none where it is not Python."""
    try:
        tree = parse(source, filename="<magic>")
    except (SyntaxError, ValueError):
        return []
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt | ast.expr | ast.pattern | ast.ExceptHandler):
            node.lineno = node.end_lineno = line
    return tree.body


def strings_of(node: ast.Call) -> Iterator[tuple[str, bool]]:
    """Python in the strings of a call that stands for a magic or a command, and whether all of it certainly runs here."""
    function = node.func
    if not isinstance(function, ast.Attribute) or not _is_get_ipython(function.value):
        return
    texts = [
        part.value for part in node.args if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]
    if function.attr in ("system", "getoutput"):
        for text in texts:
            yield from _expanded(text)
    elif function.attr == "run_line_magic" and len(texts) == 2:
        name, line = texts
        yield from _expanded(line)
        if name in _RUN_PYTHON:
            yield _without_options(line, name), name == "time"
    elif function.attr == "run_cell_magic" and len(texts) == 3:
        name, line, body = texts
        yield from _expanded(line)
        if name in _RUN_PYTHON:
            if name in ("timeit", "prun"):
                yield _without_options(line, name), False
            yield python_of(body), name in ("time", "capture")


def _is_get_ipython(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_ipython"


def _without_options(line: str, name: str) -> str:
    if name == "time":
        return line.strip()
    words = line.split()
    rest = line
    while words and words[0].startswith("-"):
        option = words.pop(0)
        rest = rest.split(option, 1)[1]
        if len(option) == 2 and words and words[0].isdigit():  # "-n 10"
            rest = rest.split(words.pop(0), 1)[1]
    return rest.strip()


def _expanded(text: str) -> Iterator[tuple[str, bool]]:
    """``{expression}`` and ``$name``, which IPython puts in before it runs the line."""
    for found in _SHELL_NAME.finditer(text):
        yield found[1], False
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(text) if field]
    except ValueError:
        return
    for field in fields:
        yield field, False
