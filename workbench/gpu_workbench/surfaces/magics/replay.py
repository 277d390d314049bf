"""A run shown again in this cell: from its journal's beginning, and on until it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from gpu_workbench.app.outcomes import outcome_of
from gpu_workbench.app.portal import Pull
from gpu_workbench.app.rank_logs import rank_outputs
from gpu_workbench.app.replay import Replay
from gpu_workbench.core.errors import WorkbenchError
from gpu_workbench.core.events import OutputWritten
from gpu_workbench.core.model import Cause
from gpu_workbench.core.spec import Handle
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.interrupts import Presses, kernel_ends
from gpu_workbench.surfaces.magics.failures import CellInterrupted, remote_error
from gpu_workbench.surfaces.magics.outputs import Outputs
from gpu_workbench.surfaces.magics.targets import Target
from gpu_workbench.surfaces.picture import snapshot_of
from gpu_workbench.surfaces.request import Request
from gpu_workbench.surfaces.view.bundle import RunView, ipython_publish

STILL_THERE = "It is shown here no further; the run itself was not interrupted"


def replay(
    here: Here, shell: Any, request: Request, target: Target, *, follow: bool, tail: int | None
) -> None:
    """Show the output of a workload's runs, and where ``follow`` its view until it is over.

    Args:
        tail: The last lines alone; ``None`` for all.
    """
    outputs, view = Outputs(shell, show_errors=True), RunView(publish=ipython_publish())
    backend = here.workbench(request.config).backend(request.backend)
    following = here.portal.call(Replay.begin, backend, target.subscription.handle, target.run)
    pull = Pull(here.portal, following.outputs(follow=follow))

    def look() -> None:
        if follow:
            view.update(snapshot_of(following.subscription, target.run))

    try:
        _publish(outputs, pull, tail=tail, each=look)
        if follow:
            view.finish(snapshot_of(following.subscription, target.run))
    finally:
        here.portal.call(following.close)


def of_rank(here: Here, shell: Any, target: Target, rank: int, *, follow: bool, tail: int | None) -> None:
    """Show what one rank of a gang has written.

    Args:
        rank: Which.
        tail: The last lines alone; ``None`` for all.
    """
    pull = Pull(here.portal, rank_outputs(target.subscription, target.run, rank, follow=follow))
    _publish(Outputs(shell, show_errors=True), pull, tail=tail)


def _publish(
    outputs: Outputs,
    pull: Pull[list[OutputWritten]],
    *,
    tail: int | None,
    each: Callable[[], None] = lambda: None,
) -> None:
    """Show what comes, or its last lines; ``each`` is called after each piece."""
    kept: list[OutputWritten] = []
    try:
        while (taken := pull.take()) is not None:
            if tail is None:
                outputs.publish(taken[0])
            else:
                kept.extend(taken[0])
            each()
        if tail is not None:
            outputs.publish(last_lines(kept, tail))
    except KeyboardInterrupt:
        # IPython cannot draw a frame that has no line, and an interrupt may find one of ours there
        raise remote_error({"ename": "KeyboardInterrupt", "evalue": STILL_THERE}) from None


def follow_own(here: Here, shell: Any, request: Request, handle: Handle) -> None:
    """Show a run that this cell started until it or the kernel has ended; the cell's interrupts are the run's.

    Raises:
        WorkbenchError: it did not end well.
        CellInterrupted: it was interrupted.
    """
    workbench = here.workbench(request.config)
    following = here.portal.call(Replay.begin, workbench.backend(request.backend), handle)
    subscription = following.subscription
    outputs, view = Outputs(shell), RunView(publish=ipython_publish())
    presses = Presses()

    async def interrupt(grade: int) -> None:
        await (await subscription.channel()).interrupt(handle.id, grade=grade)

    try:
        with Pull(here.portal, following.outputs(follow=True)) as pull:
            while True:
                try:
                    taken = pull.take()
                    if taken is None:
                        break
                    outputs.publish(taken[0])
                    view.update(snapshot_of(subscription))
                except KeyboardInterrupt:
                    if kernel_ends():
                        return
                    if not subscription.connected:
                        here.portal.call(workbench.stop, request.backend, handle)
                    elif (grade := presses.grade()) is not None:
                        with contextlib.suppress(WorkbenchError):  # it is over, or has not begun
                            here.portal.call(interrupt, grade)
        view.finish(snapshot_of(subscription))
        outcome = outcome_of(subscription)
        error = outcome.error(handle.spec.name or handle.id) if outcome else None
        if outcome is not None and error is not None:
            interrupted = outcome.failure is not None and outcome.failure.cause is Cause.INTERRUPTED
            raise CellInterrupted(outcome.sentence) if interrupted else error
    finally:
        here.portal.call(following.close)


def last_lines(events: list[OutputWritten], count: int) -> list[OutputWritten]:
    """Stream output of the last ``count`` lines, as one event."""
    text = "".join(str(event.content.get("text", "")) for event in events if event.message == "stream")
    lines = text.splitlines(keepends=True)[-count:]
    run = events[-1].run if events else ""
    return [OutputWritten(run, "stream", {"name": "stdout", "text": "".join(lines)})]
