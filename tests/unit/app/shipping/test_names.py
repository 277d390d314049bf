"""Which names a cell needs: exactly as Python would find out by running it, and never fewer."""

from __future__ import annotations

import builtins
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_workbench.app.shipping.names import analyse
from gpu_workbench.app.shipping.selection import select
from gpu_workbench.values.codecs import decode, encode


def reads(cell: str) -> dict[str, int]:
    found = analyse(cell).reads
    return {
        name: line for name, line in found.items() if not hasattr(builtins, name) and name != "get_ipython"
    }


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("y = x + 1", {"x": 1}),
        ("x = 1\ny = x", {}),
        ("x += 1", {"x": 1}),
        ("x: int = 1\nx", {}),
        ("x: T", {"T": 1}),
        ("a.b = 1\nc[d] = 2", {"a": 1, "c": 2, "d": 2}),
        ("del x", {"x": 1}),
        ("import numpy as np, os.path\nnp, os", {}),
        ("from m import f as g\ng(f)", {"f": 2}),
        # branches
        ("if c:\n    x = 1\nx", {"c": 1, "x": 3}),
        ("if c:\n    x = 1\nelse:\n    x = 2\nx", {"c": 1}),
        ("if c:\n    x = 1\nelse:\n    raise SystemExit\nx", {"c": 1}),
        ("for i in n:\n    x = i\nx", {"n": 1, "x": 3}),
        ("for i in n:\n    print(x)\n    x = i", {"n": 1, "x": 2}),
        ("while t:\n    u = 1\nelse:\n    v = u", {"t": 1, "u": 4}),
        ("c and (x := 1)\nx", {"c": 1, "x": 2}),
        ("(x := 1) and c\nx", {"c": 1}),
        ("y = x if c else z", {"c": 1, "x": 1, "z": 1}),
        ("try:\n    import z\nexcept ImportError:\n    z = None\nz", {}),
        ("try:\n    f()\nexcept E as e:\n    e\ne", {"f": 2, "E": 3, "e": 5}),
        ("try:\n    x = f()\nfinally:\n    y = 1\nx, y", {"f": 2}),
        ("with open(p) as f:\n    d = f.read()\nd", {"p": 1}),
        ("with suppress(E):\n    d = 1\nd", {"suppress": 1, "E": 1, "d": 3}),
        ("match s:\n    case {'k': P(v), **r}:\n        v, r\nv", {"s": 1, "P": 2, "v": 4}),
        ("match s:\n    case [x, *y]: pass\n    case x: y = 1\nx, y", {"s": 1}),
        # scopes
        ("[a + b for a in c if a]\na", {"b": 1, "c": 1, "a": 2}),
        ("[x for x in x]", {"x": 1}),
        ("[y := a for a in c]\ny", {"c": 1, "y": 2}),
        ("{k: v for k, v in d.items()}", {"d": 1}),
        ("f = lambda a, b=c: a + d", {"c": 1, "d": 1}),
        ("def f(a: T = d) -> R:\n    return a + g", {"d": 1, "T": 1, "R": 1, "g": 2}),
        ("def f():\n    return x\nx = 1\nf()", {}),
        ("def f():\n    return x\nf()\nx = 1", {"x": 2}),
        ("def f():\n    return g()\ndef g():\n    return x\nf()\nx = 1", {"x": 4}),
        ("def f():\n    return x\nif c:\n    x = 1\n    f()\nf()", {"c": 3, "x": 2}),
        ("@deco\ndef f():\n    return x\nx = 1", {"deco": 1, "x": 3}),
        ("def f():\n    global n\n    n += 1", {"n": 3}),
        ("def f(x):\n    def g():\n        return x + y\n    return g", {"y": 3}),
        ("def f(n):\n    return f(n - 1)", {}),
        (
            "class A(B):\n    k = z\n    m = k\n    def f(self):\n        return k, super().f",
            {"B": 1, "z": 2, "k": 5},
        ),
        ("async def f():\n    async with s() as t:\n        return t\nawait f()", {"s": 2}),
        ("await f(x)", {"f": 1, "x": 1}),
        ("print(f'{a!r:>{w}}')", {"a": 1, "w": 1}),
        # names in strings
        ("if 'model' not in globals():\n    model = 1", {}),
        ("m = globals()['model']\nn = globals().get('net')", {"model": 1, "net": 2}),
        ("%time y = f(x)\ny", {"f": 1, "x": 1}),
        ("%timeit -n 10 f(x)\ny", {"f": 1, "x": 1, "y": 2}),
        ("!ls {folder} $name\nfiles = !echo $$ \\$no", {"folder": 1, "name": 1}),
        ("%%time\ny = f(x)", {"f": 1, "x": 1}),
        ("%%bash\necho $HOME", {}),
        ("%matplotlib inline\nx", {"x": 2}),
        ("\n\n%load_ext tensorboard\n?x\ny", {"y": 5}),
    ],
)
def test_what_is_read_before_it_is_bound_and_on_which_line(cell: str, expected: dict[str, int]) -> None:
    assert reads(cell) == expected


def test_what_a_cell_may_bind() -> None:
    cell = "import a.b\nfor c in x: d = 1\ndef e():\n    global g\n    g = 1\nclass h: i = 1\n"
    cell += "[j for j in x]\nif (k := 1): pass"
    assert analyse(cell).binds == {"a", "c", "d", "e", "g", "h", "k"}


@pytest.mark.parametrize(
    "cell", ["x = ", "return 1", "if x:\npass", "for", "break", "def f():\n    nonlocal x"]
)
def test_what_is_not_python_is_pythons_own_error(cell: str) -> None:
    with pytest.raises(SyntaxError) as caught:
        analyse(cell, filename="<gpu cell>")
    assert caught.value.filename == "<gpu cell>"


# Random cells, run for real: with all the notebook's names, and with the selected ones alone.

NAMES = ["a", "b", "c", "d", "e", "missing"]
NOTEBOOK = "a, b, c, d, e = 0, 1, 2, [0, 1], [3]\ndef h0(p): return p + a\ndef h1(p): return h0(b) + h0(p)\n"

EXPRESSIONS = [
    "{name}",
    "{name}",
    "1",
    "0",
    "({x} + {y})",
    "({x} if {y} else {z})",
    "({x} and {y})",
    "({x} or {y})",
    "({name} := {x})",
    "[{x} for {name} in [{y}]]",
    "[{x} for {name} in [{y}] for a in {z}]",
    "(lambda {name}: {x})({y})",
    "(lambda p={x}: {y})()",
    "{function}({x})",
    "f'{{{x}}}'",
]
SIMPLE = [
    "{name} = {x}",
    "{name} = {x}",
    "{name} += {x}",
    "{name}: int = {x}",
    "{name}: int",
    "del {name}",
    "{x}",
    "globals()['{name}']",
    "import math as {name}",
]
COMPOUND = [
    "if {x}:\n{body}\nelse:\n{other}",
    "if {x}:\n{body}",
    "if 'a' not in globals():\n    a = 0",
    "if 'missing' not in globals():\n    missing = 0",
    "for {name} in [{x}] * 2:\n{body}\nelse:\n{other}",
    "for {name} in [1, 2]:\n{body}\n    if {x}:\n        break\nelse:\n{other}",
    "for {name} in []:\n{body}",
    "while {x}:\n{body}\n    break\nelse:\n{other}",
    "try:\n{body}\nexcept {error}:\n{other}",
    "try:\n{body}\n    {name} = 1 / 0\nexcept {error}:\n{other}\nelse:\n    {name} = 5",
    "try:\n{body}\nexcept {error}:\n{other}\nfinally:\n    {name} = {x}",
    "def g0(p, q={x}):\n{body}\n    return {name}",
    "def g0(p):\n    global {name}\n    {name} = {x}\n    return {name}",
    "def g0(p):\n    return {x}",
    "def g1(p):\n    return g0({x})",
    "class K:\n{body}\n    def m(self):\n        return {x}\nK().m()",
    "class K:\n    def m(self):\n        return {x}",
    "K().m()",
    "match {x}:\n    case 1:\n        {name} = 1\n    case [{name}, *c]:\n        pass",
    "match {x}:\n    case {name}:\n        pass",
    "import contextlib\nwith contextlib.suppress({error_type}):\n{body}",
]


class Words(dict[str, str]):
    """Fills a template, drawing a word only where the template has a place for it."""

    def __init__(self, draw: Any, depth: int) -> None:
        super().__init__()
        self.draw, self.depth = draw, depth

    def __missing__(self, key: str) -> str:
        pick = lambda words: self.draw(st.sampled_from(words))  # noqa: E731
        if key == "name":
            return str(pick(NAMES))
        if key == "function":
            return str(pick(["g0", "g1", "h0", "h1"]))
        if key == "error_type":
            return str(pick(["Exception", "NameError", "TypeError"]))
        if key == "error":
            return f"{self['error_type']} as {self['name']}"
        inner = Words(self.draw, self.depth - 1)
        if key in ("body", "other"):
            statements = [
                pick(SIMPLE if self.depth <= 0 else SIMPLE + COMPOUND).format_map(inner)
                for _ in range(pick([1, 2, 3]))
            ]
            return "\n".join("    " + line for line in "\n".join(statements).splitlines())
        return str(pick(EXPRESSIONS[: 4 if self.depth <= 0 else None]).format_map(inner))


@st.composite
def cells(draw: Any) -> str:
    count = draw(st.integers(1, 5))
    return "\n".join(
        draw(st.sampled_from(SIMPLE + COMPOUND)).format_map(Words(draw, 2)) for _ in range(count)
    )


def outcome(cell: str, namespace: dict[str, Any], *, of: frozenset[str]) -> tuple[str, dict[str, str]]:
    try:
        exec(compile(cell, "<cell>", "exec"), namespace)
        error = ""
    except Exception as raised:
        error = repr(raised)
    return error, {name: f"{namespace.get(name)!r:.20}" for name in sorted(of)}


@settings(max_examples=150, deadline=None)
@given(cells())
def test_a_cell_does_the_same_with_only_the_selected_names(cell: str) -> None:
    try:
        found = analyse(cell)
    except SyntaxError:  # such as a name both local and global
        return
    notebook: dict[str, Any] = {"__name__": "__main__"}
    exec(NOTEBOOK, notebook)
    selection = select(
        found.reads,
        namespace=notebook,
        builtins=dir(builtins),
        remote={},
        generation=0,
        digest=lambda name: None,
    )
    session: dict[str, Any] = {"__name__": "__main__"}
    for name in selection.names:
        encoded = encode(notebook[name], namespace=notebook)
        data = io.BytesIO(b"".join(encoded.chunks))
        session[name] = decode(
            encoded.codec, data, length=encoded.length, trust_pickle=True, namespace=session
        )
    # a name that the cell may bind but does not is where it was: in the notebook, and not in the session
    assert outcome(cell, session, of=frozenset())[0] == outcome(cell, notebook, of=frozenset())[0], cell
