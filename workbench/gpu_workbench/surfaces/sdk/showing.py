"""A run of :meth:`gpu_workbench.Session.run`: its output shown as it comes, its end as a result or an exception."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpu_workbench.core.errors import WorkbenchError
from gpu_workbench.core.events import InputRequested
from gpu_workbench.core.model import Phase, Receipt, RunState
from gpu_workbench.surfaces.magics.failures import remote_error, run_failure
from gpu_workbench.surfaces.magics.outputs import Outputs
from gpu_workbench.surfaces.plain import PlainOutputs, traceback_of
from gpu_workbench.surfaces.sdk.core import failed


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
