"""A fingerprint changes with any change of content, and with nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gpu_workbench.values.fingerprint import digest, fingerprint


class Net:
    def __init__(self) -> None:
        self.weights = np.zeros(100_000)
        self.steps = [1, 2]


def frame() -> pd.DataFrame:
    made = pd.DataFrame(np.arange(400.0).reshape(100, 4), columns=list("abcd"))
    made["text"] = [str(number) for number in range(100)]
    made["kind"] = pd.Categorical(["x", "y"] * 50)
    return made


def in_place(change: str) -> Callable[[Any], None]:
    return lambda value: exec(change, {"np": np, "pd": pd}, {"v": value})


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda: np.arange(1000.0), "v[500] = -1"),
        (lambda: np.arange(1000.0)[::2], "v[7] = -1"),
        (lambda: [1, [2, 3]], "v[1].append(4)"),
        (lambda: {"a": 1}, "v['b'] = 2"),
        (Net, "v.weights[99_999] = 1"),
        (Net, "v.steps.append(3)"),
        (frame, "v.iloc[3, 2] = -1"),
        (frame, "v.loc[5, 'text'] = 'changed'"),
        (frame, "v.loc[5, 'kind'] = 'x'"),
        (frame, "v.columns = list('Abcdef')"),
        (frame, "v.index = range(1, 101)"),
        (frame, "v.attrs['note'] = 1"),
        (frame, "v.pop('b')"),
        (lambda: frame()["b"], "v.iloc[9] = -1"),
        (lambda: bytearray(b"abc"), "v[0] = 0"),
    ],
)
def test_a_change_in_place_shows(make: Callable[[], Any], change: str) -> None:
    value = make()
    before = fingerprint(value)
    assert before is not None
    assert fingerprint(value) == before
    in_place(change)(value)
    assert fingerprint(value) != before


def test_a_frame_that_pandas_rearranged_is_the_same_frame() -> None:
    made = pd.DataFrame({"a": np.arange(100.0)})
    made["b"] = np.ones(100)
    before = fingerprint(made)
    _ = made.values, made.describe(), made.sum()
    assert fingerprint(made.copy()) == fingerprint(made) == before


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, True),
        (1, 1.0),
        ("1", 1),
        (b"a", "a"),
        ([1], (1,)),
        (np.zeros(4), np.zeros((2, 2))),
        (np.zeros(4, "f4"), np.zeros(4, "i4")),
        (np.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]]).T),
        (pd.Series([1, 2]), pd.DataFrame({"x": [1, 2]})),
        (pd.Series([1], name="a"), pd.Series([1], name="b")),
    ],
)
def test_values_of_another_type_or_shape_differ(left: object, right: object) -> None:
    assert fingerprint(left) != fingerprint(right)


def test_functions_are_told_apart_by_their_code_and_not_by_what_they_read() -> None:
    def defined(source: str) -> tuple[dict[str, Any], Any]:
        namespace: dict[str, Any] = {"__name__": "__main__", "scale": 2}
        exec(source, namespace)
        return namespace, namespace["f"]

    here, f = defined("def f(x): return x * scale")
    before = fingerprint(f, namespace=here)
    here["scale"] = 3
    assert fingerprint(f, namespace=here) == before
    changed, g = defined("def f(x): return x + scale")
    assert fingerprint(g, namespace=changed) != before


def test_what_cannot_be_pickled_has_none() -> None:
    assert fingerprint(threading.Lock()) is None
    assert fingerprint([threading.Lock()]) is None


def test_parts_are_not_run_together() -> None:
    assert digest([b"ab", b"c"]) != digest([b"a", b"bc"])


def test_many_blocks_give_one_digest_however_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpu_workbench.values import fingerprint as module

    data = np.random.default_rng(0).bytes(3 * 2**20 + 7)
    monkeypatch.setattr(module, "_BLOCK", 2**20)
    found = set()
    for threads in (1, 2, 7):
        monkeypatch.setattr(module, "_THREADS", threads)
        found.add(digest([data]))
    assert len(found) == 1
    changed = bytearray(data)
    changed[-1] ^= 1
    assert digest([changed]) not in found


def test_a_large_array_costs_milliseconds() -> None:
    """The figure itself is measured by the benchmarks; this only fails when something copies or loops in Python."""
    array = np.ones(2**25)
    fingerprint(array)
    start = time.perf_counter()
    fingerprint(array)
    assert time.perf_counter() - start < 0.5
