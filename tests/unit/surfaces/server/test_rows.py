"""A workload's row: what the panel, its search and its notices have to know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gpu_workbench.core.model import Kind, Phase, RunState, Workload
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import Handle, Resources, WorkloadSpec
from gpu_workbench.surfaces.server.rows import ENDED_RUNS, GOING_RUNS, TREND_POINTS, Row, row_of
from gpu_workbench.surfaces.view.snapshot import snapshot
from gpu_workbench.surfaces.where import where_of
from tests.unit.surfaces.view import dask_states
from tests.unit.surfaces.view.workloads import many_gpus

SPEC = WorkloadSpec(id="a", notebook="n", resources=Resources(gpus=Gpus(8, "H200")))


def row(workload: Workload, *, backend: str = "kubernetes") -> Row:
    handle = Handle(spec=SPEC, backend=backend, started=0.0)
    found = snapshot(workload, None, where=where_of(handle, workload), saved="full")
    return row_of(handle, workload, found, root=Path("/"), recorded=False)


def dask_row(workload: Workload, *, gpus: int = 1, backend: str = "kubernetes") -> Row:
    handle = dask_states.handle_of(4, gpus, backend=backend)
    found = dask_states.shown(workload, handle=handle)
    return row_of(handle, workload, found, root=Path("/"), recorded=False)


def runs(count: int, phase: Phase, prefix: str) -> list[RunState]:
    return [
        RunState(id=f"{prefix}{number}", phase=phase, cell_id="c", notebook="n", queued_at=1.0)
        for number in range(count)
    ]


def test_of_a_sessions_runs_the_last_ended_and_the_next_are_told() -> None:
    found = [*runs(9, Phase.SUCCEEDED, "done"), *runs(20, Phase.QUEUED, "next")]
    told = row(Workload(id="a", phase=Phase.RUNNING, runs={run.id: run for run in found})).runs
    assert [run.id for run in told] == [
        *(f"done{number}" for number in range(9 - ENDED_RUNS, 9)),
        *(f"next{number}" for number in range(GOING_RUNS)),
    ]


def test_a_run_tells_how_long_it_waited_and_ran_and_the_cell_of_this_notebook() -> None:
    run = RunState(
        id="r", notebook="n", cell_id="c", phase=Phase.SUCCEEDED, queued_at=10, started_at=12.2, ended_at=80
    )
    for one, cell in ((run, "c"), (replace(run, notebook="another"), "")):
        found = row(Workload(id="a", phase=Phase.RUNNING, runs={"r": one}))
        assert [(told.cell, told.waited, told.ran) for told in found.runs] == [(cell, 2.0, 68.0)]
        assert found.cell == cell


def test_a_run_ends_with_its_session() -> None:
    going = RunState(id="r", phase=Phase.RUNNING)
    (told,) = row(Workload(id="a", phase=Phase.LOST, runs={"r": going})).runs
    assert told.phase is Phase.LOST


def test_gpus_are_those_it_has_and_before_those_it_waits_for() -> None:
    assert row(Workload(id="a")).gpu_count == 8
    assert row(Workload(id="a"), backend="local").gpu_count == 0
    assert row(many_gpus()).gpu_count == sum(len(rank.gpus) for rank in many_gpus().ranks.values())


def test_the_sparkline_is_the_mean_and_a_gap_where_nothing_is_known() -> None:
    shown = row(replace(many_gpus(), phase=Phase.RUNNING)).trend
    assert shown
    assert all(value is None or 0 <= value <= 100 for value in shown)
    assert row(Workload(id="a", phase=Phase.RUNNING)).trend == ()


def test_a_dask_cluster_tells_its_tasks_its_workers_and_their_gpus() -> None:
    workers = [dask_states.gpu_worker(n) for n in range(3)]
    found = dask_row(
        dask_states.cluster(dask_states.computing(workers), points=dask_states.past(utilisation=47))
    )
    assert (found.kind, found.name, found.word, found.gpus) == (
        Kind.DASK,
        "etl",
        "Running",
        "3 workers × 1 H200",
    )
    assert found.progress is not None
    assert (found.progress.done, found.progress.total, found.progress.unit) == (1204, 9600, "tasks")
    assert (found.gpu_count, found.busy) == (3, 48.0)
    assert len(found.trend) == TREND_POINTS
    assert all(value is not None and 40 < value < 55 for value in found.trend)


def test_without_gpus_its_sparkline_is_of_its_threads() -> None:
    work = dask_states.cluster(
        dask_states.computing([dask_states.cpu_worker(0)]), points=dask_states.past(busy=0.5)
    )
    found = dask_row(work, gpus=0)
    assert (found.gpu_count, found.busy) == (0, None)
    assert all(value is not None and 40 < value < 60 for value in found.trend)


def test_before_a_dask_cluster_has_workers_its_gpus_are_those_it_waits_for() -> None:
    assert dask_row(dask_states.cluster(None)).gpu_count == 4
    assert dask_row(dask_states.cluster(None), backend="local").gpu_count == 0
    assert dask_row(dask_states.cluster(dask_states.computing([]))).gpu_count == 0
