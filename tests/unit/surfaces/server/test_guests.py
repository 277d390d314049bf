"""A guest of a server sees that runs are there and how they stand, and nothing that they wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from gpu_workbench.surfaces.server.guests import for_guests
from gpu_workbench.surfaces.server.topics import RUNS

SECRET = "ValueError: the password is hunter2"


def state(**members: object) -> Mapping[str, str]:
    return {name.replace("__", "."): json.dumps(value) for name, value in members.items()}


def test_of_a_failed_run_nothing_is_quoted() -> None:
    told = for_guests(
        "run/abc",
        state(
            id="abc",
            snapshot__phase="Failed",
            snapshot__word="Failed",
            snapshot__answer=SECRET,
            snapshot__hint=SECRET,
            snapshot__notes=[SECRET],
            snapshot__moments=[{"at": 1, "what": SECRET}],
            snapshot__explanation={"code": "Error", "sentence": SECRET},
            snapshot__failure={"cause": "user-error", "what": SECRET},
            snapshot__ranks=[{"rank": 3, "phase": "Failed", "failure": {"what": SECRET}}],
        ),
    )
    assert "hunter2" not in json.dumps(dict(told))
    assert json.loads(told["snapshot.word"]) == "Failed"
    assert json.loads(told["snapshot.ranks"]) == [{"rank": 3, "phase": "Failed"}]


@pytest.mark.parametrize("phase", ["Queued", "Pending", "Starting"])
def test_why_a_run_waits_is_told(phase: str) -> None:
    why = "You are 2nd in queue team-a"
    members = state(snapshot__phase=phase, snapshot__answer=why, snapshot__explanation={"sentence": why})
    assert for_guests("run/abc", members) == members


def test_a_phase_that_is_left_out_is_the_first_one() -> None:
    members = state(snapshot__answer="waits")
    assert for_guests("run/abc", members) == members


def test_of_rows_the_same_holds() -> None:
    rows = {
        "failed": json.dumps({"id": "failed", "phase": "Failed", "answer": SECRET}),
        "waits": json.dumps({"id": "waits", "answer": "for a GPU"}),
    }
    told = for_guests(RUNS, rows)
    assert json.loads(told["failed"]) == {"id": "failed", "phase": "Failed"}
    assert told["waits"] == rows["waits"]


def test_other_topics_are_told_whole() -> None:
    members = state(local={"name": "local", "error": "no answer"})
    assert for_guests("targets", members) == members
