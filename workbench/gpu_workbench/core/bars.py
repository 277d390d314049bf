"""A bar for the tasks of a Dask computation, as tqdm would draw it: people know it, and what reads tqdm's reads it too."""

from __future__ import annotations

from gpu_workbench.core.model import DaskTasks

WIDTH = 10
"""Characters of the bar itself."""


def bar(tasks: DaskTasks, *, elapsed: float) -> str:
    """One line, without its line break.

    Args:
        tasks: Of the computation.
        elapsed: Seconds since it began.
    """
    done, total = tasks.done + tasks.failed, tasks.total
    share = done / total if total else 0.0
    filled = "█" * int(share * WIDTH)
    left = "?" if tasks.seconds_left is None else _clock(tasks.seconds_left)
    rate = "?" if not tasks.rate else f"{tasks.rate:.2f}"
    failed = f", {tasks.failed} failed" if tasks.failed else ""
    return f"Dask: {int(share * 100):3d}%|{filled:<{WIDTH}}| {done}/{total} [{_clock(elapsed)}<{left}, {rate}task/s{failed}]"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"
