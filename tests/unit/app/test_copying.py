"""Both ends of a copy, in kubectl's syntax."""

from __future__ import annotations

import pytest

from gpu_workbench.app.copying import Place, parse_ends, parse_place
from gpu_workbench.core.errors import FlagError


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("data.csv", Place("data.csv")),
        ("/a/b", Place("/a/b")),
        (":data.csv", Place("data.csv", "")),
        (":/data/x", Place("/data/x", "")),
        ("training:ck/", Place("ck/", "training")),
        ("./a:b", Place("./a:b")),
        ("/a:b", Place("/a:b")),
        ("dir/a:b", Place("dir/a:b")),
    ],
)
def test_places(word: str, place: Place) -> None:
    assert parse_place(word) == place


@pytest.mark.parametrize(("source", "target"), [("a", "b"), (":a", ":b"), ("s:", "b"), (":", "b")])
def test_what_is_no_copy(source: str, target: str) -> None:
    with pytest.raises(FlagError):
        parse_ends(source, target)
