"""The main states of a run, as the view meets them. Built from workloads alone; used by the unit tests and the gallery."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import (
    Cause,
    Failure,
    GpuDevice,
    GpuSample,
    GpuState,
    Kind,
    Limit,
    Phase,
    Progress,
    RankState,
    Receipt,
    RunState,
    StoredValue,
    TimedSample,
    Workload,
)
from gpu_workbench.surfaces.view import NameRow, Snapshot, Where, snapshot

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
            temperature=64.0,
            power=412.0,
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


@dataclass(frozen=True)
class State:
    """One state: what it is called in the gallery, the cell above it, and its snapshot."""

    title: str
    cell: str
    found: Snapshot


def _queued_behind() -> Snapshot:
    before = replace(running(name="evaluate"), id="b00000000000")
    run = RunState(id="a1b2c3d4e5f6", queued_at=NOW - 47, place=2, ahead=(before.id, "c00000000000"))
    work = session(run)
    return snapshot(replace(work, runs={before.id: before, run.id: run}), run.id, where=CLUSTER)


def _waiting(
    found: Explanation,
    *,
    phase: Phase = Phase.PENDING,
    asked: float = 190,
    gpus: str = "1 H200",
    kind: Kind = Kind.SESSION,
) -> Snapshot:
    work = Workload(id="3f9c1a2b7d04", kind=kind, phase=phase)
    where = replace(CLUSTER, gpus=gpus, session="sweeps")
    return snapshot(work, "a1b2c3d4e5f6", where=where, explanation=found, asked=asked, saved="full")


IMAGE = Explanation(
    code="image-not-found",
    sentence="The image registry.example/team/train:2.7.1 cannot be pulled: its tag is not in the registry",
    fix="Check the name after --image; tags in use here: 2.7, 2.6",
    source="pod gwb-3f9c1a2b7d04-0: status.containerStatuses[0].state.waiting",
)
TAKEN = Explanation(
    code="gpus-taken",
    sentence="All 32 H200 are taken, by 5 runs; 8 asked, 4 free",
    fix="Ask for 4 with --gpus h200:4, or wait: at most 2 h 10 min, by the time limits of what runs",
    source="pod gwb-3f9c1a2b7d04-0: condition PodScheduled",
)
QUEUE = Explanation(
    code="kueue-pending",
    sentence="2nd in queue team-a: 8 H200 asked, 4 more needed",
    fix="At most 2 h 10 min, by the time limits of what runs",
)
NODE = Explanation(
    code="node-starting", sentence="A new node is being started for it", source="event TriggeredScaleUp"
)
PREEMPTED = Explanation(
    code="queue-preempted",
    sentence="It gave its place to a workload of higher priority and waits again; number 3 in queue team-a",
    source="workload gwb-3f9c1a2b7d04: status.conditions[QuotaReserved]",
)
STARTING = Explanation(code="pulling", sentence="Pulling the image: 3.1 of 7.4 GiB", source="event Pulling")
OUT_OF_MEMORY = Failure(
    cause=Cause.CUDA_OUT_OF_MEMORY,
    what="CUDA out of memory: 2.1 GiB asked, 0.9 GiB free of 141",
    detail="Traceback…\ntorch.OutOfMemoryError: CUDA out of memory",
    rank=3,
    exit_code=1,
)
KEY_ERROR = Failure(
    cause=Cause.USER_ERROR,
    what="KeyError: 'labels' in collate, line 12",
    detail="Traceback…\nKeyError: 'labels'",
)


def _gang() -> Workload:
    slow = gpu(3, busy=wave(97, 3, shift=1), throttle=("SwThermalSlowdown",))
    gpus = [gpu(n, busy=wave(92, 4, shift=n), memory=wave(44 + n, 1, shift=n)) for n in range(8)]
    gpus[3] = slow
    return session(running(TQDM, name="llm-finetune"), rank(0, *gpus))


def _two_nodes() -> Workload:
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


def _gang_failed() -> Snapshot:
    stopped = Failure(cause=Cause.STOPPED, what="stopped by rank 3")
    ranks = [
        rank(n, gpu(0, busy=wave(88, 4, shift=n)), phase=Phase.STOPPED, failure=stopped) for n in range(8)
    ]
    ranks[3] = rank(3, gpu(0, memory=wave(96, 3)), phase=Phase.FAILED, failure=OUT_OF_MEMORY)
    at = Progress(label="step", done=310, total=5000)
    run = ended(Phase.FAILED, ran=127, failure=OUT_OF_MEMORY, gpus=8, name="ablation-3", progress=at)
    where = replace(CLUSTER, gpus="2 nodes × 4 H200", session="ablation")
    return snapshot(session(run, *ranks), run.id, where=where, saved="full")


def states() -> list[State]:
    """Every main state, in the order in which the gallery shows them."""
    one = session(running(TQDM, name="finetune"))
    plain = session(running(), rank(0, gpu(0, busy=wave(61, 20, until=70))))
    failed = ended(Phase.FAILED, ran=3.4, failure=KEY_ERROR)
    died = Failure(
        cause=Cause.OUT_OF_MEMORY,
        what="The container was killed for memory at 16 GiB",
        detail="loading shard 41 of 64\nloading shard 42 of 64\nKilled",
        exit_code=137,
        signal="SIGKILL",
    )
    acc = ended(Phase.SUCCEEDED, results=(StoredValue("acc", 32, "", "json"),))
    long = ended(
        Phase.SUCCEEDED,
        ran=7265,
        gpus=16,
        name="llm-finetune",
        results=(StoredValue("model", 14 * GIB, "", "safetensors"), StoredValue("loss", 96, "", "npy")),
    )
    stop = Failure(cause=Cause.INTERRUPTED, what="KeyboardInterrupt")
    lost = replace(running(TQDM), failure=None)
    cpu = ended(Phase.SUCCEEDED, ran=12, gpus=0)
    mig = {"utilisation": "MIG gives no utilisation"}
    idle = replace(session(acc), runs={}, limit=Limit("idle", NOW + 14 * 60))
    gone = Explanation(
        code="node-lost",
        sentence="The session ended at 03:12: its node stopped answering; model, opt and 3 more names are gone",
        fix="Run the cells that made them again, or load the checkpoint of step 1,200",
        waits=False,
    )
    simulated = session(
        running(TQDM), rank(0, gpu(0, simulated=True, name="SIMULATED GPU"), gpu(1, simulated=True))
    )
    return [
        State("queued behind other runs", "%%gpu\nloss = evaluate(model)", _queued_behind()),
        State("image cannot be pulled", "%%gpu --image train:2.7.1", _waiting(IMAGE)),
        State("GPUs taken", "%%gpu --gpus h200:8 --session sweeps", _waiting(TAKEN, gpus="8 H200")),
        State(
            "in a queue",
            "%%gpu --queue team-a --gpus h200:8",
            _waiting(QUEUE, phase=Phase.QUEUED, gpus="8 H200"),
        ),
        State("node starting", "%%gpu --gpus h200:1", _waiting(NODE, asked=75)),
        State("starting", "%%gpu", _waiting(STARTING, phase=Phase.STARTING, asked=21)),
        State(
            "preempted and queued again",
            "%%gpu --queue team-a --nodes 2 --gpus 8 --detach",
            _waiting(PREEMPTED, phase=Phase.QUEUED, asked=640, gpus="2 nodes × 8 H200", kind=Kind.JOB),
        ),
        State(
            "running, 1 GPU",
            "%%gpu --name finetune\ntrain(model)",
            snapshot(one, "a1b2c3d4e5f6", where=CLUSTER),
        ),
        State("running without progress", "%%gpu\nx @ x", snapshot(plain, "a1b2c3d4e5f6", where=LOCAL)),
        State(
            "running, 8 GPUs",
            "%%gpu --gpus h200:8 --name llm-finetune",
            snapshot(_gang(), "a1b2c3d4e5f6", where=replace(CLUSTER, gpus="8 H200")),
        ),
        State(
            "running, 2 nodes of 8 GPUs",
            "%%gpu --nodes 2 --gpus 8 --detach --name llm-finetune",
            snapshot(
                _two_nodes(), "a1b2c3d4e5f6", where=replace(CLUSTER, gpus="2 nodes × 8 H200"), saved="full"
            ),
        ),
        State(
            "resumed",
            "%gpu attach llm-finetune",
            snapshot(
                replace(session(running(TQDM, name="llm-finetune"), kind=Kind.JOB), generation=1),
                "a1b2c3d4e5f6",
                where=replace(CLUSTER, session=""),
                saved="full",
            ),
        ),
        State(
            "running, 64 GPUs",
            "%%gpu --nodes 8 --gpus 8 --detach --name pretrain",
            snapshot(
                many(),
                "a1b2c3d4e5f6",
                where=replace(CLUSTER, gpus="8 nodes × 8 H200", session=""),
                saved="full",
            ),
        ),
        State(
            "failed in the cell",
            "%%gpu\nfor batch in loader: ...",
            snapshot(session(failed), failed.id, where=CLUSTER),
        ),
        State(
            "failed on one of 8 ranks",
            "%%gpu --nodes 2 --gpus 4 --session ablation",
            _gang_failed(),
        ),
        State(
            "killed for memory",
            "%%gpu\nframes = load_all()",
            snapshot(session(ended(Phase.FAILED, ran=64, failure=died)), "a1b2c3d4e5f6", where=CLUSTER),
        ),
        State("done", "%%gpu --out acc", snapshot(session(acc), acc.id, where=LOCAL)),
        State(
            "done, with cost",
            "%gpu attach llm-finetune",
            snapshot(
                session(long),
                long.id,
                where=replace(CLUSTER, session="train", gpus="2 nodes × 8 H200"),
                saved="full",
            ),
        ),
        State(
            "stopped",
            "%%gpu\nwhile True: step()",
            snapshot(session(ended(Phase.STOPPED, ran=41, failure=stop)), "a1b2c3d4e5f6", where=CLUSTER),
        ),
        State(
            "lost",
            "%%gpu\ntrain(model)",
            snapshot(session(lost, phase=Phase.LOST), lost.id, where=CLUSTER, explanation=gone),
        ),
        State(
            "CPU instead of GPU",
            "%%gpu\ntrain(small)",
            snapshot(session(cpu, rank(0)), cpu.id, where=replace(LOCAL, gpus="CPU · this machine")),
        ),
        State(
            "no utilisation",
            "%%gpu --gpus mig-1g.18gb:1",
            snapshot(
                session(running(TQDM), rank(0, gpu(0, missing=mig))),
                "a1b2c3d4e5f6",
                where=replace(CLUSTER, gpus="1 H200 MIG 1g.18gb"),
            ),
        ),
        State(
            "simulated",
            "%%gpu --gpus 2",
            snapshot(simulated, "a1b2c3d4e5f6", where=replace(CLUSTER, gpus="2 GPUs")),
        ),
        State("idle session", "%gpu", snapshot(idle, None, where=CLUSTER)),
    ]


def many_gpus() -> Workload:
    """What ``%gpu top`` is shown of: eight GPUs, one slowed, one that gives no utilisation."""
    work = _gang()
    odd = gpu(7, missing={"utilisation": "MIG gives no utilisation"})
    head = work.ranks[0]
    return replace(work, ranks={0: replace(head, gpus=(*head.gpus[:7], odd))})


def name_rows() -> list[NameRow]:
    """What ``%gpu vars`` is shown of."""
    return [
        NameRow("model", "torch.nn.Linear", "session", 14 * GIB, "", "cuda:0", "finetune"),
        NameRow("x", "numpy.ndarray", "both", 40_000_000, "(5000000,)", "cpu", "a1b2c3", differs=False),
        NameRow("config", "dict", "both", 812, "", "", "[4]", differs=True),
        NameRow("lock", "_thread.lock", "here"),
    ]


def infested(poison: str, phase: Phase) -> Snapshot:
    """A run whose every word is ``poison``."""
    failure = Failure(cause=Cause.EXITED, what=poison, detail=poison, signal=poison)
    progress = Progress(label=poison, done=1, total=2, unit=poison, rate=3)
    one = gpu(0, name=poison, throttle=(poison,), missing={poison: poison, "utilisation": poison})
    one = replace(one, device=GpuDevice(0, poison))
    ranks = [replace(rank(n, one, phase=phase, failure=failure), host=poison) for n in range(2)]
    values = (StoredValue(poison, 1, "", ""),)
    begun = ended(phase, failure=failure, name=poison, progress=progress, results=values, ahead=("b",))
    run = begun if phase.ended else replace(begun, phase=phase)
    where = Where(*[poison] * 5, nodes=(poison,), price=1.0, currency=poison)
    why = Explanation(code=poison, sentence=poison, fix=poison, source=poison)
    work = session(run, *ranks)
    other = replace(running(name=poison), id="b", phase=Phase.QUEUED)
    return snapshot(
        replace(work, runs={**work.runs, "b": other}), run.id, where=where, explanation=why, saved="full"
    )
