"""When a workload ends by itself; and its end, told in at most 4 KiB."""

from __future__ import annotations

import json

import pytest

from gpu_workbench.agent.endings import Outcome
from gpu_workbench.agent.limits import Limits
from gpu_workbench.agent.record import LIMIT, record
from gpu_workbench.core.model import Cause, Failure, Phase, Receipt


@pytest.mark.parametrize(
    ("idle_since", "alone_since", "kept", "expected"),
    [
        (None, 0.0, 0.0, ("time", 1000.0)),  # a running cell is neither idle nor an orphan
        (10.0, None, 0.0, ("idle", 70.0)),
        (10.0, 20.0, 0.0, ("orphan", 50.0)),
        (30.0, 20.0, 0.0, ("orphan", 60.0)),
        (10.0, 20.0, 500.0, ("idle", 500.0)),
        (10.0, None, 5000.0, ("time", 1000.0)),
    ],
)
def test_the_next_limit(
    idle_since: float | None, alone_since: float | None, kept: float, expected: tuple[str, float]
) -> None:
    limits = Limits(idle=60.0, orphan=30.0, time=1000.0, kept_until=kept)
    assert limits.deadline(idle_since=idle_since, alone_since=alone_since) == expected


def test_without_limits_there_is_none() -> None:
    assert Limits(idle=60.0).deadline(idle_since=None, alone_since=0.0) is None


@pytest.mark.parametrize("letter", ["a", "\U0001f600", "\x1b"])
def test_a_record_fits_whatever_was_said(letter: str) -> None:
    failure = Failure(Cause.USER_ERROR, letter * 10_000, letter * 100_000)
    outcome = Outcome(
        Phase.FAILED, code=64, reason=letter * 5000, failure=failure, receipt=Receipt(seconds=1.0)
    )
    data = record(outcome, seconds=2.0)
    assert len(data) <= LIMIT
    form = json.loads(data)
    assert form["outcome"] == "Failed"
    assert form["failure"]["cause"] == "user-error"
    assert form["receipt"] == {"seconds": 1.0}
