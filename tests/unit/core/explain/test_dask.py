"""A Dask cluster: what its scheduler waits for, and, told apart from that, what its workers wait for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gpu_workbench.core.explain import explain, explain_workers
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Kind, Phase
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import DaskCluster, Resources, WorkloadSpec
from gpu_workbench.core.wire import Json, JsonObject
from tests.unit.core.explain.objects import ID, event_of, pod_of

SPEC = WorkloadSpec(
    id=ID, kind=Kind.DASK, image="worker:1", resources=Resources(gpus=Gpus(1)), dask=DaskCluster(n_workers=2)
)
NAME = f"gwb-{ID}"
NO_ROOM = "0/2 nodes are available: 2 Insufficient cpu. preemption: not helpful."
QUOTA = (
    'pods "x" is forbidden: exceeded quota: team, requested: requests.nvidia.com/gpu=1, '
    "used: requests.nvidia.com/gpu=4, limited: requests.nvidia.com/gpu=4"
)


def cluster(phase: str = "Running") -> JsonObject:
    return {"kind": "DaskCluster", "metadata": {"name": NAME}, "status": {"phase": phase} if phase else {}}


def deployment(component: str, number: int = 0, *, refused: str = "", leaves: bool = False) -> JsonObject:
    labels: JsonObject = {"dask.org/component": component}
    failure: JsonObject = {"type": "ReplicaFailure", "status": "True", "message": refused}
    metadata: JsonObject = {"name": f"{component}-{number}", "labels": labels}
    if leaves:
        metadata["deletionTimestamp"] = "2026-11-23T17:18:00Z"
    return {"metadata": metadata, "status": {"conditions": [failure] if refused else []}}


def pod(component: str, number: int = 0, *, runs: bool = False, **fields: object) -> JsonObject:
    ready: list[Json] = [{"type": "Ready", "status": "True"}] if runs else []
    made = pod_of(
        name=f"{component}-{number}-pod",
        labels={"dask.org/component": component},
        conditions=ready,
        **{"phase": "Running" if runs else "Pending", "node": "n" if runs else "", **fields},  # type: ignore[arg-type]
    )
    if runs:
        running: JsonObject = {"name": "agent", "state": {"running": {"startedAt": "2026-11-23T17:18:00Z"}}}
        made["status"]["containerStatuses"] = [running]  # type: ignore[index, call-overload]
    return made


def facts(*objects: JsonObject, phase: Phase = Phase.PENDING, taken_up: bool = True) -> Facts:
    """Of a cluster with these pods and Deployments."""
    return Facts(
        phase=phase,
        agent_ready=phase is Phase.RUNNING,
        job=cluster("Running" if taken_up else ""),
        pods=tuple(one for one in objects if "spec" in one),
        deployments=tuple(one for one in objects if "spec" not in one),
    )


WORKERS = tuple(deployment("worker", number) for number in range(2))
ALL_WELL = facts(
    deployment("scheduler"),
    pod("scheduler", runs=True),
    *WORKERS,
    *(pod("worker", number, runs=True) for number in range(2)),
    phase=Phase.RUNNING,
)


def test_of_a_cluster_that_is_well_there_is_nothing_to_say() -> None:
    assert explain(ALL_WELL, spec=SPEC) is None
    assert explain_workers(ALL_WELL, spec=SPEC) == (2, 0, None)


def test_an_operator_that_says_nothing_is_named() -> None:
    told = explain(facts(taken_up=False), spec=SPEC)
    assert told is not None
    assert (told.code, told.waits) == ("dask-operator-awaited", True)
    assert told.sentence == "The Dask operator has not taken it up yet"
    assert told.source == f"daskcluster {NAME}: status.phase"


def test_an_operator_that_has_begun_is_not_blamed() -> None:
    told = explain(facts(), spec=SPEC)
    assert told is not None
    assert told.code == "pod-creating"
    with_pod = explain(facts(pod("scheduler"), taken_up=False), spec=SPEC)
    assert with_pod is not None
    assert with_pod.code == "scheduling"


def test_a_scheduler_without_a_node_is_what_the_cluster_waits_for_whatever_its_workers_do() -> None:
    found = facts(
        pod("scheduler", unschedulable=NO_ROOM),
        pod("worker", node="n", waiting="ImagePullBackOff", said="not found"),
        *WORKERS,
    )
    told = explain(found, spec=SPEC)
    assert told is not None
    assert told.source.startswith("pod scheduler-0-pod")
    assert "CPU" in told.sentence


def test_workers_without_a_node_are_told_apart_from_a_scheduler_that_runs() -> None:
    found = facts(
        pod("scheduler", runs=True),
        *WORKERS,
        pod("worker", 0, runs=True),
        pod("worker", 1, unschedulable=NO_ROOM),
        phase=Phase.RUNNING,
    )
    assert explain(found, spec=SPEC) is None
    wanted, waiting, told = explain_workers(found, spec=SPEC)
    assert (wanted, waiting) == (2, 1)
    assert told is not None
    assert told.source.startswith("pod worker-1-pod")
    assert "CPU" in told.sentence


def test_what_happened_to_another_pod_is_not_said_of_one() -> None:
    event = event_of("Failed", 'Failed to pull image "worker:1": not found')
    about: JsonObject = {"kind": "Pod", "name": "worker-0-pod"}
    found = replace(facts(pod("scheduler", node="n")), events=({**event, "involvedObject": about},))
    told = explain(found, spec=SPEC)
    assert told is not None
    assert told.code == "container-creating"


def test_a_quota_that_refuses_a_worker_is_said_of_the_workers() -> None:
    found = facts(
        pod("scheduler", runs=True),
        deployment("worker", 0),
        deployment("worker", 1, refused=QUOTA),
        pod("worker", 0, runs=True),
        phase=Phase.RUNNING,
    )
    assert explain(found, spec=SPEC) is None
    wanted, waiting, told = explain_workers(found, spec=SPEC)
    assert (wanted, waiting) == (2, 1)
    assert told is not None
    assert (told.code, told.waits) == ("quota-exceeded", True)
    assert "nvidia.com/gpu: 4 of 4 used, you ask 1" in told.sentence
    assert told.source == "deployment worker-1: status.conditions[ReplicaFailure]"


def test_a_quota_that_refuses_the_scheduler_is_why_there_is_no_cluster() -> None:
    told = explain(facts(deployment("scheduler", refused=QUOTA), *WORKERS), spec=SPEC)
    assert told is not None
    assert (told.code, told.source) == (
        "quota-exceeded",
        "deployment scheduler-0: status.conditions[ReplicaFailure]",
    )
    refused = facts(deployment("scheduler", refused='violates PodSecurity "restricted:latest": hostPath'))
    told = explain(refused, spec=SPEC)
    assert told is not None
    assert (told.code, told.waits) == ("pod-security", False)


def test_an_old_refusal_is_forgotten_once_there_is_a_pod() -> None:
    told = explain(facts(deployment("scheduler", refused=QUOTA), pod("scheduler")), spec=SPEC)
    assert told is not None
    assert told.code == "scheduling"


def restarting(component: str, *, exit_code: int, reason: str = "Error", message: str = "") -> JsonObject:
    """A pod whose container ended and is soon started again."""
    made = pod(
        component, node="n", waiting="CrashLoopBackOff", said="back-off 10s restarting failed container"
    )
    ended: JsonObject = {"exitCode": exit_code, "reason": reason, "message": message}
    made["status"]["containerStatuses"][0]["lastState"] = {"terminated": ended}  # type: ignore[index, call-overload]
    made["spec"]["containers"][0]["resources"] = {"limits": {"memory": str(2**30)}}  # type: ignore[index, call-overload]
    return made


NO_DASK: JsonObject = {
    "version": 1,
    "outcome": "Failed",
    "failure": {"cause": "not-started", "what": "This image has no Dask", "exit_code": 68},
}


@pytest.mark.parametrize("record", [NO_DASK, None])
def test_an_image_without_dask_will_never_do_however_often_it_is_started(record: JsonObject | None) -> None:
    crashed = restarting("scheduler", exit_code=68, message=json.dumps(NO_DASK))
    told = explain(replace(facts(crashed), phase=Phase.STARTING, record=record), spec=SPEC)
    assert told is not None
    assert (told.code, told.waits) == ("image-without-dask", False)
    assert told.sentence == "Image worker:1 has no Dask, which a Dask cluster needs"
    assert "pip install distributed" in told.fix


def test_the_schedulers_record_is_not_the_workers() -> None:
    found = replace(facts(pod("worker", unschedulable=NO_ROOM)), record=NO_DASK, log_tail="Traceback")
    _, _, told = explain_workers(found, spec=SPEC)
    assert told is not None
    assert told.source.startswith("pod worker-0-pod")


def test_a_worker_without_dask_says_so_too() -> None:
    crashed = restarting("worker", exit_code=68, message=json.dumps(NO_DASK))
    _, waiting, told = explain_workers(facts(deployment("worker"), crashed), spec=SPEC)
    assert waiting == 1
    assert told is not None
    assert told.code == "image-without-dask"


def test_a_worker_that_ran_out_of_memory_says_so_while_it_is_started_again() -> None:
    killed = restarting("worker", exit_code=137, reason="OOMKilled")
    wanted, waiting, told = explain_workers(facts(deployment("worker"), killed), spec=SPEC)
    assert (wanted, waiting) == (1, 1)
    assert told is not None
    assert told.code == "out-of-memory"
    assert told.sentence == "Out of memory: it used more than its limit of 1 GiB and was killed"


def test_a_pod_that_was_taken_away_is_replaced_by_itself() -> None:
    refused = pod("scheduler", node="n", phase="Failed", reason="NodeAffinity")
    told = explain(facts(refused), spec=SPEC)
    assert told is not None
    assert (told.code, told.fix) == ("node-refused", "Another pod takes its place by itself")


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ((), (0, 0)),
        (WORKERS, (2, 2)),  # no pods yet
        ((*WORKERS, pod("worker", 0), pod("worker", 1, runs=True)), (2, 1)),
        ((*WORKERS, pod("worker", 0, runs=True), pod("worker", 1, runs=True)), (2, 0)),
        # it may not see Deployments
        ((pod("worker", 0), pod("worker", 1, runs=True)), (2, 1)),
        # scaled down: what goes is not waited for
        ((WORKERS[0], deployment("worker", 1, leaves=True), pod("worker", 0, runs=True)), (1, 0)),
        ((WORKERS[0], pod("worker", 0, runs=True), pod("worker", 1, runs=True)), (1, 0)),
        # evicted, and its replacement runs
        (
            (WORKERS[0], pod("worker", 0, phase="Failed", reason="Evicted"), pod("worker", 1, runs=True)),
            (1, 0),
        ),
        # the scheduler is none of them
        ((deployment("scheduler"), pod("scheduler"), WORKERS[0], pod("worker", runs=True)), (1, 0)),
    ],
)
def test_workers_are_counted(objects: tuple[JsonObject, ...], expected: tuple[int, int]) -> None:
    wanted, waiting, told = explain_workers(facts(*objects), spec=SPEC)
    assert (wanted, waiting) == expected
    if not waiting:
        assert told is None
