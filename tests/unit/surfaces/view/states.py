"""The main states of a run, as the view meets them. Built from workloads alone; used by the unit tests and the gallery."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import (
    Cause,
    Failure,
    GpuDevice,
    Kind,
    Limit,
    Phase,
    Progress,
    RunState,
    StoredValue,
    Workload,
)
from gpu_workbench.surfaces.view import NameRow, Snapshot, Where, snapshot
from tests.unit.surfaces.view import reasons
from tests.unit.surfaces.view.workloads import (
    CLUSTER,
    GIB,
    LOCAL,
    NOW,
    TQDM,
    ended,
    gang,
    gpu,
    many,
    rank,
    running,
    session,
    two_nodes,
    wave,
)


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
    unused = rank(0, gpu(0, busy=wave(0, 0), temperature=33.0, power=118.0))
    idle = replace(session(acc, unused), runs={}, limit=Limit("idle", NOW + 14 * 60))
    simulated = session(
        running(TQDM), rank(0, gpu(0, simulated=True, name="SIMULATED GPU"), gpu(1, simulated=True))
    )
    return [
        State("queued behind other runs", "%%gpu\nloss = evaluate(model)", _queued_behind()),
        State(
            "image cannot be pulled",
            "%%gpu --image registry.example/team/train:2.7.1",
            _waiting(reasons.missing_image()),
        ),
        State(
            "GPUs taken",
            "%%gpu --gpus h200:8 --session sweeps",
            _waiting(reasons.gpus_taken(), gpus="8 H200"),
        ),
        State(
            "in a queue",
            "%%gpu --queue team-a --gpus h200:8",
            _waiting(reasons.in_queue(), phase=Phase.QUEUED, gpus="8 H200"),
        ),
        State("node starting", "%%gpu --gpus h200:1", _waiting(reasons.node_starting(), asked=75)),
        State(
            "pulling an image",
            "%%gpu --image registry.example/team/train:2.7",
            _waiting(reasons.pulling(), phase=Phase.STARTING, asked=24),
        ),
        State(
            "preempted and queued again",
            "%%gpu --queue team-a --nodes 2 --gpus 8 --detach",
            _waiting(
                reasons.preempted(), phase=Phase.QUEUED, asked=640, gpus="2 nodes × 8 H200", kind=Kind.JOB
            ),
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
            snapshot(gang(), "a1b2c3d4e5f6", where=replace(CLUSTER, gpus="8 H200")),
        ),
        State(
            "running, 2 nodes of 8 GPUs",
            "%%gpu --nodes 2 --gpus 8 --detach --name llm-finetune",
            snapshot(
                two_nodes(), "a1b2c3d4e5f6", where=replace(CLUSTER, gpus="2 nodes × 8 H200"), saved="full"
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
            snapshot(
                session(lost, phase=Phase.LOST), lost.id, where=CLUSTER, explanation=reasons.node_gone()
            ),
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


def name_rows() -> list[NameRow]:
    """What ``%gpu vars`` is shown of."""
    return [
        NameRow("model", "torch.nn.Linear", "session", 14 * GIB, "", "cuda:0", "finetune"),
        NameRow("x", "numpy.ndarray", "both", 40_000_000, "(5000000,)", "cpu", "a1b2c3", differs=False),
        NameRow("config", "dict", "both", 812, "", "", "[4]", differs=True),
        NameRow("lock", "_thread.lock", "here"),
    ]
