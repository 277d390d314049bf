"""The MIME bundle of a view, and the view in a notebook: shown once, refreshed in place, finished with a picture."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Protocol, cast

from gpu_workbench.core.model import RunState
from gpu_workbench.core.spec import MIME_TYPE
from gpu_workbench.core.wire import Json, JsonObject
from gpu_workbench.surfaces.view.html import html
from gpu_workbench.surfaces.view.model import Snapshot
from gpu_workbench.surfaces.view.png import HEIGHT, WIDTH, png
from gpu_workbench.surfaces.view.snapshot import worth_showing
from gpu_workbench.surfaces.view.text import text

INTERVAL = 1.0
"""Seconds between two refreshes at least."""


class Publish(Protocol):
    """Sends a MIME bundle to the frontend: as a new output, or in place of the one with the same display id."""

    def __call__(self, data: JsonObject, metadata: JsonObject, *, display_id: str, update: bool) -> None:
        """Send it."""


def bundle(found: Snapshot, *, final: bool) -> tuple[JsonObject, JsonObject]:
    """``(data, metadata)`` of a display message.

    Args:
        found: What to show.
        final: Whether nothing follows; only then is a picture drawn.
    """
    data: JsonObject = {MIME_TYPE: found.to_json(), "text/html": str(html(found)), "text/plain": text(found)}
    metadata: JsonObject = {}
    picture = png(found) if final else None
    if picture:
        data["image/png"] = base64.b64encode(picture).decode("ascii")
        metadata["image/png"] = {"width": WIDTH, "height": HEIGHT}
    return data, metadata


class RunView:
    """One run's view in a cell.

    Args:
        publish: Sends what is to be shown; :func:`ipython_publish` makes one for the notebook's kernel.
        clock: Seconds on a monotonic clock.
        interval: Seconds between two refreshes at least.
    """

    def __init__(
        self, *, publish: Publish, clock: Callable[[], float] = time.monotonic, interval: float = INTERVAL
    ) -> None:
        self._publish = publish
        self._clock = clock
        self._interval = interval
        self._began = clock()
        self._last: Snapshot | None = None
        self._at = 0.0
        self._finished = False

    @property
    def shown(self) -> bool:
        """Whether there is anything in the cell yet."""
        return self._last is not None

    def worth(self, run: RunState | None) -> bool:
        """Whether a snapshot of ``run`` would be shown at all: one that would not need not be made."""
        return not self._finished and (self.shown or worth_showing(run, self._clock() - self._began))

    def due(self, run: RunState | None) -> bool:
        """Whether :meth:`update` would send a snapshot that has changed."""
        return self.worth(run) and (self._last is None or self._clock() - self._at >= self._interval)

    def show(self, found: Snapshot) -> None:
        """Put the view into the cell, however short the run has been."""
        self._send(found, final=False)

    def update(self, found: Snapshot) -> bool:
        """Refresh the view, if it is due and anything changed; begin it once the run is worth one.

        Returns:
            Whether anything was sent.
        """
        now = self._clock()
        if self._finished or not self._worth(found, now):
            return False
        if self._last is not None and (now - self._at < self._interval or found == self._last):
            return False
        self._send(found, final=False)
        return True

    def finish(self, found: Snapshot) -> bool:
        """Show the end, with its picture, however recent the last refresh. Does nothing the second time.

        Returns:
            Whether anything was sent.
        """
        if self._finished or not self._worth(found, self._clock()):
            return False
        self._finished = True
        self._send(found, final=True)
        return True

    def _worth(self, found: Snapshot, now: float) -> bool:
        return self.shown or worth_showing(found.snapshot, now - self._began)

    def _send(self, found: Snapshot, *, final: bool) -> None:
        data, metadata = bundle(found, final=final)
        self._publish(data, metadata, display_id=display_id(found), update=self._last is not None)
        self._last, self._at = found, self._clock()


def display_id(found: Snapshot) -> str:
    """The display id of a run's view: the same for every view of that run in one kernel, so that all are refreshed."""
    return "-".join(part for part in ("gwb", found.id, found.run) if part)


def ipython_publish() -> Publish:
    """Publish through the running IPython shell's own display publisher.

    Raises:
        RuntimeError: there is no IPython shell.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None:
        raise RuntimeError("There is no IPython shell to show anything in")
    publisher = shell.display_pub

    def publish(data: JsonObject, metadata: JsonObject, *, display_id: str, update: bool) -> None:
        transient = cast("dict[str, Json]", {"display_id": display_id})
        publisher.publish(data=data, metadata=metadata, transient=transient, update=update)

    return publish
