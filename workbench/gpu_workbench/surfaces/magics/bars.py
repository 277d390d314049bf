"""A bar under a cell of the notebook's own that computes on a Dask cluster: from what the cluster's journal tells anyway."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from gpu_workbench.core.bars import bar
from gpu_workbench.core.model import DaskTasks

FIRST_BAR = 1.0
"""Seconds that a computation takes before it is worth a bar."""

INTERVAL = 0.5


class CellBar:
    """Draws from a thread of its own, whose output is the cell's, until it is told that the cell is over.

    Args:
        tasks: Gives the tasks of every cluster that this notebook is connected to.
    """

    def __init__(self, tasks: Callable[[], list[DaskTasks]]) -> None:
        self._tasks = tasks
        self._over = threading.Event()
        self._drawn = ""
        self._thread = threading.Thread(target=self._run, name="gpu-workbench bar", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The cell is over: the bar stays as it is."""
        self._over.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        began: float | None = None
        while not self._over.wait(INTERVAL):
            open_ = [tasks for tasks in self._tasks() if tasks.open]
            if not open_:
                began = None
                continue
            began = began or time.monotonic()
            elapsed = time.monotonic() - began
            if elapsed >= FIRST_BAR:
                self._draw(bar(max(open_, key=lambda tasks: tasks.open), elapsed=elapsed))
        if self._drawn:
            sys.stderr.write("\n")
            sys.stderr.flush()

    def _draw(self, line: str) -> None:
        sys.stderr.write(f"\r{line:<{len(self._drawn)}}")
        sys.stderr.flush()
        self._drawn = line


def tasks_of(clusters: dict[str, Any]) -> list[DaskTasks]:
    """The tasks of each cluster, as its journal told last."""
    states = (known.cluster.state for known in list(clusters.values()))
    return [state.tasks for state in states if state is not None]
