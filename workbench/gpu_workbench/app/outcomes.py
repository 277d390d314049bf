"""How a workload's run ended, from its journal or, where that is gone, from the record its agent left."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from gpu_workbench.app.endings import why_ended
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.core.errors import ProtocolError, RunFailed, SessionLost, WorkbenchError
from gpu_workbench.core.model import Cause, Failure, Phase
from gpu_workbench.core.wire import JsonObject, decode


@dataclass(frozen=True)
class Outcome:
    """An end.

    Args:
        phase: How it ended.
        failure: What went wrong, where it did and that is known.
        sentence: Why, in words; empty where it ended well.
    """

    phase: Phase
    failure: Failure | None = None
    sentence: str = ""

    @property
    def exit_code(self) -> int:
        """What a program that stood for the run would exit with: the run's own code, 128 + a signal's number, else 1."""
        failure = self.failure
        if self.phase is Phase.SUCCEEDED:
            return 0
        if failure is None:
            return 128 + signal.SIGTERM if self.phase is Phase.STOPPED else 1
        if failure.exit_code is not None:
            return failure.exit_code
        if failure.cause is Cause.INTERRUPTED:
            return 128 + signal.SIGINT
        if failure.cause is Cause.STOPPED:
            return 128 + signal.SIGTERM
        number = signal.Signals.__members__.get(failure.signal or "")
        return 1 if number is None else 128 + number

    def error(self, title: str) -> WorkbenchError | None:
        """The exception for it; ``None`` where it ended well.

        Args:
            title: What the run is called.
        """
        if self.phase is Phase.SUCCEEDED:
            return None
        kind = SessionLost if self.phase is Phase.LOST else RunFailed
        return kind(f"{title} ended as {self.phase.value}", why=self.sentence)


def outcome_of(subscription: Subscription) -> Outcome | None:
    """How the run of a job ended, or a session; ``None`` while it has not."""
    workload = subscription.workload
    run = workload.runs.get(subscription.last_run or "")
    if run is not None and run.phase.ended and not subscription.comes_again:
        return Outcome(run.phase, run.failure, run.failure.what if run.failure else "")
    if not subscription.phase.ended:
        return None
    failure = workload.failure or _recorded(subscription)
    return Outcome(subscription.phase, failure, failure.what if failure else _explained(subscription))


def _recorded(subscription: Subscription) -> Failure | None:
    record: JsonObject = (subscription.facts.record if subscription.facts else None) or {}
    form = record.get("failure")
    if not isinstance(form, dict):
        return None
    try:
        return decode(Failure, form)
    except ProtocolError:
        return None


def _explained(subscription: Subscription) -> str:
    if subscription.phase is Phase.SUCCEEDED:
        return ""
    return why_ended(subscription)
