"""A workload as a row of the panel. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gpu_workbench.core.model import Kind, Phase, Progress, RunState, Workload
from gpu_workbench.core.spec import Handle, WorkloadSpec
from gpu_workbench.surfaces.server.notebooks import document_path, file_name
from gpu_workbench.surfaces.view.model import Chart, DaskPast, Ending, Shown, Snapshot
from gpu_workbench.surfaces.where import gpus_asked

ENDED_RUNS = 4
"""Runs of a session that have ended and are told of in its row: the last ones."""

GOING_RUNS = 8
"""Runs of a session that have not ended and are told of in its row: the next ones."""

TREND_POINTS = 30
"""Points of a row's sparkline at most."""

TREND_SECONDS = 60.0
"""Seconds that it looks back."""


@dataclass(frozen=True)
class RunLine:
    """A run in a session, as far as its row tells of it.

    Args:
        cell: Id of the notebook cell it came from; empty where that is no cell of the row's notebook.
        waited: Whole seconds in the session's queue; ``None`` before its start.
        ran: Whole seconds from its start to its end, or until now; ``None`` before its start.
    """

    id: str
    name: str = ""
    cell: str = ""
    phase: Phase = Phase.QUEUED
    waited: float | None = None
    ran: float | None = None


@dataclass(frozen=True)
class Row:
    """A workload in the panel.

    Args:
        started: Wall clock in seconds since 1970.
        notebook: Id of the notebook it came from; empty for none.
        path: The notebook's path as Jupyter's contents API has it; empty where this server does not serve it.
        file: Name of the notebook's file; empty for none.
        cell: Id of the cell that it came from, or that its newest run came from; empty where that is not known.
        gpus: In words.
        gpu_count: How many it has, or waits for.
        busy: Mean utilisation of its GPUs in per cent; ``None`` where that is not known.
        trend: The same over about the last minute, oldest first; a gap where it is not known.
        runs: Of a session, in order: the last ones that have ended, then those that have not.
        recorded: It is no more where it lived, and what is told of it was recorded by this server.
    """

    id: str
    backend: str
    started: float
    notebook: str = ""
    path: str = ""
    file: str = ""
    cell: str = ""
    image: str = ""
    namespace: str = ""
    gpus: str = ""
    gpu_count: int = 0
    busy: float | None = None
    trend: tuple[float | None, ...] = ()
    kind: Kind = Kind.SESSION
    phase: Phase = Phase.QUEUED
    word: str = ""
    name: str = ""
    answer: str = ""
    waited: float | None = None
    ran: float | None = None
    progress: Progress | None = None
    cost: str = ""
    simulated: bool = False
    ending: Ending | None = None
    runs: tuple[RunLine, ...] = ()
    recorded: bool = False


def row_of(handle: Handle, workload: Workload, found: Snapshot, *, root: Path, recorded: bool) -> Row:
    """The row of a workload.

    Args:
        workload: What its journal says.
        found: Its view.
        root: The folder that the server serves.
        recorded: What is told of it was recorded by this server.
    """
    shown, spec, busy = found.snapshot, handle.spec, workload.busy
    runs = _runs(workload, shown.phase, spec.notebook) if spec.kind is Kind.SESSION else ()
    return Row(
        id=handle.id,
        backend=handle.backend,
        started=handle.started,
        notebook=spec.notebook,
        path=document_path(spec, root=root),
        file=file_name(spec),
        cell=shown.cell or next((run.cell for run in reversed(runs) if run.cell), ""),
        image=spec.image,
        namespace=found.where.namespace,
        gpus=found.where.gpus,
        gpu_count=_gpus(workload, spec, backend=handle.backend),
        busy=_busy(shown),
        trend=_trend_of_dask(shown.dask.past) if shown.dask is not None else _trend(shown.chart),
        kind=shown.kind,
        phase=shown.phase,
        word=shown.word,
        name=spec.name,
        answer=shown.answer,
        waited=shown.waited,
        ran=shown.ran,
        progress=busy.progress if busy is not None else shown.progress,
        cost=shown.cost,
        simulated=shown.simulated,
        ending=shown.ending,
        runs=runs,
        recorded=recorded,
    )


def _gpus(workload: Workload, spec: WorkloadSpec, *, backend: str) -> int:
    """Those it has; before it has any, those it waits for. This machine may have fewer than were asked for."""
    if workload.dask is not None:
        return sum(len(worker.gpus) for worker in workload.dask.workers)
    if spec.kind is Kind.DASK:
        return 0 if backend == "local" else gpus_asked(spec)
    if workload.ranks or backend == "local":
        return sum(len(rank.gpus) for rank in workload.ranks.values())
    return spec.gpus


def _runs(workload: Workload, phase: Phase, notebook: str) -> tuple[RunLine, ...]:
    runs = list(workload.runs.values())
    ended = [run for run in runs if run.phase.ended][-ENDED_RUNS:]
    going = [run for run in runs if not run.phase.ended][:GOING_RUNS]
    head = workload.ranks.get(0)
    now = head.now if head else 0.0
    if phase.ended:  # what had not ended then has ended with it
        going = [replace(run, phase=phase) for run in going]
    return tuple(_line(run, notebook, now=now) for run in (*ended, *going))


def _line(run: RunState, notebook: str, *, now: float) -> RunLine:
    return RunLine(
        id=run.id,
        name=run.name,
        cell=run.cell_id if run.notebook == notebook else "",
        phase=run.phase,
        waited=_whole(run.queued_at, run.started_at),
        ran=_whole(run.started_at, run.ended_at if run.ended_at is not None else now),
    )


def _whole(begin: float | None, end: float | None) -> float | None:
    return None if begin is None or end is None else float(max(0, round(end - begin)))


def _busy(shown: Shown) -> float | None:
    if shown.dask is not None:
        return shown.dask.all.busy
    return shown.chart.busy if shown.chart is not None else None


def _trend_of_dask(past: DaskPast | None) -> tuple[float | None, ...]:
    """Mean utilisation of its GPUs, or where it has none, of its threads: of the last minute."""
    if past is None:
        return ()
    points = past.utilisation or past.busy
    return points[-max(2, round(len(points) * min(1.0, TREND_SECONDS / past.seconds))) :][-TREND_POINTS:]


def _trend(chart: Chart | None) -> tuple[float | None, ...]:
    """Mean utilisation at each point; where there is only the spread of the GPUs, its middle."""
    if chart is None:
        return ()
    series: Sequence[Sequence[float | None]] = [one.utilisation for one in chart.gpus]
    if chart.utilisation is not None:
        series = [chart.utilisation.p50]
    points = max(map(len, series), default=0)
    means = [_mean([one[place] for one in series if place < len(one)]) for place in range(points)]
    return tuple(means[-TREND_POINTS:])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(round(sum(known) / len(known))) if known else None
