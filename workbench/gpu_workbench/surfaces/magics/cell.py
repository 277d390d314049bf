"""``%%gpu``: one cell, from its line to its shown result."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from gpu_workbench.app.execution import Execution, Step
from gpu_workbench.app.hints import hint
from gpu_workbench.app.portal import Pull
from gpu_workbench.app.sessions import Opened
from gpu_workbench.app.workbench import Cell, Started, Workbench
from gpu_workbench.core.errors import WorkbenchError
from gpu_workbench.core.events import InputRequested
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import Phase, RunState, Workload
from gpu_workbench.core.quantities import show_bytes
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.surfaces.flags import CellFlags
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.interrupts import Presses, kernel_ends
from gpu_workbench.surfaces.magics.failures import CellInterrupted, remote_error, run_failure
from gpu_workbench.surfaces.magics.moving import Moving
from gpu_workbench.surfaces.magics.notes import note
from gpu_workbench.surfaces.magics.outputs import Outputs
from gpu_workbench.surfaces.request import Request
from gpu_workbench.surfaces.view.bundle import RunView, ipython_publish
from gpu_workbench.surfaces.view.model import Published, Snapshot
from gpu_workbench.surfaces.view.snapshot import snapshot
from gpu_workbench.surfaces.where import where_of


class CellRun:
    """Draws one execution into the cell, and passes the user's interrupts on.

    Args:
        here: This process.
        shell: The running IPython shell.
        request: What the line asked for.
    """

    def __init__(self, here: Here, shell: Any, request: Request) -> None:
        self._here = here
        self._shell = shell
        self._request = request
        self._outputs = Outputs(shell)
        settings = request.config.settings
        self._saved = settings.saved
        self._view = RunView(publish=ipython_publish(), interval=settings.refresh)
        self._began = time.monotonic()
        self._going = Moving("is going")
        self._presses = Presses()
        self._last: Step | None = None
        self._brought: dict[str, int] = {}

    def run(self, workbench: Workbench, cell: Cell) -> None:
        """Run ``cell`` to its end and bring its results back; to the kernel's end, if that comes before.

        Raises:
            WorkbenchError: it could not be run.
            CellFailed, CellInterrupted: its code raised, or it was interrupted.
        """
        steps = workbench.run(self._request.backend, self._request.spec, cell, asked=self._request.asked)
        with Pull(self._here.portal, steps) as pull:
            started = pull.take()
            assert started is not None
            assert isinstance(started[0], Started)
            self._greet(started[0].opened)
            execution = started[0].execution
            with self._going:
                followed = self._follow(execution, pull)
            if not followed:
                return
        if execution.run is not None and execution.run.phase is Phase.SUCCEEDED:
            for name in cell.out:
                self._bring(workbench, execution, name)
        self._finish(execution)

    def _greet(self, opened: Opened) -> None:
        if opened.lost is not None:
            gone = ", ".join(sorted(opened.lost.names))
            self._note(f"{opened.lost.sentence}." + (f" Gone with it: {gone}." if gone else ""))
        if opened.rejoined:
            spec = opened.subscription.handle.spec
            self._note(
                f"Runs in the session {spec.name!r}, which any notebook may use."
                if spec.any_notebook
                else f"Found this notebook's session {spec.name!r} again."
            )

    def _note(self, sentence: str) -> None:
        note(self._shell, sentence)

    def _follow(self, execution: Execution, pull: Pull[Started | Step]) -> bool:
        """Draw what comes until the run has ended; false where the kernel ends and leaves it running."""
        while True:
            try:
                taken = pull.take()
                if taken is None:
                    return True
                (step,) = taken
                assert isinstance(step, Step)
                self._draw(execution, step)
                if step.question is not None:
                    with pull.interruptible():
                        self._ask(execution, step.question)
            except KeyboardInterrupt:
                if execution.accepted and kernel_ends():
                    return False
                self._interrupt(execution)

    def _draw(self, execution: Execution, step: Step) -> None:
        self._last = step
        due = self._view.due(step.run) or step.workload.phase in (Phase.FAILED, Phase.LOST)
        if step.sending is None or due or self._view.shown:  # the view says it, too
            self._going.close()
        else:
            self._going(*step.sending)
        if step.notes:
            note(self._shell, *step.notes)
        self._outputs.publish(step.outputs)
        if not step.over and due:
            self._view.update(self._snapshot(execution, step))

    def _ask(self, execution: Execution, question: InputRequested) -> None:
        ask = self._shell.kernel.getpass if question.password else self._shell.kernel.raw_input
        self._here.portal.call(execution.answer, question, ask(question.prompt))

    def _interrupt(self, execution: Execution) -> None:
        """Once: KeyboardInterrupt over there. Again, when that has not worked: the session's process is restarted."""
        if not execution.accepted and execution.run is None:
            name = execution.session.handle.spec.name
            raise CellInterrupted(
                f"Waiting was stopped; the session {name!r} keeps its place. `%gpu stop` gives it up; "
                "`%%gpu --detach` waits without this notebook"
            ) from None
        grade = self._presses.grade()
        if grade is not None:
            self._here.portal.call(execution.interrupt, grade=grade)

    def _snapshot(self, execution: Execution, step: Step) -> Snapshot:
        return snapshot(
            self._picture(execution, step),
            execution.spec.id,
            where=where_of(execution.session.handle, step.workload),
            explanation=_sending(step) or step.explanation,
            saved=self._saved,
            published=Published(characters=dict(self._outputs.characters), displays=self._outputs.displays),
            asked=time.monotonic() - self._began,
        )

    def _picture(self, execution: Execution, step: Step) -> Workload:
        """The workload, with what this kernel knows better: the session's phase before there is a journal, and sizes."""
        workload, run = step.workload, execution.run
        if not execution.accepted:
            workload = replace(workload, phase=execution.session.phase)
        if run is not None and self._brought:
            results = tuple(replace(value, size=self._brought.get(value.name, 0)) for value in run.results)
            workload = replace(workload, runs={**workload.runs, run.id: replace(run, results=results)})
        return workload

    def _finish(self, execution: Execution) -> None:
        run, step = execution.run, self._last
        if run is None or step is None:
            return
        if self._view.worth(run):
            self._view.finish(self._snapshot(execution, step))
        error = self._error(execution, run)
        if error is not None:
            raise error from None

    def _error(self, execution: Execution, run: RunState) -> BaseException | None:
        if run.phase is Phase.SUCCEEDED:
            return None
        if self._outputs.error is not None:
            return remote_error(self._outputs.error, hint=self._hint(execution, self._outputs.error))
        if run.failure is not None:
            return run_failure(run.failure)
        return WorkbenchError(f"The run ended as {run.phase.value}")

    def _hint(self, execution: Execution, error: JsonObject) -> str:
        companion = self._here.workbench(self._request.config).companion(execution.session)
        kind, message = str(error.get("ename", "")), str(error.get("evalue", ""))
        return hint(kind, message, here=self._here.namespace, why_absent=companion.why_absent)

    def _bring(self, workbench: Workbench, execution: Execution, name: str) -> None:
        with Moving("is coming") as progress:

            def moved(name: str, done: int, length: int) -> None:
                self._brought[name] = length
                progress(name, done, length)

            value = self._here.portal.call(
                workbench.fetch, execution.session, name, run=execution.spec.id, progress=moved
            )
        self._here.namespace[name] = value
        self._here.twins.brought(execution.session.handle, execution.session.workload, name)


def _sending(step: Step) -> Explanation | None:
    """What travels right now, as the reason why nothing runs yet."""
    if step.sending is None or step.run is not None:
        return None
    name, done, length = step.sending
    return Explanation(code="sending", sentence=f"Sending {name}: {show_bytes(done)} of {show_bytes(length)}")


def cell_of(flags: CellFlags, *, source: str, magic: str, count: int, cell_id: str) -> Cell:
    """The cell as the app knows it."""
    return Cell(
        source=source,
        out=flags.out,
        only=flags.in_ or None,
        send=not flags.no_in,
        magic=magic,
        count=count,
        cell_id=cell_id,
        name=flags.name or f"[{count}]",
        ranks=flags.ranks,
    )
