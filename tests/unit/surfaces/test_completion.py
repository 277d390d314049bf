"""What can be typed next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.surfaces.completion import complete


def at(line: str) -> list[str]:
    """What is offered where ``|`` stands."""
    return complete(
        line.replace("|", ""),
        line.index("|"),
        runs=["base-1", "base-2"],
        profiles=["default", "h200"],
        sessions=["training"],
    )


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%%gpu --sh|", ["--shared-memory"]),
        ("%%gpu --sh| --out a", ["--shared-memory"]),
        ("%%gpu --profile |", ["default", "h200"]),
        ("%%gpu --profile h|", ["h200"]),
        ("%%gpu --session |", ["training"]),
        ("%%gpu --backend k|", ["kubernetes"]),
        ("%%gpu --dry-run -o |", ["yaml", "python"]),
        ("%%gpu --out |", []),
        ("%gpu st|", ["start", "stop"]),
        ("%gpu --na|", ["--namespace"]),
        ("%gpu logs |", ["base-1", "base-2", "training"]),
        ("%gpu logs b|", ["base-1", "base-2"]),
        ("%gpu logs --tail |", []),
        ("%gpu logs --tail 5 b|", ["base-1", "base-2"]),
        (
            "%gpu logs -|",
            ["--follow", "-f", "--tail", "--rank", "--backend", "--context", "--namespace", "--help", "-h"],
        ),
        ("%gpu logs -f --f|", []),
        ("%gpu keep 2h t|", ["training"]),
        ("%gpu secret |", ["set", "ls", "rm"]),
        ("%gpu use k|", ["kubernetes"]),
        ("%gpu stop --all --f|", ["--force"]),
        ("%gpu pip install --|", []),
        ("%gpu run train.py -- --|", []),
        ("%gpu frobnicate |", []),
        ("%g|", []),
        ("print(|", []),
        ("|", []),
    ],
)
def test_offered(line: str, offered: list[str]) -> None:
    assert at(line) == offered


def test_a_flag_that_stands_once_is_not_offered_again_but_those_that_repeat_are() -> None:
    offered = at("%%gpu --gpus 2 --env A=1 |")
    assert "--gpus" not in offered
    assert "--env" in offered
    assert "--memory" in offered


@given(
    st.text(), st.integers(min_value=0, max_value=40), st.sampled_from(["%gpu ", "%%gpu ", "%gpu logs ", ""])
)
def test_no_line_is_too_strange(text: str, cursor: int, begin: str) -> None:
    complete(begin + text, cursor, runs=["a"], profiles=["b"], sessions=["c"])
