"""``%gpu top`` of a Dask cluster: every worker with its latest figures."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_workbench.core.model import Workload
from gpu_workbench.core.quantities import show_bytes
from gpu_workbench.surfaces.view import dask, dask_lines, lines
from gpu_workbench.surfaces.view.model import DaskShown, DaskWorkerLine

TITLES = ("worker", "threads", "waiting", "CPU", "memory", "spilled", "in", "out", "GPU", "GPU memory", "")


def rows(workload: Workload) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Titles and cells: only columns that say anything, and a last row for workers that have none of their own."""
    shown = dask.section(workload, now=0.0, wanted=None, waits=None, whole_names=False)
    found = [_cells(line, line.name) for line in shown.workers]
    if shown.rest is not None:
        found.append(_cells(shown.rest, dask_lines.rest_title(shown)))
    if len(found) > 1:
        found.append(_cells(shown.all, "together"))
    said = [place for place in range(len(TITLES)) if _is_said(shown, TITLES[place])]
    return [TITLES[place] for place in said], [[row[place] for place in said] for row in found]


def _is_said(shown: DaskShown, title: str) -> bool:
    every = shown.all
    known = {
        "spilled": every.spilled,
        "in": every.received,
        "out": every.sent,
        "GPU": every.gpus,
        "GPU memory": every.gpus,
    }
    return bool(known.get(title, True))


def _cells(line: DaskWorkerLine, name: str) -> Sequence[str]:
    has = bool(line.gpus)
    return (
        name,
        f"{line.executing:,} / {line.threads:,}",
        f"{line.waiting:,}",
        dask_lines.cpu(line.cpu),
        lines.memory_text(line.memory, line.memory_limit),
        show_bytes(line.spilled) if line.spilled else "–",
        dask_lines.per_second(line.received) if line.received else "–",
        dask_lines.per_second(line.sent) if line.sent else "–",
        dask_lines.gpu_busy(line) if has else "–",
        lines.memory_text(line.gpu_memory, line.gpu_memory_total) if has else "–",
        line.note,
    )
