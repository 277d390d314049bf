"""The sentences of a view, the same in every rendering. Pure, and plain text throughout."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_workbench.core.model import Cause, Kind, Phase, Progress, RunState, Workload
from gpu_workbench.core.quantities import show_about, show_bytes, show_seconds
from gpu_workbench.surfaces.view import clean, series
from gpu_workbench.surfaces.view.model import Chart, GpuSeries, Shown, Snapshot

MARKS = {
    Phase.QUEUED: "○",
    Phase.PENDING: "○",
    Phase.STARTING: "◐",
    Phase.RUNNING: "●",
    Phase.STOPPING: "◑",
    Phase.SUCCEEDED: "✓",
    Phase.FAILED: "■",
    Phase.STOPPED: "□",
    Phase.LOST: "▲",
}
"""A mark of its own for each phase, so that colour is never the only sign."""

_WAITING = frozenset({Phase.QUEUED, Phase.PENDING, Phase.STARTING})
_NOTES = 4
_AHEAD = 3


def waiting(phase: Phase) -> bool:
    """Whether the run is still to begin."""
    return phase in _WAITING


def place(found: Snapshot) -> list[str]:
    """Where it runs, part by part: session, cluster, GPUs. Stands in the first line of every view."""
    where, shown = found.where, found.snapshot
    parts = [f"session {where.session}"] if where.session and shown.kind is Kind.SESSION else []
    if shown.kind is not Kind.SESSION:
        parts.append("Dask" if shown.kind is Kind.DASK else shown.kind.value)
    cluster = " / ".join(part for part in (where.context, where.namespace) if part)
    if cluster or where.backend != "local":
        parts.append(cluster or where.backend)
    ranks = f"{shown.rank_count} ranks on " if shown.rank_count > 1 else ""
    if where.gpus:
        parts.append(ranks + where.gpus)
    elif shown.rank_count > 1:
        parts.append(f"{shown.rank_count} ranks")
    if where.backend == "local" and "this machine" not in where.gpus:
        parts.append("this machine")
    return parts


def answer(shown: Shown, run: RunState | None, workload: Workload) -> str:
    """The one line wanted in this phase, for what is no loop with a known end."""
    phase = shown.phase
    if phase is Phase.RUNNING:
        return _running(shown, run, workload)
    if phase is Phase.SUCCEEDED:
        return came_back(shown)
    if phase is Phase.STOPPING:
        return (
            shown.explanation.sentence
            if shown.explanation
            else "It is being stopped; its GPUs are free when this says Stopped"
        )
    if phase.ended:
        return _ended(shown, run, workload)
    if run is not None and run.ahead:
        return _behind(run, workload)
    if shown.explanation:
        return shown.explanation.sentence
    return {
        Phase.QUEUED: "Waits for its turn",
        Phase.PENDING: "Waits for a place to run",
        Phase.STARTING: "Its processes are coming up",
    }[phase]


def hint(shown: Shown, run: RunState | None) -> str:
    """The line after the answer: what to do next, or how long it has been."""
    parts = []
    if shown.explanation and (waiting(shown.phase) or shown.phase.ended):
        parts.append(shown.explanation.fix)
        if run is not None and run.ahead and waiting(shown.phase):
            parts.insert(0, shown.explanation.sentence)
    if shown.phase is Phase.FAILED and shown.failure and not any(parts):
        fixes = _FIXES_OF_DASK if shown.kind is Kind.DASK else _FIXES
        parts.append(fixes.get(shown.failure.cause, ""))
    if waiting(shown.phase) and shown.waited is not None and shown.waited >= 1:
        parts.append(f"waited {show_seconds(shown.waited)}")
    return " · ".join(part for part in parts if part)


_FIXES = {
    Cause.CUDA_OUT_OF_MEMORY: "Use a smaller batch, free tensors kept by the session, or ask for more GPUs",
    Cause.OUT_OF_MEMORY: "Start the session with more --memory, or hold less at once",
    Cause.TIME_LIMIT: "Start it with a longer --time-limit",
    Cause.LOST: "%gpu why says what is known",
}
_FIXES_OF_DASK = {cause: _FIXES[cause] for cause in (Cause.TIME_LIMIT, Cause.LOST)}


def notes(shown: Shown, workload: Workload) -> tuple[str, ...]:
    """What the reader should know besides, most urgent first."""
    found = []
    if shown.phase is Phase.RUNNING and shown.explanation:
        found.append(shown.explanation.sentence)
    run = workload.busy
    if run is not None and run.waiting_for_input and shown.phase is Phase.RUNNING:
        found.append("The cell waits for input")
    if shown.phase is Phase.RUNNING and shown.chart:
        found.extend(_slowed(workload))
    if workload.kind is Kind.JOB and workload.generation > 0 and not shown.phase.ended:
        found.append(f"Started again: this is its {_ordinal(workload.generation + 1)} start")
    if shown.truncated:
        found.append(f"{shown.truncated:,} characters of output were dropped: the journal was full")
    return tuple(found[:_NOTES])


def progress_text(progress: Progress) -> str:
    """``epoch 1,240 / 5,000``."""
    done = _count(progress.done)
    total = f" / {_count(progress.total)}" if progress.total is not None else ""
    unit = f" {progress.unit}" if progress.unit and progress.unit != "it" else ""
    colon = ":" if progress.label[-1:].isdigit() else ""
    label = f"{progress.label}{colon} " if progress.label else ""
    return f"{label}{done}{total}{unit}"


def share(progress: Progress) -> float | None:
    """Per cent done, ``None`` where the end is not known."""
    if not progress.total:
        return None
    return min(max(100.0 * progress.done / progress.total, 0.0), 100.0)


def left(shown: Shown) -> str:
    """``about 5 min 04 s left``; an estimate says so."""
    known = shown.progress.seconds_left if shown.progress and shown.phase is Phase.RUNNING else None
    return "" if known is None else f"about {show_about(known)} left"


def rate(progress: Progress) -> str:
    """``12.4 steps/s``, or seconds for each where it is slower than that."""
    if not progress.rate or progress.rate <= 0:
        return ""
    unit = progress.unit or "it"
    if progress.rate < 1:
        return f"{1 / progress.rate:.3g} s/{unit}"
    return f"{progress.rate:,.0f} {unit}/s" if progress.rate >= 100 else f"{progress.rate:.3g} {unit}/s"


def gpu_figures(chart: Chart) -> list[tuple[str, str]]:
    """``GPU busy`` and ``memory``, each with its figure or ``n/a`` and the reason."""
    many = chart.count > 1
    busy = percent(chart.busy) if chart.busy is not None else "n/a"
    why = chart.missing.get("utilisation", "")
    label = f"{chart.count} GPUs busy" if many else "GPU busy"
    figures = [(label, f"{busy} ({why})" if busy == "n/a" and why else busy)]
    why = chart.missing.get("memory_used", "")
    memory = memory_text(chart.memory_used, chart.memory_total)
    figures.append(
        ("fullest memory" if many else "memory", f"{memory} ({why})" if memory == "n/a" and why else memory)
    )
    return figures


def memory_text(used: int | None, total: int | None) -> str:
    """``66 / 141 GiB``."""
    if used is None:
        return "n/a"
    if total is None:
        return show_bytes(used)
    shown, unit = show_bytes(total).split(" ")
    same = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}[unit]
    part = used / same
    return f"{part:.1f} / {shown} {unit}" if part < 10 else f"{part:.0f} / {shown} {unit}"


def percent(value: float | None) -> str:
    """``71 %``."""
    return "n/a" if value is None else f"{value:.0f} %"


def came_back(shown: Shown) -> str:
    """``acc came back, 32 B``."""
    if not shown.results:
        return ""
    names = ", ".join(one.name for one in shown.results[:3])
    more = f" and {len(shown.results) - 3} more" if len(shown.results) > 3 else ""
    return f"{names}{more} came back, {show_bytes(sum(one.size for one in shown.results))}"


def receipt(shown: Shown) -> list[tuple[str, str]]:
    """What it took, as pairs of a word and a figure: time, utilisation, memory, GPU-hours, cost."""
    found = []
    bill = shown.receipt
    if shown.waited is not None and shown.waited >= 1 and not waiting(shown.phase):
        found.append(("waited", show_seconds(shown.waited)))
    if shown.ran is not None and shown.phase not in (Phase.FAILED, Phase.STOPPED):  # there the answer says it
        found.append(("ran", show_seconds(shown.ran)))
    if bill and bill.restarts:
        found.append(("restarts", str(bill.restarts)))
    if bill and bill.gpus:
        found.append(("GPU", percent(bill.mean_utilisation)))
        if bill.peak_memory is not None:
            found.append(("peak", show_bytes(bill.peak_memory)))
        found.append(("", gpu_hours(bill.gpu_seconds)))
    if shown.cost:
        found.append(("" if shown.phase.ended else "so far", shown.cost))
    return found


def gpu_hours(gpu_seconds: float) -> str:
    """``0.45 GPU-h``; in GPU-seconds where that would be nothing."""
    hours = gpu_seconds / 3600
    if hours < 0.001:
        return f"{gpu_seconds:.2g} GPU-s"
    return f"{hours:,.1f} GPU-h" if hours >= 10 else f"{hours:.2g} GPU-h"


def seen_first(shown: Shown) -> str:
    """Which rank failed first, where there are several."""
    if shown.rank_count < 2 or not shown.failure or shown.phase is not Phase.FAILED:
        return ""
    return f"rank {shown.failure.rank} first"


def window(seconds: float) -> str:
    """How far a chart looks back: ``last 2 min``."""
    return f"last {seconds / 60:.0f} min" if seconds >= series.WINDOW else f"last {seconds:.0f} s"


def ending(shown: Shown) -> str:
    """When it ends by itself, where it will."""
    if not shown.ending:
        return ""
    comes = "task comes" if shown.kind is Kind.DASK else "cell runs"
    words = {"idle": f"ends in {{}} if no {comes}", "orphan": "ends in {} if nobody comes back"}
    return words.get(shown.ending.name, "ends in {} by its " + shown.ending.name + " limit").format(
        show_about(shown.ending.seconds)
    )


def gpu_title(one: GpuSeries) -> str:
    """Everything known of one GPU, as a sentence for a tooltip and for screen readers."""
    parts = [f"GPU {one.gpu} of rank {one.rank}"]
    parts.append(f"busy {percent(one.busy)}")
    parts.append(f"memory {memory_text(one.memory_used, one.memory_total)}")
    if one.temperature is not None:
        parts.append(f"{one.temperature:.0f} °C")
    if one.power is not None:
        parts.append(f"{one.power:.0f} W")
    parts.extend(f"no {field}: {why}" for field, why in one.missing.items())
    return ", ".join(parts)


def _running(shown: Shown, run: RunState | None, workload: Workload) -> str:
    if run is None:
        busy = workload.busy
        if busy is None:
            return ending(shown) or "Ready for a cell"
        return f"Busy with {busy.name or busy.id}"
    if shown.progress:
        return progress_text(shown.progress)
    return f"{show_seconds(shown.ran)} so far" if shown.ran is not None else "It runs"


def _ended(shown: Shown, run: RunState | None, workload: Workload) -> str:
    failed = shown.failure
    if failed and failed.cause is Cause.INTERRUPTED:
        return "Interrupted" + _when(shown)
    if failed and failed.what:
        return failed.what + _on(shown) + _when(shown)
    if shown.explanation:
        return shown.explanation.sentence
    if shown.phase is Phase.STOPPED:
        return "Stopped" + (_when(shown) or (" before it began" if run is not None else ""))
    if shown.phase is Phase.LOST:
        return "Nothing is left of it where it ran"
    return "It failed, and left no reason" + _when(shown)


def _on(shown: Shown) -> str:
    if not shown.failure or shown.rank_count < 2:
        return ""
    host = next((one.host for one in shown.ranks if one.rank == shown.failure.rank and one.host), "")
    return f", on rank {shown.failure.rank}" + (f" ({host})" if host else "")


def _when(shown: Shown) -> str:
    at = f" at {progress_text(shown.progress)}" if shown.progress and shown.progress.done else ""
    after = f" after {show_seconds(shown.ran)}" if shown.ran is not None else ""
    return at + after


def _behind(run: RunState, workload: Workload) -> str:
    """The place in the session's queue, with the names of the runs before, as far as they have one."""
    known = [workload.runs[other].name for other in run.ahead if other in workload.runs]
    names = [clean.line(name, 40) for name in known if name][:_AHEAD]
    more = len(run.ahead) - len(names)
    others = f"{more} more" if names else f"{more} runs" if more > 1 else "the run before it"
    before = " and ".join(part for part in (", ".join(names), others if more else "") if part)
    place = "Next" if len(run.ahead) == 1 else _ordinal(len(run.ahead))
    return f"{place} in this session, after {before}"


def _ordinal(count: int) -> str:
    teens = 10 <= count % 100 <= 20
    return f"{count}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(count % 10, 'th')}"


def _slowed(workload: Workload) -> list[str]:
    """One line for each reason, with the device that is slowed most."""
    found: dict[str, list[GpuSeries]] = {}
    count = 0
    for one in series.each(workload.ranks, seconds=1.0, points=2):
        count += 1
        if one.slowed:
            found.setdefault(one.slowed, []).append(one)
    several_ranks = len(workload.ranks) > 1
    return [_slowed_line(why, ones, count, several_ranks=several_ranks) for why, ones in found.items()]


def _slowed_line(why: str, ones: Sequence[GpuSeries], count: int, *, several_ranks: bool) -> str:
    worst = series.slowest(ones)
    clocks = ""
    if worst is not None and worst.clock is not None and worst.clock_max:
        clocks = f"{worst.clock / 1000:.2f} of {worst.clock_max / 1000:.2f} GHz"
    one = worst or ones[0]
    whose = f"GPU {one.gpu} of rank {one.rank}" if several_ranks else f"GPU {one.gpu}"
    if len(ones) == 1:
        return f"{whose} is {why}" + (f": {clocks}" if clocks else "")
    most = f", {whose} most" if len(ones) < count else ""
    said = why.replace("its power limit", "their power limits").replace(
        "its power supply", "their power supplies"
    )
    return f"{len(ones)} of {count} GPUs are {said}{most}" + (f": {clocks}" if clocks else "")


def _count(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() or value >= 1000 else f"{value:,.1f}"


def joined(parts: Sequence[str]) -> str:
    """Parts of a line with a middle dot between them."""
    return " · ".join(part for part in parts if part)


def pairs(found: Sequence[tuple[str, str]]) -> list[str]:
    """``("ran", "1:41")`` as ``ran 1:41``."""
    return [f"{word} {figure}".strip() for word, figure in found]
