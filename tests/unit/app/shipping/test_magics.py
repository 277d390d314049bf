"""IPython's syntax in a cell becomes Python; a cell that has none of it is not touched."""

from __future__ import annotations

import ast
from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from gpu_workbench.app.shipping.magics import python_of

WORDS = st.sampled_from(
    [
        *"x=1()[]{}'\"\\#:,.;/@*%!?ü\n\t\r\f ",
        *("'''", '"""', "...", ">>>", "In [1]:", "%%time", "!!", "??", "ls", "$x", "\n\n", "    "),
        *("if x:", "def f():", "return", "lambda", "await", "f'{x!r}'", "print", "b''"),
    ]
)
CELLS = st.lists(WORDS, max_size=12).map("".join)


@given(CELLS)
@example("    x = 1")
@example("\n    x = 1")
@example(">>> x = 1\n... y")
@example("In [1]: x = 1")
@example(",f a b")
@example("#\r;")
@example("'''\n%time\n'''")
def test_what_passes_for_plain_python_is_to_ipython_too(cell: str) -> None:
    """The short cut for cells without IPython's marks changes nothing of what they mean."""
    assert _meaning(python_of, cell) == _meaning(TransformerManager().transform_cell, cell)


def _meaning(transform: Callable[[str], str], cell: str) -> str:
    """What Python makes of it, places aside; nothing where it is not Python."""
    try:
        return ast.dump(ast.parse(transform(cell)))
    except (SyntaxError, ValueError):
        return ""


def test_ipythons_own_syntax_becomes_calls() -> None:
    assert "run_line_magic('time'" in python_of("%time x = 1")
    assert "system('ls')" in python_of("!ls")
