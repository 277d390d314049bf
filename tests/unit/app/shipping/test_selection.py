"""Two copies of a name never differ silently: which one is used, and when one is sent again."""

from __future__ import annotations

import builtins
import functools
import math
import types
from typing import Any

import pytest

from gpu_workbench.app.shipping.functions import names_of, source_of
from gpu_workbench.app.shipping.names import analyse
from gpu_workbench.app.shipping.selection import RemoteName, Selection, select
from gpu_workbench.core.errors import NotPicklable
from gpu_workbench.values.fingerprint import fingerprint

FIRST = 1


def chosen(
    cell: str, here: dict[str, Any], remote: dict[str, RemoteName] | None = None, *, generation: int = FIRST
) -> Selection:
    here.setdefault("__name__", "__main__")
    return select(
        analyse(cell).reads,
        namespace=here,
        builtins=dir(builtins),
        remote=remote or {},
        generation=generation,
        digest=lambda name: fingerprint(here[name], namespace=here),
    )


def sent(value: object) -> RemoteName:
    return RemoteName(digest=fingerprint(value) or "", generation=FIRST)


def test_a_name_bound_here_and_not_there_travels_with_the_line_that_reads_it() -> None:
    assert chosen("\nprint(x)", {"x": 1, "y": 2}).names == {"x": 2}


def test_an_unchanged_name_does_not_travel_again() -> None:
    found = chosen("x", {"x": [1]}, {"x": sent([1])})
    assert (dict(found.names), found.unchanged) == ({}, {"x"})


def test_a_name_changed_here_in_place_travels_again() -> None:
    x = [1]
    known = {"x": sent(x)}
    x.append(2)
    assert chosen("x", {"x": x}, known).names == {"x": 1}


def test_what_a_run_bound_there_is_used_and_not_overwritten() -> None:
    bound_there = RemoteName(digest=sent(1).digest, generation=FIRST, run="r1")
    found = chosen("x", {"x": 1}, {"x": bound_there})
    assert (dict(found.names), found.there) == ({}, {"x"})
    never_sent = RemoteName(generation=FIRST, run="r1")
    assert chosen("x", {"x": 1}, {"x": never_sent}).there == {"x"}
    assert chosen("x", {}, {"x": never_sent}).there == {"x"}


def test_what_changed_here_since_it_was_sent_is_the_later_one() -> None:
    bound_there = RemoteName(digest=sent(1).digest, generation=FIRST, run="r1")
    assert chosen("x", {"x": 2}, {"x": bound_there}).names == {"x": 1}


def test_what_cannot_be_proven_unchanged_is_sent_again_unless_a_run_bound_it() -> None:
    unknown = (i for i in range(3))
    assert chosen("x", {"x": unknown}, {"x": RemoteName(digest="d", generation=FIRST)}).names == {"x": 1}
    assert chosen("x", {"x": unknown}, {"x": RemoteName(digest="d", generation=FIRST, run="r1")}).there == {
        "x"
    }


def test_after_a_restart_sent_names_travel_again_and_bound_ones_are_lost() -> None:
    remote = {"x": sent(1), "model": RemoteName(generation=FIRST, run="r1")}
    found = chosen("x, model", {"x": 1, "model": "an old one"}, remote, generation=FIRST + 1)
    assert found.names == {"x": 1}
    assert found.lost == {"model": "r1"}


def test_modules_travel_as_their_name() -> None:
    here = {"m": math, "path": __import__("os").path}
    found = chosen("m.pi, path", here)
    assert (found.modules, found.names) == ({"m": "math", "path": "posixpath"}, {})


def test_names_of_neither_side_are_left_to_raise_and_builtins_are_neither() -> None:
    found = chosen("print(nothing)\nget_ipython()\nopen('f')", {"open": lambda path: path})
    assert found.missing == {"nothing"}
    assert found.names == {}


NOTEBOOK = """
import functools
scale, bias, unused = 2, 1, 0
def low(x): return x * scale
def high(x):
    def inner(y): return low(y) + bias
    return [inner(i) for i in x]
class Base:
    def run(self): return self.twice(high)
class Net(Base):
    rate = 3
    @property
    def p(self): return bias
    @staticmethod
    def s(): return low
def timed(f):
    @functools.wraps(f)
    def wrapper(*args): return f(*args)
    return wrapper
@timed
def decorated(): return unused
partial = functools.partial(low, 3)
net = Net()
method = net.run
"""


@pytest.fixture
def notebook() -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(NOTEBOOK, namespace)
    return namespace


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("low", {"scale"}),
        ("high", {"low", "scale", "bias"}),
        ("Net", {"high", "low", "scale", "bias"}),
        ("net", {"high", "low", "scale", "bias"}),
        ("method", {"high", "low", "scale", "bias"}),
        ("partial", {"scale"}),
        ("decorated", {"unused"}),
        ("scale", set()),
    ],
)
def test_what_a_function_reads_travels_with_it(notebook: dict[str, Any], name: str, needs: set[str]) -> None:
    assert names_of(notebook[name], namespace=notebook) == needs
    assert chosen(name, notebook).names.keys() == {name, *needs}


def test_functions_of_installed_modules_need_nothing(notebook: dict[str, Any]) -> None:
    assert names_of(functools.reduce, namespace=notebook) == frozenset()
    assert names_of(types.SimpleNamespace, namespace=notebook) == frozenset()


class Defined:
    def method(self) -> int:
        return 1


def test_source_is_what_travels_to_another_version_of_python() -> None:
    namespace: dict[str, Any] = {}
    exec(source_of(Defined), namespace)
    assert namespace["Defined"]().method() == 1


def test_what_has_no_source_of_its_own_says_so(notebook: dict[str, Any]) -> None:
    closed_over = 1

    def closure() -> int:
        return closed_over

    for value, why in (
        (lambda: None, "a lambda is"),
        (closure, "closed_over"),
        (notebook["low"], "has none here"),
    ):
        with pytest.raises(NotPicklable, match=why) as caught:
            source_of(value, name="f")
        assert "image with this version of Python" in caught.value.fix
