"""Why a workload is to end, and how it did."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_workbench.core.model import Cause, Failure, Phase, Receipt


@dataclass(frozen=True)
class Ending:
    """Why the workload is to end now. ``told`` is SIGTERM's: somebody else wants this process gone."""

    reason: str
    cause: Cause = Cause.STOPPED
    told: bool = False


class Ended(Exception):
    """The workload is to end before what was waited for came."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


@dataclass(frozen=True)
class Outcome:
    """How the workload ended, and what its agent's process says of it."""

    phase: Phase
    code: int = 0
    reason: str = ""
    failure: Failure | None = None
    receipt: Receipt | None = None
