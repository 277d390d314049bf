"""What is told of a variable, whatever it does when it is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpu_workbench.agent.inkernel.names import describe


class Hostile:
    """Raises whatever it is asked for."""

    def __init__(self, error: BaseException) -> None:
        object.__setattr__(self, "error", error)

    def __getattribute__(self, name: str) -> Any:
        raise object.__getattribute__(self, "error")


class Lying:
    """Says what cannot be."""

    shape = ("a", None)
    nbytes = "many"
    device = 7


class Lazy:
    """Computes for long when it is asked for its size, as a lazy frame does."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __len__(self) -> int:
        self.asked.append("len")
        return 1

    def __repr__(self) -> str:
        self.asked.append("repr")
        return "lazy"


@pytest.mark.parametrize("error", [ValueError("no"), RuntimeError("no"), RecursionError("no")])
def test_a_value_that_fails_when_asked_has_its_type_alone(error: Exception) -> None:
    assert describe(Hostile(error)) == {"type": "tests.Hostile"}


def test_what_cannot_be_is_not_told() -> None:
    assert describe(Lying()) == {"type": "tests.Lying"}


def test_nothing_is_computed_to_tell_of_it() -> None:
    value = Lazy()
    assert describe(value) == {"type": "tests.Lazy"}
    assert value.asked == []


def test_shape_and_size_of_what_has_them() -> None:
    assert describe(np.zeros((2, 3))) == {"type": "numpy.ndarray", "shape": "2×3", "size": 48}
    assert describe(np.float64(1))["shape"] == "scalar"
    assert describe([1, 2]) == {"type": "list", "shape": "2"}
