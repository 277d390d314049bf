"""A bar under a cell of the notebook's own that computes on a Dask cluster: from what the cluster's journal tells anyway."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gpu_workbench.core.bars import bar, words
from gpu_workbench.core.model import DaskTasks

FIRST_BAR = 1.0
"""Seconds that a computation takes before it is worth a bar."""

INTERVAL = 0.5


class Clusters(Protocol):
    """The clusters that a notebook is connected to."""

    def told(self) -> list[DaskTasks]:
        """The tasks of each, as its journal told last."""
        ...

    def now(self) -> list[DaskTasks]:
        """The same, asked for now."""
        ...


class CellBar:
    """Draws from a thread of its own, whose output is the cell's, until it is told that the cell is over.

    Args:
        clusters: Whose tasks are followed.
        show: Shows a MIME bundle in the cell: the first time anew, then in its place.
    """

    def __init__(self, clusters: Clusters, show: Callable[[Mapping[str, str], bool], None]) -> None:
        self._clusters = clusters
        self._show = show
        self._over = threading.Event()
        self._began: float | None = None
        self._drawn = False
        self._thread = threading.Thread(target=self._run, name="gpu-workbench bar", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The cell is over: the bar stays as it is then."""
        self._over.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        while not self._over.wait(INTERVAL):
            self._look(self._clusters.told(), least=1)
        if self._drawn:  # the journal is up to a second behind
            self._look(self._clusters.now(), least=0)

    def _look(self, found: list[DaskTasks], *, least: int) -> None:
        """Draw the computation with most tasks open, where there are so many."""
        followed = [tasks for tasks in found if tasks.open >= least and tasks.total]
        if not followed:
            if not self._drawn:
                self._began = None
            return
        self._began = self._began or time.monotonic()
        elapsed = time.monotonic() - self._began
        if elapsed >= FIRST_BAR:
            self._draw(max(followed, key=lambda tasks: (tasks.open, tasks.done)), elapsed)

    def _draw(self, tasks: DaskTasks, elapsed: float) -> None:
        plain, rich = bar(tasks, elapsed=elapsed), _html(tasks, words(tasks, elapsed=elapsed))
        self._show({"text/plain": plain, "text/html": rich}, self._drawn)
        self._drawn = True


def _html(tasks: DaskTasks, figures: str) -> str:
    """The bar as the browser's own, which has the page's colours, and its figures."""
    done = tasks.done + tasks.failed
    return (
        '<div style="display:flex;gap:1em;align-items:center;font-variant-numeric:tabular-nums">'
        f'<span>Dask</span><progress max="{tasks.total}" value="{done}" style="flex:0 1 20em;min-width:4em"></progress>'
        f'<span style="white-space:nowrap">{html.escape(figures)}</span></div>'
    )


def shower(shell: Any) -> Callable[[Mapping[str, str], bool], None]:
    """Shows in the cell that runs now."""
    import secrets

    transient = {"display_id": f"gwb-bar-{secrets.token_hex(6)}"}

    def show(data: Mapping[str, str], update: bool) -> None:
        shell.display_pub.publish(data=dict(data), metadata={}, transient=transient, update=update)

    return show


class Connections:
    """The clusters in a notebook's own list of them.

    Args:
        clusters: By id, as :attr:`gpu_workbench.surfaces.here.Here.clusters` has them.
    """

    def __init__(self, clusters: Mapping[str, Any]) -> None:
        self._clusters = clusters

    def told(self) -> list[DaskTasks]:
        """See :meth:`Clusters.told`."""
        states = (known.cluster.state for known in list(self._clusters.values()))
        return [state.tasks for state in states if state is not None]

    def now(self) -> list[DaskTasks]:
        """See :meth:`Clusters.now`; those that do not answer are left out."""
        found = (known.cluster.tasks() for known in list(self._clusters.values()))
        return [tasks for tasks in found if tasks is not None]
