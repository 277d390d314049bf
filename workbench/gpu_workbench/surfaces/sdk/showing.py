"""A run of :meth:`gpu_workbench.Session.run`: its output shown as it comes, its end as a result or an exception."""

from __future__ import annotations

import getpass
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpu_workbench.app.execution import Execution
from gpu_workbench.core.errors import WorkbenchError
from gpu_workbench.core.events import InputRequested
from gpu_workbench.core.model import Phase, Receipt, RunState
from gpu_workbench.surfaces.magics.failures import remote_error, run_failure
from gpu_workbench.surfaces.magics.outputs import Outputs
from gpu_workbench.surfaces.plain import PlainOutputs, traceback_of
from gpu_workbench.surfaces.sdk.core import failed

PRESSES_COUNT_AS_ONE = 5.0
"""Seconds within which several interrupts are one."""


@dataclass(frozen=True)
class Result:
    """A cell that has run.

    Args:
        id: The run's id.
        status: How it ended: Succeeded, for anything else is raised.
        values: The variables named by ``out``.
        receipt: What it cost.
    """

    id: str
    name: str = ""
    status: Phase = Phase.SUCCEEDED
    values: Mapping[str, object] = field(default_factory=dict, repr=False)
    receipt: Receipt | None = None

    def result(self) -> dict[str, object]:
        """The variables named by ``out``, by name."""
        return dict(self.values)


def outputs_here() -> Outputs | PlainOutputs:
    """Into the notebook's cell where there is one, else to this process's stdout and stderr."""
    if "IPython" in sys.modules:
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
        if shell is not None:
            return Outputs(shell)
    return PlainOutputs(errors=False)


def ask(question: InputRequested) -> str:
    """Ask the user for what the run asks for."""
    return getpass.getpass(question.prompt) if question.password else input(question.prompt)


def raise_failure(run: RunState, outputs: Outputs | PlainOutputs) -> None:
    """Raise what the run ended with, if it did not end well.

    Raises:
        RunFailed: its code raised, or its process died.
        KeyboardInterrupt: it was interrupted.
    """
    if run.phase is Phase.SUCCEEDED:
        return
    if outputs.error is not None:
        raise failed(remote_error(outputs.error), traceback_of(outputs.error))
    if run.failure is not None:
        raise failed(run_failure(run.failure), run.failure.detail or run.failure.what)
    raise WorkbenchError(f"The run ended as {run.phase.value}")


class Presses:
    """What a user's interrupts mean for one execution."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._first: float | None = None

    def grade(self) -> int | None:
        """1: KeyboardInterrupt over there. 2: its process is restarted. ``None``: the same press as the one before.

        Raises:
            KeyboardInterrupt: it still waits for its session; waiting ends, and the session keeps its place.
        """
        execution, now = self._execution, time.monotonic()
        if not execution.accepted and execution.run is None:
            raise KeyboardInterrupt(f"the session {execution.session.handle.spec.name!r} keeps its place")
        if self._first is not None and now - self._first < PRESSES_COUNT_AS_ONE:
            return None
        again, self._first = self._first is not None, now
        return 2 if again else 1
