"""A bar for the tasks of a Dask computation, as tqdm would draw it: people know it, and what reads tqdm's reads it too."""

from __future__ import annotations

from gpu_workbench.core.model import DaskTasks
from gpu_workbench.core.quantities import show_about

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
    seconds, rate = (
        (tasks.seconds_left, tasks.rate) if tasks.open else (0.0, done / elapsed if elapsed else None)
    )
    left = "?" if seconds is None else _clock(seconds)
    speed = "?" if not rate else f"{rate:.2f}"
    failed = f", {tasks.failed} failed" if tasks.failed else ""
    times = f"[{_clock(elapsed)}<{left}, {speed}task/s{failed}]"
    return f"Dask: {int(share * 100):3d}%|{filled:<{WIDTH}}| {done}/{total} {times}"


def words(tasks: DaskTasks, *, elapsed: float) -> str:
    """The same for people alone: ``24 / 120 tasks · 8.0 a second · about 12 s left``, at the end how long it took."""
    found = [f"{tasks.done + tasks.failed:,} / {tasks.total:,} tasks"]
    if tasks.failed:
        found.append(f"{tasks.failed:,} failed")
    if not tasks.open:
        return " · ".join([*found, f"took {show_about(elapsed)}"])
    if tasks.rate:
        found.append(f"{tasks.rate:,.1f} a second")
    if tasks.seconds_left is not None:
        found.append(f"about {show_about(tasks.seconds_left)} left")
    return " · ".join(found)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"
