"""A run shown again in this cell: from its journal's beginning, and on until it ends."""

from __future__ import annotations

from typing import Any

from gpu_workbench.app.portal import Pull
from gpu_workbench.app.replay import Replay
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.core.events import OutputWritten
from gpu_workbench.surfaces.here import Here, Request
from gpu_workbench.surfaces.magics.outputs import Outputs
from gpu_workbench.surfaces.picture import snapshot_of
from gpu_workbench.surfaces.view.bundle import RunView, ipython_publish


def replay(
    here: Here, shell: Any, request: Request, subscription: Subscription, *, follow: bool, tail: int | None
) -> None:
    """Show the output of a workload's runs, and where ``follow`` its view until it is over.

    Args:
        tail: The last lines alone; ``None`` for all.
    """
    outputs, view = Outputs(shell, show_errors=True), RunView(publish=ipython_publish())
    backend = here.workbench(request.config).backend(request.backend)
    following = here.portal.call(Replay.begin, backend, subscription.handle)
    pull = Pull(here.portal, following.outputs(follow=follow))
    kept: list[OutputWritten] = []
    try:
        while (taken := pull.take()) is not None:
            if tail is None:
                outputs.publish(taken[0])
            else:
                kept.extend(taken[0])
            if follow:
                view.update(snapshot_of(following.subscription))
        if tail is not None:
            outputs.publish(last_lines(kept, tail))
        if follow:
            view.finish(snapshot_of(following.subscription))
    finally:
        here.portal.call(following.close)


def last_lines(events: list[OutputWritten], count: int) -> list[OutputWritten]:
    """Stream output of the last ``count`` lines, as one event."""
    text = "".join(str(event.content.get("text", "")) for event in events if event.message == "stream")
    lines = text.splitlines(keepends=True)[-count:]
    run = events[-1].run if events else ""
    return [OutputWritten(run, "stream", {"name": "stdout", "text": "".join(lines)})]
