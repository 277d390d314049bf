"""The sentences of a Dask cluster's view, the same in every rendering. Pure, and plain text throughout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gpu_workbench.core.model import Phase, Progress
from gpu_workbench.core.quantities import show_bytes, show_seconds
from gpu_workbench.surfaces.view import lines
from gpu_workbench.surfaces.view.model import DaskCounts, DaskShown, DaskWorkerLine, Shown

_NAMED = 3
_NOTES = 4


def told(shown: Shown, dask: DaskShown) -> Shown:
    """A view with the sentences of its Dask cluster."""
    running = shown.phase is Phase.RUNNING
    said = answer(dask, shown.phase) or shown.answer
    if shown.phase is Phase.STOPPED and shown.ran:
        said = lines.joined([said, f"ran {show_seconds(shown.ran)}"])
    return replace(
        shown,
        answer=said,
        notes=(*shown.notes, *(notes(dask) if running else ()))[:_NOTES],
    )


def progress(shown: DaskShown) -> Progress | None:
    """How far the computation is; ``None`` where no task is left."""
    tasks = shown.tasks
    if not tasks.open:
        return None
    unit = "tasks" if tasks.total != 1 else "task"
    return Progress(
        label="",
        done=float(tasks.done),
        total=float(tasks.total),
        unit=unit,
        rate=tasks.rate,
        seconds_left=tasks.seconds_left,
    )


def answer(shown: DaskShown, phase: Phase) -> str:
    """What it has done: of one that runs beside its workers, while no task is open."""
    parts = [_done(shown.tasks)] if shown.tasks.total else []
    if phase is Phase.RUNNING:
        if not parts:
            return f"{workers(shown.count or 0)}, no tasks"
        if shown.idle is not None and shown.idle >= 1:
            parts.append(f"idle for {show_seconds(shown.idle)}")
        return " · ".join(parts)
    if phase in (Phase.SUCCEEDED, Phase.STOPPED):
        return " · ".join(parts) or ("No tasks" if shown.count is not None else "")
    return ""


def workers(count: int) -> str:
    """``1 worker``, ``4 workers``."""
    return f"{count:,} worker{'' if count == 1 else 's'}" if count else "No workers"


def _done(tasks: DaskCounts) -> str:
    """``9,600 tasks done, 3 failed``, and how many were left."""
    done = f"{tasks.done:,} task{'' if tasks.done == 1 else 's'} done"
    failed = f", {tasks.failed:,} failed" if tasks.failed else ""
    return done + failed + (f", {tasks.open:,} left" if tasks.open else "")


def waits(shown: DaskShown) -> str:
    """Why workers that it is to have are not there: ``1 of 4 workers waits: …``."""
    if shown.waits is None:
        return ""
    lacking = (shown.wanted or 0) - (shown.count or 0)
    if shown.wanted is None or lacking <= 0:
        return shown.waits.sentence
    return f"{lacking:,} of {workers(shown.wanted)} wait{'s' if lacking == 1 else ''}: {shown.waits.sentence}"


def notes(shown: DaskShown) -> list[str]:
    """What the reader should know besides, most urgent first."""
    fix = f". {shown.waits.fix}" if shown.waits and shown.waits.fix else ""
    found = [waits(shown) + fix]
    tasks = shown.tasks
    if shown.count == 0 and tasks.open and shown.waits is None:
        found.append("There is no worker to run its tasks")
    elif tasks.stuck:
        one = tasks.stuck == 1
        found.append(
            f"{tasks.stuck:,} task{' fits' if one else 's fit'} no worker: none has what they ask for"
        )
    if shown.lost:
        again = f"; {tasks.retried:,} tasks were begun again" if tasks.retried else ""
        found.append(f"{workers(shown.lost)} lost{again}")
    for why in sorted({line.note for line in shown.workers if line.note}, key=_urgency):
        if not why.startswith(_OF_LITTLE_NOTE):
            found.append(_which([line for line in shown.workers if line.note == why], why, shown.count or 0))
    return [note for note in found if note]


_OF_LITTLE_NOTE = ("leaves", "spills")
"""What a worker does that nobody needs to do anything about: its line says it."""


def _urgency(why: str) -> tuple[int, str]:
    """A worker that takes no tasks comes before one that is slow, and that before one that may become so."""
    return (2 if why.startswith("memory") else 1 if why.startswith("GPU") else 0), why


def _which(apart: Sequence[DaskWorkerLine], why: str, count: int) -> str:
    if len(apart) > _NAMED:
        return f"{len(apart)} of {workers(count)}: {why}"
    named = ", ".join(line.name for line in apart)
    return f"Worker{'' if len(apart) == 1 else 's'} {named}: {why}"


def figures(shown: DaskShown) -> list[tuple[str, str]]:
    """What all workers do together, as pairs of a word and a figure, without what stands over the curves."""
    found = []
    every, tasks, drawn = shown.all, shown.tasks, shown.past is not None
    if tasks.open and (every.gpus or not drawn) and (speed := rate(tasks.rate)):
        found.append(("", speed))
    if every.threads and not drawn:
        found.append(("threads busy", f"{every.executing:,} / {every.threads:,}"))
    if every.gpus and not drawn:
        found.append((gpus_busy(every), gpu_busy(every)))
    if every.gpus:
        found.append(("GPU memory", lines.memory_text(every.gpu_memory, every.gpu_memory_total)))
    if shown.count:
        found.append(("memory", lines.memory_text(every.memory, every.memory_limit)))
    if every.spilled:
        found.append(("spilled", show_bytes(every.spilled)))
    if shown.moved:
        now = max(every.received, every.sent)
        found.append(("moved", show_bytes(shown.moved) + (f" · {per_second(now)} now" if now else "")))
    if shown.clients != 1 and shown.count is not None:
        found.append(("", f"{shown.clients:,} clients" if shown.clients else "no client"))
    return found


def short_figures(shown: DaskShown) -> list[tuple[str, str]]:
    """Those that one line has room for."""
    every, tasks = shown.all, shown.tasks
    found = [("", rate(tasks.rate))] if tasks.open and rate(tasks.rate) else []
    if every.gpus:
        found.append((gpus_busy(every), gpu_busy(every)))
    elif tasks.open and every.threads:
        found.append(("threads busy", f"{every.executing:,} / {every.threads:,}"))
    if tasks.failed and tasks.open:
        found.append(("", f"{tasks.failed:,} failed"))
    return found


def legend(tasks: DaskCounts) -> list[tuple[str, str]]:
    """The parts of the bar of tasks, besides what is done: a state and its words."""
    found = []
    if tasks.running:
        found.append(("run", f"{tasks.running:,} running"))
    if tasks.waiting:
        found.append(("none", f"{tasks.waiting:,} waiting"))
    if tasks.failed:
        found.append(("fail", f"{tasks.failed:,} failed"))
    return found


def rate(value: float | None) -> str:
    """``412 tasks/s``, or seconds for each where it is slower than that; empty where it is not known."""
    if not value or value <= 0:
        return ""
    if value < 1:
        return f"{1 / value:.3g} s/task"
    return f"{value:,.0f} tasks/s" if value >= 100 else f"{value:.3g} tasks/s"


def per_second(value: int) -> str:
    """``120 MiB/s``."""
    return f"{show_bytes(value)}/s"


def gpus_busy(line: DaskWorkerLine) -> str:
    """``GPU busy``, ``4 GPUs busy``."""
    return "GPU busy" if line.gpus == 1 else f"{line.gpus:,} GPUs busy"


def gpu_busy(line: DaskWorkerLine) -> str:
    """``51 %``, or why that is not known."""
    if line.busy is None:
        return f"n/a ({line.missing})" if line.missing else "n/a"
    return f"{line.busy:.0f} %"


def title(line: DaskWorkerLine) -> str:
    """Everything known of one worker, as a sentence for a tooltip and for screen readers."""
    parts = [
        f"Worker {line.whole or line.name}",
        line.note,
        f"{line.executing} of {line.threads} threads busy, {line.waiting} tasks waiting",
        f"CPU {cpu(line.cpu)}",
        f"memory {lines.memory_text(line.memory, line.memory_limit)}",
        f"spilled {show_bytes(line.spilled)}" if line.spilled else "",
        f"{gpus_busy(line)} {gpu_busy(line)}" if line.gpus else "",
        f"GPU memory {lines.memory_text(line.gpu_memory, line.gpu_memory_total)}" if line.gpus else "",
    ]
    return ", ".join(part for part in parts if part)


def cpu(value: float | None) -> str:
    """``790 %`` of one core; of very many workers ``107 cores``."""
    if value is None:
        return "n/a"
    return f"{value:.0f} %" if value < 10_000 else f"{value / 100:,.0f} cores"


def rest_title(shown: DaskShown) -> str:
    """``and 136 more``; empty where all have a line."""
    more = (shown.count or 0) - len(shown.workers)
    return f"and {more:,} more" if shown.rest is not None and more > 0 else ""


@dataclass(frozen=True)
class Curve:
    """One of the two curves over time, on an axis from 0 to 100.

    Args:
        word: What it shows.
        figure: Its latest value; empty once that says nothing any more.
        values: Per cent at each point, of ``highest`` where there is one.
        highest: What 100 stands for, in words; empty for per cent.
    """

    word: str
    figure: str
    values: tuple[float | None, ...]
    highest: str = ""


def curves(dask: DaskShown, *, live: bool) -> list[Curve]:
    """Threads that are busy, and beside them GPUs, or tasks a second where there are none."""
    past, every = dask.past, dask.all
    if past is None:
        return []
    busy = lines.percent(min(100.0 * every.executing / every.threads, 100.0) if every.threads else None)
    found = [Curve("threads busy", busy if live else "", past.busy)]
    if every.gpus:
        said = gpu_busy(every)
        found.append(
            Curve(gpus_busy(every), said if live or said.startswith("n/a") else "", past.utilisation)
        )
        return found
    top = max((value for value in past.rate if value), default=0.0)
    values = tuple(None if value is None else round(100 * value / top) if top else 0.0 for value in past.rate)
    now = rate(dask.tasks.rate) if dask.tasks.open else ""
    highest = f"at most {rate(top)}" if top else ""
    if live:
        found.append(Curve("", now or "0 tasks/s", values, highest))
    else:
        found.append(Curve("tasks/s", "", values, highest))
    return found
