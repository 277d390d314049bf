"""The states of a Dask cluster, as the view meets them. Built from workloads alone; for the unit tests and the gallery."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import (
    Cause,
    DaskPoint,
    DaskState,
    DaskTasks,
    DaskWorker,
    Failure,
    GpuSample,
    Kind,
    Limit,
    Phase,
    RankState,
    Workload,
)
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import DaskCluster, Handle, Placement, Resources, WorkloadSpec
from gpu_workbench.surfaces.view import Snapshot, Where, snapshot
from gpu_workbench.surfaces.where import where_of
from tests.unit.surfaces.view import reasons
from tests.unit.surfaces.view.states import State
from tests.unit.surfaces.view.workloads import GIB, NOW

MIB = 2**20
ID = "7c41d09be2a5"

COMPUTING = DaskTasks(
    done=1204,
    running=32,
    waiting=8364,
    rate=74.6,
    seconds_left=112,
    groups={"merge": (212, 3000), "sum-agg": (0, 128), "read-parquet": (992, 1024), "to-parquet": (0, 5448)},
)
DONE = DaskTasks(done=9600, groups={"read-parquet": (1024, 1024), "merge": (8576, 8576)})
NO_GPU = Explanation(
    code="unschedulable",
    sentence="No node has 1 free GPU: all 32 of namespace team-a are taken",
    fix="Wait, or ask for fewer with `%gpu dask --n-workers 3`",
    source="pod gwb-7c41d09be2a5-default-worker-51: status.conditions[PodScheduled]",
)


def name_of(number: int, *, group: str = "default") -> str:
    """A worker's name as Dask's operator gives it."""
    return f"gwb-{ID}-{group}-worker-{(0x51A7C3E9D1 * (number + 1)) % 16**10:010x}"


def cpu_worker(
    number: int,
    *,
    busy: bool = True,
    threads: int = 8,
    memory: float = 0.4,
    spilled: int = 0,
    status: str = "running",
    name: str = "",
) -> DaskWorker:
    """A worker without a GPU.

    Args:
        memory: Share of its 16 GiB.
    """
    return DaskWorker(
        name=name or name_of(number),
        status=status,
        threads=threads,
        executing=threads if busy else 0,
        waiting=17 + 3 * number % 20 if busy else 0,
        cpu=100.0 * threads - 9 - number % 7 if busy else 2.0,
        memory=int(16 * GIB * memory),
        memory_limit=16 * GIB,
        spilled=spilled,
        sent=(12.5 + number % 5) * MIB if busy else 0.0,
        received=(11.0 + number % 7) * MIB if busy else 0.0,
    )


def gpu_worker(number: int, *, busy: bool = True, device: str = "H200") -> DaskWorker:
    """A worker with one GPU, and one thread for it."""
    sample = GpuSample(
        index=0,
        utilisation=51.0 - 3 * number if busy else 0.0,
        memory_used=(66 + 4 * number) * GIB if busy else 2 * GIB,
        memory_total=141 * GIB,
    )
    one = cpu_worker(number, busy=busy, threads=1, memory=0.3 + number / 20)
    return replace(one, gpus=(sample,), device=device)


def past(
    *, busy: float = 0.95, rate: float = 75.0, utilisation: float | None = None
) -> tuple[DaskPoint, ...]:
    """Two minutes of a computation that began a minute and a half ago."""
    found = []
    for ago in range(119, -1, -1):
        going = ago < 90
        ripple = 1 + 0.06 * math.sin(ago / 3) + 0.04 * math.sin(ago / 1.3)
        found.append(
            DaskPoint(
                t=NOW - ago,
                rate=rate * ripple if going else 0.0,
                busy=min(1.0, busy * ripple) if going else 0.0,
                memory=20 * GIB,
                utilisation=None if utilisation is None else utilisation * ripple if going else 0.0,
            )
        )
    return tuple(found)


def cluster(
    state: DaskState | None,
    *,
    phase: Phase = Phase.RUNNING,
    points: tuple[DaskPoint, ...] = (),
    limit: Limit | None = None,
    failure: Failure | None = None,
) -> Workload:
    """A Dask cluster of which that is known."""
    head = RankState(rank=0, epoch="e", number=9, phase=Phase.RUNNING, host="node-a", now=NOW)
    ranks = {} if state is None else {0: head}
    return Workload(
        id=ID,
        kind=Kind.DASK,
        phase=phase,
        ranks=ranks,
        dask=state,
        dask_past=points,
        limit=limit,
        failure=failure,
    )


def handle_of(workers: int = 4, gpus: int = 1, *, backend: str = "kubernetes") -> Handle:
    """What was asked for."""
    spec = WorkloadSpec(
        id=ID,
        kind=Kind.DASK,
        name="etl",
        resources=Resources(gpus=Gpus(gpus, "H200" if gpus else "")),
        placement=Placement(context="prod", namespace="team-a") if backend == "kubernetes" else Placement(),
        dask=DaskCluster(n_workers=workers),
    )
    return Handle(spec=spec, backend=backend, started=0.0)


def shown(
    workload: Workload,
    *,
    handle: Handle | None = None,
    saved: str = "full",
    explanation: Explanation | None = None,
    wanted: int | None = None,
    waiting: Explanation | None = None,
    asked: float | None = None,
) -> Snapshot:
    """Its snapshot, as the surfaces make it."""
    handle = handle or handle_of()
    return snapshot(
        workload,
        None,
        where=where_of(handle, workload),
        explanation=explanation,
        saved=saved,
        asked=asked,
        workers_wanted=wanted,
        workers_waiting=waiting,
    )


def computing(workers: Sequence[DaskWorker], tasks: DaskTasks = COMPUTING, **more: object) -> DaskState:
    """A cluster whose scheduler has a dashboard, and a client."""
    form = {"clients": 1, "moved": 3_300_000_000, "dashboard": "status", **more}
    return DaskState(workers=tuple(workers), tasks=tasks, **form)  # type: ignore[arg-type]


def many(count: int = 200) -> DaskState:
    """So many workers, some of which stand apart."""
    workers = [cpu_worker(n, memory=0.35 + n % 9 / 40) for n in range(count)]
    workers[17] = cpu_worker(17, status="paused", memory=0.86, busy=False)
    workers[90] = cpu_worker(90, memory=0.82)
    workers[141] = cpu_worker(141, memory=0.55, spilled=3 * GIB)
    tasks = replace(COMPUTING, done=120_400, running=1592, waiting=836_400, rate=7460.0, seconds_left=112)
    return computing(workers, tasks, moved=48 * 2**40, clients=2)


def dask_states() -> list[State]:
    """Every main state of a Dask cluster, in the order in which the gallery shows them."""
    idle_limit = Limit("idle", NOW + 14 * 60)
    gpus = [gpu_worker(n) for n in range(4)]
    spilling = [
        cpu_worker(0, memory=0.62, name="0"),
        cpu_worker(1, memory=0.78, spilled=3 * GIB, name="1"),
        cpu_worker(2, memory=0.88, spilled=5 * GIB, status="paused", busy=False, name="2"),
    ]
    mig = GpuSample(0, memory_used=9 * GIB, memory_total=18 * GIB, missing={"utilisation": "MIG gives none"})
    failed = replace(
        COMPUTING, done=4810, failed=212, running=28, waiting=4550, stuck=0, rate=38.2, retried=64
    )
    gone = [gpu_worker(n) for n in (0, 1, 3)]
    local, three = handle_of(3, 0, backend="local"), handle_of(3, 0)
    ended = computing(gpus, DONE, idle_since=NOW - 260)
    died = Failure(
        cause=Cause.OUT_OF_MEMORY, what="The scheduler was killed for memory at 4 GiB", exit_code=137
    )
    simulated = replace(gpu_worker(2, device="SIMULATED GPU"), simulated=True)
    no_figure = replace(gpu_worker(1), gpus=(mig,))
    ask = "%gpu dask --n-workers 4 --gpus h200:1 --name etl"
    return [
        State(
            "Dask, before there is anything",
            ask,
            shown(
                cluster(None, phase=Phase.PENDING),
                explanation=reasons.gpus_taken(),
                wanted=4,
                asked=75,
            ),
        ),
        State(
            "Dask, idle",
            ask,
            shown(cluster(computing([gpu_worker(n, busy=False) for n in range(4)], DaskTasks(), moved=0))),
        ),
        State("Dask, 4 GPU workers", ask, shown(cluster(computing(gpus), points=past(utilisation=47)))),
        State(
            "Dask, 3 workers that spill",
            "%gpu dask --n-workers 3",
            shown(
                cluster(
                    computing(spilling, replace(COMPUTING, running=16, rate=412.0, seconds_left=20)),
                    points=past(busy=0.7, rate=412),
                ),
                handle=local,
            ),
        ),
        State(
            "Dask, 1 worker waits",
            ask,
            shown(
                cluster(computing(gpus[:3]), points=past(utilisation=47)),
                wanted=4,
                waiting=NO_GPU,
            ),
        ),
        State(
            "Dask, tasks failed and workers lost",
            ask,
            shown(cluster(computing(gone, failed, lost=1), points=past(utilisation=44, rate=38))),
        ),
        State(
            "Dask, 200 workers",
            "%gpu dask --n-workers 200 --cpus 8 --memory 16Gi",
            shown(cluster(many(), points=past(rate=7460)), handle=handle_of(200, 0)),
        ),
        State(
            "Dask, no worker yet",
            "%gpu dask --n-workers 3",
            shown(
                cluster(computing([], DaskTasks(waiting=120), moved=0)),
                handle=three,
                wanted=3,
                waiting=replace(reasons.pulling(), fix=""),
            ),
        ),
        State(
            "Dask, done and idle",
            ask,
            shown(
                cluster(
                    computing([gpu_worker(n, busy=False) for n in range(4)], DONE, idle_since=NOW - 130),
                    points=past(utilisation=47),
                    limit=idle_limit,
                )
            ),
        ),
        State(
            "Dask, a figure that is not given, and simulated",
            ask,
            shown(cluster(computing([gpu_worker(0), no_figure, simulated]), points=past(utilisation=20))),
        ),
        State("Dask, stopped", ask, shown(cluster(ended, phase=Phase.STOPPED, points=past(utilisation=47)))),
        State(
            "Dask, failed",
            ask,
            shown(cluster(computing(gpus), phase=Phase.FAILED, points=past(utilisation=47), failure=died)),
        ),
        State(
            "Dask, as a notebook keeps it",
            ask,
            shown(
                cluster(computing(gpus[:3]), points=past(utilisation=47)),
                saved="summary",
                wanted=4,
                waiting=NO_GPU,
            ),
        ),
    ]


def infested(poison: str, phase: Phase) -> Snapshot:
    """A Dask cluster whose every word is ``poison``."""
    sample = GpuSample(0, throttle=(poison,), missing={poison: poison, "utilisation": poison})
    worker = DaskWorker(name=poison, status=poison, gpus=(sample,), device=poison)
    tasks = replace(COMPUTING, groups={poison: (1, 2)})
    failure = Failure(cause=Cause.EXITED, what=poison, detail=poison, signal=poison)
    why = Explanation(code=poison, sentence=poison, fix=poison, source=poison)
    state = computing([worker, replace(worker, status="running")], tasks, dashboard=poison)
    work = cluster(state, phase=phase, points=past(utilisation=9), failure=failure)
    where = Where(*[poison] * 5, nodes=(poison,), price=1.0, currency=poison)
    return snapshot(
        work, None, where=where, explanation=why, saved="full", workers_wanted=3, workers_waiting=why
    )
