"""What a platform's operator can collect: events of runs and of what was done, for Jupyter's own event system.

The schemas are in ``event_schemas``. Where nobody collects them, ``c.EventLogger.handlers`` being empty, nothing is made.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpu_workbench.app.board import Board, Followed
from gpu_workbench.core.model import Kind, Phase, RunState
from gpu_workbench.core.wire import JsonObject

SCHEMAS = Path(__file__).parent / "event_schemas"
RUN = "https://gpu-workbench.dev/events/run/v1"
ACTION = "https://gpu-workbench.dev/events/action/v1"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Told:
    """What is known of a run, or of a session itself."""

    phase: Phase
    started: bool
    seconds: float | None = None
    gpu_seconds: float | None = None
    waited: float | None = None


class EventLog:
    """Tells of runs and of actions.

    Args:
        logger: A ``jupyter_events.EventLogger``.
        board: Whose runs.
    """

    def __init__(self, logger: Any, board: Board) -> None:
        self._logger = logger
        self._board = board
        self._phases: dict[str, dict[str, Phase]] = {}
        for schema in sorted(SCHEMAS.glob("*.yaml")):
            logger.register_event_schema(schema)
        board.observe(self._changed)

    def action(self, action: str, *, workload: str, run: str = "", user: str) -> None:
        """Something was done, and was not refused."""
        self._emit(ACTION, {"action": action, "workload": workload, "run": run, "user": user})

    def _changed(self, workload: str) -> None:
        followed = self._board.workloads.get(workload)
        if followed is None:
            self._phases.pop(workload, None)
            return
        if followed.handle.ended or not followed.subscription.settled:
            return  # it was over before it was seen, or what was seen is not yet the present
        before = self._phases.get(workload)
        now = dict(_told(followed))
        self._phases[workload] = {run: told.phase for run, told in now.items()}
        for run, told in now.items():
            was = before.get(run) if before is not None else None
            if before is None and told.phase.ended:
                continue
            for change in _changes(was, told):
                self._emit(RUN, _form(followed, run, change, told))

    def _emit(self, schema: str, data: JsonObject) -> None:
        try:
            self._logger.emit(schema_id=schema, data=data)
        except Exception:  # who collects may fail; those who look are not to notice
            log.exception("An event could not be told")


def _told(followed: Followed) -> Iterator[tuple[str, _Told]]:
    """A session itself, and each run."""
    subscription = followed.subscription
    if followed.handle.spec.kind is not Kind.JOB:
        yield "", _of_session(followed)
    for run in subscription.workload.runs.values():
        yield run.id, _of_run(run, subscription.phase)


def _of_session(followed: Followed) -> _Told:
    subscription = followed.subscription
    head = subscription.workload.ranks.get(0)
    seconds = head.now if head is not None and subscription.over else None
    return _Told(subscription.phase, started=head is not None, seconds=seconds)


def _of_run(run: RunState, around: Phase) -> _Told:
    """A run, which ends with what is around it."""
    phase = around if around.ended and not run.phase.ended else run.phase
    told = _Told(phase, started=run.started_at is not None)
    receipt = run.receipt
    if receipt is None:
        return told
    return replace(told, seconds=receipt.seconds, gpu_seconds=receipt.gpu_seconds, waited=receipt.waited)


def _changes(before: Phase | None, now: _Told) -> Iterator[str]:
    """What happened between two looks, in order."""
    if before is None:
        yield "seen"
    waited = before in (None, Phase.QUEUED, Phase.PENDING, Phase.STARTING)
    if waited and (now.phase is Phase.RUNNING or (now.phase.ended and now.started)):
        yield "started"
    if now.phase.ended and (before is None or not before.ended):
        yield "ended"


def _form(followed: Followed, run: str, change: str, told: _Told) -> JsonObject:
    workload, handle = followed.subscription.workload, followed.handle
    devices = sum(len(rank.gpus) for rank in workload.ranks.values())
    return {
        "change": change,
        "workload": handle.id,
        "run": run,
        "kind": handle.spec.kind.value,
        "backend": handle.backend,
        "phase": told.phase.value,
        "gpus": devices if workload.ranks else handle.spec.gpus,
        "seconds": told.seconds,
        "gpu_seconds": told.gpu_seconds,
        "waited": told.waited,
        "simulated": workload.simulated,
    }
