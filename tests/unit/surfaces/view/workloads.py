"""Workloads as they may be found, and what they are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from gpu_workbench.core.model import (
    Failure,
    GpuDevice,
    GpuSample,
    GpuState,
    Kind,
    Phase,
    Progress,
    RankState,
    Receipt,
    RunState,
    TimedSample,
    Workload,
)
from gpu_workbench.surfaces.view import Where

GIB = 2**30
NOW = 1000.0
CLUSTER = Where(
    backend="kubernetes",
    session="default",
    context="prod",
    namespace="team-a",
    gpus="1 H200",
    price=3.0,
    currency="€",
)
LOCAL = Where(backend="local", session="default", gpus="1 H200")

Shape = Callable[[float], float | None]


def wave(middle: float, swing: float, *, shift: float = 0.0, until: float | None = None) -> Shape:
    """A level that goes up and down, as a training loop's does; nothing before ``until`` seconds ago."""

    def value(ago: float) -> float | None:
        if until is not None and ago > until:
            return None
        ripple = math.sin(ago / 5 + shift) + 0.6 * math.sin(ago / 1.7 + 2 * shift)
        return min(max(middle + swing * ripple, 0.0), 100.0)

    return value


BUSY, HALF_FULL = wave(90, 4), wave(47, 1)


def gpu(
    index: int,
    *,
    busy: Shape = BUSY,
    memory: Shape = HALF_FULL,
    name: str = "NVIDIA H200",
    total: int = 141 * GIB,
    temperature: float = 64.0,
    power: float = 412.0,
    simulated: bool = False,
    throttle: tuple[str, ...] = (),
    missing: Mapping[str, str] | None = None,
) -> GpuState:
    missing = missing or {}
    samples = []
    for ago in range(119, -1, -1):
        share = memory(float(ago))
        sample = GpuSample(
            index=index,
            utilisation=None if "utilisation" in missing else busy(float(ago)),
            memory_used=None if share is None or "memory_used" in missing else int(total * share / 100),
            memory_total=total,
            temperature=temperature,
            power=power,
            clock=1100.0 if throttle else 1980.0,
            clock_max=1980.0,
            throttle=throttle,
            missing=missing,
        )
        samples.append(TimedSample(NOW - ago, sample))
    return GpuState(GpuDevice(index, name, f"GPU-{index}", total, simulated), tuple(samples))


def rank(
    number: int, *gpus: GpuState, phase: Phase = Phase.RUNNING, failure: Failure | None = None
) -> RankState:
    host = f"node-{'abcdefgh'[number // 8 % 8]}"
    return RankState(
        rank=number, epoch="e", number=9, phase=phase, host=host, now=NOW, gpus=gpus, failure=failure
    )


def session(
    run: RunState, *ranks: RankState, phase: Phase = Phase.RUNNING, kind: Kind = Kind.SESSION
) -> Workload:
    ranks = ranks or (rank(0, gpu(0)),)
    return Workload(
        id="3f9c1a2b7d04", kind=kind, phase=phase, ranks={one.rank: one for one in ranks}, runs={run.id: run}
    )


def running(progress: Progress | None = None, *, name: str = "", ran: float = 101.0) -> RunState:
    return RunState(
        id="a1b2c3d4e5f6",
        name=name,
        cell_id="cell-7",
        phase=Phase.RUNNING,
        queued_at=NOW - ran - 2,
        started_at=NOW - ran,
        progress=progress,
        characters={"stdout": 420},
    )


def ended(
    phase: Phase, *, ran: float = 8.2, failure: Failure | None = None, gpus: int = 1, **more: object
) -> RunState:
    receipt = Receipt(
        seconds=ran,
        waited=0.2,
        gpus=gpus,
        gpu_seconds=gpus * ran,
        mean_utilisation=71.0,
        peak_memory=12 * GIB,
        simulated=bool(more.pop("simulated", False)),
    )
    begun = running(ran=ran)
    return replace(begun, phase=phase, ended_at=NOW, failure=failure, receipt=receipt, **more)  # type: ignore[arg-type]


TQDM = Progress(label="epoch 2", done=1240, total=5000, unit="step", rate=12.4, seconds_left=304)


def gang() -> Workload:
    slow = gpu(3, busy=wave(97, 3, shift=1), throttle=("SwThermalSlowdown",))
    gpus = [gpu(n, busy=wave(92, 4, shift=n), memory=wave(44 + n, 1, shift=n)) for n in range(8)]
    gpus[3] = slow
    return session(running(TQDM, name="llm-finetune"), rank(0, *gpus))


def two_nodes() -> Workload:
    """Sixteen ranks of one GPU each, one of them slowed by heat."""
    ranks = []
    for n in range(16):
        hot = n == 11
        one = gpu(
            n % 8,
            busy=wave(97, 3, shift=1) if hot else wave(92, 2 + n % 3, shift=n),
            memory=wave(44 + n % 6, 1, shift=n),
            throttle=("SwThermalSlowdown",) if hot else (),
        )
        ranks.append(rank(n, one))
    return session(running(TQDM, name="llm-finetune"), *ranks, kind=Kind.JOB)


def many(count: int = 64) -> Workload:
    """So many ranks of one GPU each, two of which stand apart."""
    ranks = []
    for n in range(count):
        busy = wave(91 + n % 5, 3, shift=n / 7)
        if n == 37:
            busy = wave(38, 9)
        if n == 11:
            busy = wave(72, 22, shift=2)
        ranks.append(rank(n, gpu(n % 8, busy=busy, memory=wave(46 + n % 7, 1, shift=n))))
    return session(running(TQDM, name="pretrain", ran=4000), *ranks, kind=Kind.JOB)


def many_gpus() -> Workload:
    """What ``%gpu top`` is shown of: eight GPUs, one slowed, one that gives no utilisation."""
    work = gang()
    odd = gpu(7, missing={"utilisation": "MIG gives no utilisation"})
    head = work.ranks[0]
    return replace(work, ranks={0: replace(head, gpus=(*head.gpus[:7], odd))})
