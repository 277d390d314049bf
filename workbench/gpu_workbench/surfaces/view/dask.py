"""What a Dask scheduler says of its cluster as the wire data of its view: bounded, cleaned and added up. Pure."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import DaskPoint, DaskState, DaskTasks, DaskWorker, GpuSample, Workload
from gpu_workbench.surfaces.view import clean, series
from gpu_workbench.surfaces.view.model import (
    DaskCounts,
    DaskGroup,
    DaskPast,
    DaskShown,
    DaskWorkerLine,
)

WORKERS = 64
"""Workers that are told of one by one at most."""

GROUPS = 8
"""Functions whose tasks are told of at most."""

FULL = 0.8
"""Share of its memory above which a worker is told to be almost full; at Dask's own 80 % it takes no new task."""

_APART = 1.0
"""Seconds between two words of a scheduler."""

_LARGEST = 2**53
_SHORTEST = 4
_NAME = 24


def section(
    workload: Workload, *, now: float, wanted: int | None, waits: Explanation | None, whole_names: bool
) -> DaskShown:
    """The part of a snapshot that is about a Dask cluster.

    Args:
        workload: What is known of it.
        now: The seconds of its agent.
        wanted: How many workers it is to have; ``None`` where that is not known.
        waits: Why workers of it are not there, cleaned.
        whole_names: Whether workers' whole names may be saved.
    """
    asked = None if wanted is None else _count(wanted)
    state = workload.dask
    if state is None:
        return DaskShown(wanted=asked, waits=waits)
    lines = worker_lines(state, whole_names=whole_names)
    shown = DaskShown(
        wanted=asked,
        count=len(lines),
        tasks=_counts(state.tasks),
        workers=tuple(lines),
        all=together(lines),
        clients=_count(state.clients),
        moved=_count(state.moved),
        lost=_count(state.lost),
        idle=_idle(state, now),
        waits=waits,
        past=_past(workload.dask_past, now),
        dashboard=bool(state.dashboard),
    )
    return fewer(shown, WORKERS)


def worker_lines(state: DaskState, *, whole_names: bool) -> list[DaskWorkerLine]:
    """A line for each worker, by name."""
    names = [clean.line(worker.name, 80) for worker in state.workers]
    lines = [
        _line(worker, short, whole if whole_names and whole != short else "")
        for worker, whole, short in zip(state.workers, names, short_names(names), strict=True)
    ]
    return sorted(lines, key=_by_name)


def fewer(shown: DaskShown, limit: int) -> DaskShown:
    """At most ``limit`` workers one by one, those that something sets apart before all others; the rest together."""
    if len(shown.workers) <= limit:
        return shown
    urgent = sorted(shown.workers, key=lambda line: not line.note)
    kept, cut = urgent[:limit], urgent[limit:]
    rest = together([*cut, *([shown.rest] if shown.rest else [])])
    return replace(shown, workers=tuple(sorted(kept, key=_by_name)), rest=rest)


def together(lines: Sequence[DaskWorkerLine]) -> DaskWorkerLine:
    """Several workers as one: what all of them do and hold. Of what some do not tell, those that do are counted."""
    memory, memory_limit = _pair(lines, lambda line: (line.memory, line.memory_limit))
    gpu_memory, gpu_memory_total = _pair(lines, lambda line: (line.gpu_memory, line.gpu_memory_total))
    cpu = [line.cpu for line in lines if line.cpu is not None]
    measured = [(line.busy, line.gpus) for line in lines if line.busy is not None and line.gpus]
    gpus = sum(count for _, count in measured)
    busy = sum(value * count for value, count in measured) / gpus if gpus else None
    return DaskWorkerLine(
        threads=sum(line.threads for line in lines),
        executing=sum(line.executing for line in lines),
        waiting=sum(line.waiting for line in lines),
        cpu=clean.number(sum(cpu), 0) if cpu else None,
        memory=memory,
        memory_limit=memory_limit,
        spilled=sum(line.spilled for line in lines),
        sent=sum(line.sent for line in lines),
        received=sum(line.received for line in lines),
        gpus=sum(line.gpus for line in lines),
        busy=clean.number(busy, 0),
        gpu_memory=gpu_memory,
        gpu_memory_total=gpu_memory_total,
        missing=next((line.missing for line in lines if line.missing), "") if busy is None else "",
    )


def short_names(names: Sequence[str]) -> list[str]:
    """Names without what all of them have in common and what only a machine reads, as far as each stays its own.

    ``gwb-3f9c1a-default-worker-8d1f0a4c2b`` is ``8d1f`` among others of its group, ``default-8d1f`` beside other groups.
    """
    if len(set(names)) < len(names):
        return [clean.line(name, _NAME) for name in _numbered(names)]
    parts = [_parts(name) for name in names]
    while len(parts) > 1 and all(len(one) > 1 for one in parts) and len({one[0] for one in parts}) == 1:
        parts = [one[1:] for one in parts]
    if len(parts) == 1:
        parts = [parts[0][-1:]]
    for length in range(_SHORTEST, _NAME + 1, 2):
        short = ["-".join((*one[:-1], _cut(one[-1], length))) for one in parts]
        short = [clean.line(name, _NAME) for name in short]
        if len(set(short)) == len(short):
            return short
    return [clean.line(name, _NAME) for name in _numbered(names)]


def _parts(name: str) -> list[str]:
    """A name at its hyphens, without an address's scheme and the word ``worker`` of Dask's operator."""
    bare = re.sub(r"^\w+://", "", name)
    parts = [part for part in bare.split("-") if part]
    return [part for part in parts if part != "worker"] or [bare]


def _cut(part: str, length: int) -> str:
    """The beginning of what only a machine has made; a word stays."""
    return part[:length] if re.fullmatch(r"[0-9a-f]{8,}", part) else part


def _numbered(names: Sequence[str]) -> list[str]:
    """Names cut, and told apart by a number where that leaves them alike."""
    seen: Counter[str] = Counter()
    found = []
    for name in (clean.line(name, _NAME - 6) for name in names):
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def _by_name(line: DaskWorkerLine) -> tuple[str, int]:
    """``w2`` before ``w10``."""
    found = re.fullmatch(r"(\D*)(\d{1,9})", line.name, flags=re.ASCII)
    return (found[1], int(found[2])) if found else (line.name, -1)


def _line(worker: DaskWorker, name: str, whole: str) -> DaskWorkerLine:
    gpus = worker.gpus
    memory, limit = clean.amount(worker.memory), clean.amount(worker.memory_limit)
    spilled = _count(worker.spilled)
    used, total = _gpu_memory(gpus)
    busy = [value for gpu in gpus if (value := clean.percent(gpu.utilisation)) is not None]
    reasons = [why for gpu in gpus for key, why in gpu.missing.items() if key == "utilisation"]
    return DaskWorkerLine(
        name=name,
        whole=whole,
        note=_note(worker, memory=memory, limit=limit, spilled=spilled),
        threads=_count(worker.threads),
        executing=_count(worker.executing),
        waiting=_count(worker.waiting),
        cpu=None if worker.cpu is None else clean.number(max(worker.cpu, 0.0), 0),
        memory=memory,
        memory_limit=limit or None,
        spilled=spilled,
        sent=_count(worker.sent),
        received=_count(worker.received),
        gpus=len(gpus),
        busy=clean.number(statistics.fmean(busy), 0) if busy else None,
        gpu_memory=used,
        gpu_memory_total=total,
        missing=clean.line(reasons[0] if reasons else "not given", 80) if gpus and not busy else "",
    )


def _note(worker: DaskWorker, *, memory: int | None, limit: int | None, spilled: int) -> str:
    """What sets a worker apart, the worst first."""
    known = {"running": "", "paused": "paused, its memory is full", "closing": "leaves"}
    known["closing_gracefully"] = known["closing"]
    status = worker.status.strip().lower()
    if said := known.get(status, clean.line(status.replace("_", " "), 30)):
        return said
    slowed = next((why for gpu in worker.gpus if (why := series.slowed_by(gpu.throttle))), "")
    if slowed:
        return clean.line(f"GPU {slowed}", 60)
    if memory is not None and limit and memory >= FULL * limit:
        return "memory almost full"
    return "spills to disk" if spilled else ""


def _gpu_memory(gpus: Sequence[GpuSample]) -> tuple[int | None, int | None]:
    known = [(clean.amount(gpu.memory_used), clean.amount(gpu.memory_total)) for gpu in gpus]
    used = [one for one, _ in known if one is not None]
    totals = [total for one, total in known if one is not None and total]
    return (sum(used) if used else None, sum(totals) if used and len(totals) == len(used) else None)


def _pair(
    lines: Sequence[DaskWorkerLine], of: Callable[[DaskWorkerLine], tuple[int | None, int | None]]
) -> tuple[int | None, int | None]:
    """What is used in all, and of how much where all who tell the one tell the other."""
    known = [pair for pair in map(of, lines) if pair[0] is not None]
    used = sum(one or 0 for one, _ in known)
    totals = [total for _, total in known if total is not None]
    return (used if known else None, sum(totals) if known and len(totals) == len(known) else None)


def _counts(tasks: DaskTasks) -> DaskCounts:
    groups = [
        DaskGroup(clean.line(name, 40), _count(done), _count(total))
        for name, (done, total) in list(tasks.groups.items())[:GROUPS]
    ]
    waiting = _count(tasks.waiting)
    rate = clean.number(tasks.rate, 2)
    return DaskCounts(
        done=_count(tasks.done),
        failed=_count(tasks.failed),
        running=_count(tasks.running),
        waiting=waiting,
        stuck=min(_count(tasks.stuck), waiting),
        retried=_count(tasks.retried),
        rate=None if rate is None else max(rate, 0.0),
        seconds_left=clean.seconds(tasks.seconds_left),
        groups=tuple(groups),
    )


def _count(value: float) -> int:
    """A count as it can be shown: whatever comes, 0 at least and no more than every reader of JSON has exactly."""
    return int(min(max(0, value), _LARGEST))  # in this order what is no number becomes 0


def _idle(state: DaskState, now: float) -> float | None:
    """Whole tens of seconds from a minute on: a figure that changes every second asks to be looked at."""
    if state.idle_since is None:
        return None
    found = clean.seconds(now - state.idle_since)
    return 10.0 * (found // 10) if found is not None and found >= 60 else found


def _past(points: Sequence[DaskPoint], now: float) -> DaskPast | None:
    """The last two minutes on one grid. Nothing is said while nothing changes, so a value holds until the next one."""
    known = [point for point in points if clean.number(point.t) is not None]
    if len(known) < 2:
        return None
    now = max(now, known[-1].t)
    seconds = min(max(now - known[0].t, 5.0), series.WINDOW)
    if seconds > series.WINDOW - 2 * _APART:  # what is kept reaches as far as that, but for the first second
        seconds = series.WINDOW
    count = min(series.POINTS, max(2, round(seconds)))
    step = seconds / count
    held: list[DaskPoint | None] = []
    at = 0
    for place in range(count):
        until = now - seconds + step * (place + 1)
        while at < len(known) and known[at].t <= until + step / 1000:
            at += 1
        held.append(known[at - 1] if at else None)

    def curve(of: Callable[[DaskPoint], float | None]) -> tuple[float | None, ...]:
        return tuple(None if point is None else of(point) for point in held)

    utilisation = curve(lambda point: clean.percent(point.utilisation, 0))
    return DaskPast(
        seconds=round(seconds, 1),
        busy=curve(lambda point: clean.percent(100 * point.busy, 0)),
        rate=curve(lambda point: clean.number(max(point.rate, 0.0))),
        utilisation=utilisation if any(value is not None for value in utilisation) else (),
    )
