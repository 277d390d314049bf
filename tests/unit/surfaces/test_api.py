"""The Python API as it is seen from outside."""

from __future__ import annotations

import ast
import functools
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import gpu_workbench as gw
from gpu_workbench import aio
from gpu_workbench.app.detached import RESULT
from gpu_workbench.core.errors import FlagError, UsageError
from gpu_workbench.surfaces.flags import CellFlags
from gpu_workbench.surfaces.sdk.code import Script, call_of, run_flags, work_of

PUBLIC = [
    "Run",
    "Session",
    "__version__",
    "aio",
    "attach",
    "dask",
    "errors",
    "list",
    "remote",
    "session",
    "submit",
]
METHODS = {
    "Session": ["call", "get", "id", "keep", "name", "put", "run", "status", "stop", "vars", "why"],
    "Run": ["id", "logs", "name", "result", "status", "stop", "wait", "why"],
}


def public(kind: type) -> list[str]:
    return sorted(name for name, _ in inspect.getmembers(kind) if not name.startswith("_"))


def test_the_public_names_are_these() -> None:
    assert sorted(gw.__all__) == sorted(PUBLIC)
    assert all(hasattr(gw, name) for name in PUBLIC)
    assert {name: public(getattr(gw, name)) for name in METHODS} == METHODS


def test_every_name_has_an_awaitable_twin_of_the_same_form() -> None:
    assert sorted(aio.__all__) == sorted(set(PUBLIC) - {"__version__", "aio", "errors"})
    for kind, methods in METHODS.items():
        assert public(getattr(aio, kind)) == methods
        for name in methods:
            one, twin = getattr(getattr(gw, kind), name), getattr(getattr(aio, kind), name)
            if callable(one):
                assert inspect.iscoroutinefunction(twin) or inspect.isasyncgenfunction(twin), name
                assert [*inspect.signature(one).parameters] == [*inspect.signature(twin).parameters], name


def test_everything_public_says_what_it_does() -> None:
    assert [name for name in PUBLIC if name[0] != "_" and not inspect.getdoc(getattr(gw, name))] == []
    for kind, methods in METHODS.items():
        assert [name for name in methods if not inspect.getdoc(getattr(getattr(gw, kind), name))] == []


def test_an_unknown_name_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        gw.nope  # noqa: B018


def test_the_import_brings_nothing_with_it() -> None:
    code = (
        "import sys, gpu_workbench; print(*sorted(m for m in sys.modules if m.startswith('gpu_workbench')))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["gpu_workbench", "gpu_workbench.__about__"]


def add(a: int, b: int = 0) -> int:
    return a + b


def test_what_is_submitted_is_known_by_its_form(tmp_path: Path) -> None:
    assert work_of("train.py", ("--epochs", 3), CellFlags()) == Script(("train.py", "--epochs", "3"))
    assert work_of(tmp_path / "job", (), CellFlags()) == Script((str(tmp_path / "job"),))
    cell = work_of("x = 1", (), CellFlags(out=("x",), name="one"))
    assert (cell.source, cell.out, cell.name) == ("x = 1", ("x",), "one")
    assert work_of(add, (1,), CellFlags()).out == (RESULT,)


def test_a_call_does_what_calling_does_and_leaves_only_its_value() -> None:
    cell = call_of(add, (1,), {"b": 2})
    namespace = dict(cell.beside)
    exec(cell.source, namespace)
    assert {name: value for name, value in namespace.items() if name != "__builtins__"} == {RESULT: 3}


@pytest.mark.parametrize(
    ("what", "args", "flags", "error"),
    [
        ("x = 1", (1,), CellFlags(), "Code takes no arguments"),
        (add, (1,), CellFlags(out=("x",)), "takes no `out`"),
        (3, (), CellFlags(), "int cannot be run"),
    ],
)
def test_what_cannot_be_meant_is_refused(what: object, args: tuple, flags: CellFlags, error: str) -> None:
    with pytest.raises(UsageError, match=error):
        work_of(what, args, flags)


def test_a_run_in_a_session_takes_no_flags_of_the_session() -> None:
    assert run_flags({"out": ["a", "b"], "name": "x"}).out == ("a", "b")
    with pytest.raises(FlagError, match="gpus is for the session"):
        run_flags({"gpus": 2})
    with pytest.raises(FlagError, match="Did you mean out"):
        run_flags({"ou": "a"})


def test_a_remote_function_is_the_plain_one_over_there() -> None:
    decorated = gw.remote(gpus=1)(add)
    assert pickle.loads(pickle.dumps(decorated)) is add
    assert (decorated.__name__, decorated.__wrapped__) == ("add", add)
    assert isinstance(gw.remote(add), type(decorated))
    assert ast.literal_eval(repr(functools.partial(add, 1)())) == 1
