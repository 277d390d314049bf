"""How an end becomes an exit code and an exception."""

from __future__ import annotations

import pytest

from gpu_workbench.app.outcomes import Outcome
from gpu_workbench.core.errors import RunFailed, SessionLost
from gpu_workbench.core.model import Cause, Failure, Phase


@pytest.mark.parametrize(
    ("phase", "failure", "code"),
    [
        (Phase.SUCCEEDED, None, 0),
        (Phase.FAILED, Failure(Cause.USER_ERROR, "ended", exit_code=3), 3),
        (Phase.FAILED, Failure(Cause.USER_ERROR, "ValueError"), 1),
        (Phase.FAILED, Failure(Cause.OUT_OF_MEMORY, "killed", signal="SIGKILL"), 137),
        (Phase.FAILED, Failure(Cause.SIGNALLED, "crashed", signal="SIGSEGV"), 139),
        (Phase.FAILED, Failure(Cause.SIGNALLED, "ended", signal="SIGNEW"), 1),
        (Phase.STOPPED, Failure(Cause.INTERRUPTED, "It was interrupted"), 130),
        (Phase.STOPPED, Failure(Cause.STOPPED, "you stopped it"), 143),
        (Phase.STOPPED, None, 143),
        (Phase.LOST, None, 1),
    ],
)
def test_exit_code(phase: Phase, failure: Failure | None, code: int) -> None:
    assert Outcome(phase, failure).exit_code == code


def test_a_bad_end_is_an_exception_of_its_kind() -> None:
    assert Outcome(Phase.SUCCEEDED).error("run") is None
    assert isinstance(Outcome(Phase.FAILED, sentence="no luck").error("run"), RunFailed)
    lost = Outcome(Phase.LOST, sentence="its node is gone").error("run")
    assert isinstance(lost, SessionLost)
    assert str(lost) == "run ended as Lost: its node is gone"
