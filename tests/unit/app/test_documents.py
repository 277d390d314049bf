"""YAML with lines: what is read stays as written, and every complaint says where."""

from __future__ import annotations

import pytest

from gpu_workbench.app.documents import MOST_CHARACTERS, read_document
from gpu_workbench.core.errors import ProfileError


def test_scalars_stay_the_text_that_was_written() -> None:
    root = read_document("a: yes\nb: 1:30\nc: 0x10\nd: 2026-01-01\ne: 16Gi\n", source="f").mapping("f")
    assert [item.value for item in root.values()] == ["yes", "1:30", "0x10", "2026-01-01", "16Gi"]


def test_nothing_written_is_none_and_quoted_words_are_text() -> None:
    root = read_document("a:\nb: null\nc: 'null'\n", source="f").mapping("f")
    assert [item.value for item in root.values()] == [None, None, "null"]


def test_every_item_knows_its_line() -> None:
    root = read_document("# first\na:\n  b:\n    - c\n", source="f").mapping("f")
    assert root["a"].origin == "f:2"
    assert root["a"].mapping("a")["b"].origin == "f:3"


def test_an_empty_file_has_no_keys() -> None:
    assert read_document("", source="f").mapping("f") == {}
    assert read_document("# only a remark\n", source="f").mapping("f") == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1\n", "line 2: this is no YAML"),
        ("a: 1\na: 2\n", "line 2: a is written twice"),
        ("a: !!python/object/apply:os.system [true]\n", "line 1: the tag"),
        ("a: !secret x\n", "line 1: the tag !secret is not read"),
        ("[a, b]: 1\n", "line 1: a key is a word"),
        ("a: \x07\n", "this is no YAML"),
        ("a: 1\n---\nb: 2\n", "this is no YAML"),
        ("a: &x [*x]\n", "nested too deep"),
        ("x" * (MOST_CHARACTERS + 1), "too large"),
        ("- a\n", "line 1: the file is not a mapping"),
    ],
)
def test_what_cannot_be_read_says_where(text: str, says: str) -> None:
    with pytest.raises(ProfileError, match=says):
        read_document(text, source="f").mapping("the file")


def test_aliases_that_multiply_are_stopped() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 7)]
    with pytest.raises(ProfileError, match="repeats too often"):
        read_document("\n".join(lines), source="f")
