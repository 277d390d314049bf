"""Dataclasses to JSON and back: nothing is lost, either end may be newer, and rubbish is one clear error."""

from __future__ import annotations

import contextlib
import enum
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.core.errors import ProtocolError
from gpu_workbench.core.model import GpuSample, RankState, Workload
from gpu_workbench.core.wire import Json, JsonObject, decode, encode, encode_fields


class Colour(str, enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Leaf:
    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class Tree:
    leaf: Leaf
    count: int = 0
    alive: bool = True
    colour: Colour = Colour.RED
    height: float | None = None
    leaves: tuple[Leaf, ...] = ()
    by_name: Mapping[str, Leaf] = field(default_factory=dict)
    by_number: Mapping[int, Leaf] = field(default_factory=dict)
    free: JsonObject = field(default_factory=dict)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
json_values: st.SearchStrategy[Json] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
leaves = st.builds(Leaf, st.text(), st.floats(allow_nan=False, allow_infinity=False))
trees = st.builds(
    Tree,
    leaf=leaves,
    count=st.integers(),
    alive=st.booleans(),
    colour=st.sampled_from(Colour),
    height=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    leaves=st.lists(leaves, max_size=3).map(tuple),
    by_name=st.dictionaries(st.text(), leaves, max_size=3),
    by_number=st.dictionaries(st.integers(), leaves, max_size=3),
    free=st.dictionaries(st.text(), json_values, max_size=3),
)


@given(trees)
def test_everything_comes_back_through_json(tree: Tree) -> None:
    text = json.dumps(encode_fields(tree))
    assert decode(Tree, json.loads(text)) == tree


@given(trees, st.dictionaries(st.text(min_size=9), json_values, max_size=3))
def test_fields_of_a_newer_version_are_ignored(tree: Tree, more: JsonObject) -> None:
    assert decode(Tree, {**more, **encode_fields(tree)}) == tree


def test_defaults_are_left_out() -> None:
    assert encode_fields(Tree(Leaf("a"))) == {"leaf": {"name": "a"}}


def test_a_missing_default_is_filled_in_by_the_reader() -> None:
    assert decode(Tree, {"leaf": {"name": "a"}}) == Tree(Leaf("a"))


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"leaf": None},
        {"leaf": "a"},
        {"leaf": {}},
        {"leaf": {"name": 1}},
        {"leaf": {"name": "a"}, "count": "1"},
        {"leaf": {"name": "a"}, "count": True},
        {"leaf": {"name": "a"}, "count": 1.0},
        {"leaf": {"name": "a"}, "alive": 1},
        {"leaf": {"name": "a"}, "colour": "green"},
        {"leaf": {"name": "a"}, "height": "tall"},
        {"leaf": {"name": "a"}, "height": 10**400},
        {"leaf": {"name": "a"}, "leaves": {}},
        {"leaf": {"name": "a"}, "leaves": [1]},
        {"leaf": {"name": "a"}, "by_name": []},
        {"leaf": {"name": "a"}, "by_number": {"x": {"name": "a"}}},
    ],
)
def test_what_has_the_wrong_form_is_one_clear_error(form: JsonObject) -> None:
    with pytest.raises(ProtocolError, match=r"(Tree|Leaf).* cannot be read"):
        decode(Tree, form)


@given(json_values)
def test_no_json_at_all_breaks_the_reader(form: Json) -> None:
    with contextlib.suppress(ProtocolError):
        decode(Tree, {"leaf": {"name": "a"}, "by_name": form, "leaves": form, "count": form, "height": form})


@pytest.mark.parametrize("value", [object(), b"bytes", {"a": {1, 2}, "b": object()}, Leaf])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no JSON form"):
        encode(value)


def test_sets_are_written_in_order() -> None:
    assert encode({"b", "a", "c"}) == ["a", "b", "c"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_have_is_missing(value: float) -> None:
    text = json.dumps(encode_fields(GpuSample(index=0, power=value)), allow_nan=False)
    assert decode(GpuSample, json.loads(text)) == GpuSample(index=0, power=None)


def test_a_workload_comes_back_with_ranks_by_number() -> None:
    workload = Workload(
        id="0123456789ab", ranks={0: RankState(rank=0, epoch="a", number=7), 11: RankState(rank=11)}
    )
    assert decode(Workload, json.loads(json.dumps(encode_fields(workload)))) == workload
