"""Where a workload stands, from what its objects say."""

import json

import pytest

from gpu_workbench.core.model import Kind, Phase
from gpu_workbench.engines.status import agent_ready, head_pod, phase_of, record_of, tail_of

JOB = {"spec": {}, "status": {}}
COMPLETE = {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
FAILED = {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}
STOPPED = json.dumps({"version": 1, "outcome": "Stopped"})
USER_FAILED = json.dumps({"version": 1, "outcome": "Failed"})


def pod(phase="Running", *, state=None, index="0", created="2026-01-01T00:00:00Z", node="n1", **status):
    metadata = {"labels": {"batch.kubernetes.io/job-completion-index": index}, "creationTimestamp": created}
    if deleted := status.pop("deleted", None):
        metadata["deletionTimestamp"] = deleted
    containers = [{"name": "agent", "state": state or {}}]
    return {
        "metadata": metadata,
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, "containerStatuses": containers, **status},
    }


def ended(code, message=""):
    return {"terminated": {"exitCode": code, "message": message}}


RUNNING = {"running": {"startedAt": "2026-01-01T00:00:01Z"}}
DISRUPTED = [{"type": "DisruptionTarget", "status": "True"}]
ROOT = {"data": {}, "metadata": {}}
ROOT_ENDED = {
    "data": {"record.json": STOPPED},
    "metadata": {"annotations": {"gpu-workbench.dev/ended": "2026-01-01T00:00:00Z"}},
}


@pytest.mark.parametrize(
    ("expected", "job", "pods"),
    [
        (Phase.PENDING, None, []),
        (Phase.PENDING, JOB, []),
        (Phase.QUEUED, {"spec": {"suspend": True}}, []),
        (Phase.PENDING, JOB, [pod("Pending", node="")]),
        (Phase.STARTING, JOB, [pod("Pending", state={"waiting": {"reason": "ContainerCreating"}})]),
        (Phase.RUNNING, JOB, [pod(state=RUNNING)]),
        (Phase.STOPPING, JOB, [pod(state=RUNNING, deleted="2026-01-01T00:00:09Z")]),
        (Phase.STOPPING, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:09Z"}}, [pod(state=RUNNING)]),
        (Phase.STOPPING, None, [pod(state=RUNNING, deleted="2026-01-01T00:00:09Z")]),
        (Phase.STOPPED, COMPLETE, [pod("Succeeded", state=ended(0, STOPPED))]),
        (Phase.SUCCEEDED, COMPLETE, [pod("Succeeded", state=ended(0))]),
        # Deleted or drained: the agent ended in good order, but nobody had asked for it.
        (Phase.LOST, COMPLETE, []),
        (Phase.LOST, COMPLETE, [pod("Succeeded", state=ended(0, STOPPED), deleted="2026-01-01T00:00:09Z")]),
        (Phase.LOST, FAILED, [pod("Failed", state=ended(143, STOPPED), conditions=DISRUPTED)]),
        (Phase.FAILED, FAILED, [pod("Failed", state=ended(1))]),
        (Phase.FAILED, FAILED, [pod("Failed", state=ended(1, USER_FAILED))]),
        (Phase.FAILED, FAILED, [pod("Failed", state=ended(137), reason="OOMKilled")]),
        (Phase.LOST, FAILED, []),
        (Phase.LOST, FAILED, [pod("Failed", state=ended(143), conditions=DISRUPTED)]),
        (Phase.LOST, FAILED, [pod("Failed", reason="Evicted")]),
        # The container is done, and neither the pod nor the Job says so yet.
        (Phase.FAILED, JOB, [pod("Running", state=ended(1))]),
        (Phase.LOST, JOB, [pod("Failed", state=ended(137), conditions=DISRUPTED)]),
    ],
)
def test_the_phase_of_a_session(expected, job, pods):
    assert phase_of(kind=Kind.SESSION, root=ROOT, job=job, head=head_pod(pods)) is expected


@pytest.mark.parametrize(
    ("expected", "job", "pods"),
    [
        (Phase.STARTING, JOB, [pod("Failed", state=ended(137), conditions=DISRUPTED)]),
        (Phase.STARTING, JOB, [pod("Failed", state=ended(143, STOPPED), conditions=DISRUPTED)]),
        (Phase.STARTING, JOB, [pod("Failed", reason="NodeAffinity")]),
        (Phase.LOST, FAILED, [pod("Failed", reason="NodeAffinity")]),
        (Phase.SUCCEEDED, COMPLETE, []),
        (Phase.FAILED, JOB, [pod("Failed", state=ended(64, USER_FAILED))]),
        (Phase.FAILED, FAILED, [pod("Failed", state=ended(64, USER_FAILED))]),
    ],
)
def test_a_jobs_pod_is_replaced_unless_its_own_code_failed(expected, job, pods):
    assert phase_of(kind=Kind.JOB, root=ROOT, job=job, head=head_pod(pods)) is expected


def test_after_a_stop_the_root_remembers():
    assert phase_of(kind=Kind.SESSION, root=ROOT_ENDED, job=None, head=head_pod([])) is Phase.STOPPED


def test_what_has_no_root_any_more_is_lost():
    assert phase_of(kind=Kind.SESSION, root=None, job=None, head=head_pod([])) is Phase.LOST


def test_the_head_is_the_pod_that_lives_not_the_one_it_replaced():
    old = pod("Failed", state=ended(1), created="2026-01-01T00:00:05Z")
    new = pod("Pending", created="2026-01-01T00:00:09Z")
    other_rank = pod(state=RUNNING, index="1", created="2026-01-01T00:00:10Z")
    assert head_pod([new, old, other_rank]) is new
    leaving = pod(state=RUNNING, deleted="2026-01-01T00:00:09Z", created="2026-01-01T00:00:20Z")
    assert head_pod([leaving, new]) is new
    assert head_pod([old, {**old, "metadata": {}}]) is old
    assert head_pod([other_rank]) is None


def test_an_agent_can_be_spoken_to_while_its_container_runs():
    assert agent_ready(head_pod([pod(state=RUNNING)]))
    assert not agent_ready(head_pod([pod("Pending")]))
    assert not agent_ready(head_pod([pod(state=ended(0))]))
    assert not agent_ready(head_pod([pod(state=RUNNING, deleted="2026-01-01T00:00:09Z")]))
    assert not agent_ready(head_pod([]))


def test_a_termination_message_is_a_record_or_the_last_lines_of_the_log():
    with_record = pod("Succeeded", state=ended(0, STOPPED))
    assert record_of(with_record) == {"version": 1, "outcome": "Stopped"}
    assert tail_of(with_record) == ""
    crashed = pod("Failed", state=ended(1, "Traceback\nImportError: torch\n"))
    assert record_of(crashed) is None
    assert tail_of(crashed).endswith("ImportError: torch\n")


@pytest.mark.parametrize("rubbish", ["", "{}", "[]", "3", '{"outcome": 3}', "{"])
def test_a_message_that_is_no_record_decides_nothing(rubbish):
    assert (
        phase_of(
            kind=Kind.SESSION, root=ROOT, job=FAILED, head=head_pod([pod("Failed", state=ended(1, rubbish))])
        )
        is Phase.FAILED
    )


def test_objects_without_anything_in_them_are_no_error():
    assert phase_of(kind=Kind.SESSION, root={}, job={}, head=head_pod([{}])) is Phase.PENDING


# --- A Dask cluster: a DaskCluster in place of a Job, and Deployments that start its pods again

CLUSTER = {"kind": "DaskCluster", "status": {"phase": "Running"}}


def dask_pod(component, *args, **fields):
    made = pod(*args, index="", **fields)
    made["metadata"]["labels"] = {"dask.org/component": component}
    return made


def scheduler(*args, **fields):
    return dask_pod("scheduler", *args, **fields)


def worker(*args, **fields):
    return dask_pod("worker", *args, created="2026-01-02T00:00:00Z", **fields)


@pytest.mark.parametrize(
    ("expected", "cluster", "pods"),
    [
        (Phase.PENDING, {"kind": "DaskCluster"}, []),  # its operator has not looked at it
        (Phase.PENDING, CLUSTER, [worker(state=RUNNING)]),
        (Phase.PENDING, CLUSTER, [scheduler("Pending", node="")]),
        (Phase.STARTING, CLUSTER, [scheduler("Pending")]),
        (Phase.RUNNING, CLUSTER, [scheduler(state=RUNNING), worker("Pending", node="")]),
        # Its Deployment starts it again, whatever it ended with.
        (Phase.STARTING, CLUSTER, [scheduler(state=ended(1))]),
        (Phase.STARTING, CLUSTER, [scheduler(state=ended(0, STOPPED))]),
        (Phase.STARTING, CLUSTER, [scheduler("Failed", reason="Evicted")]),
        (
            Phase.STARTING,
            CLUSTER,
            [scheduler("Failed", reason="Evicted"), scheduler("Pending", created="2026-01-01T00:00:09Z")],
        ),
        (
            Phase.STOPPING,
            {"metadata": {"deletionTimestamp": "2026-01-01T00:00:09Z"}},
            [scheduler(state=RUNNING)],
        ),
        (Phase.STOPPING, None, [scheduler(state=RUNNING, deleted="2026-01-01T00:00:09Z")]),
        (Phase.PENDING, None, []),  # the root alone: it is being made
    ],
)
def test_the_phase_of_a_dask_cluster_is_its_schedulers(expected, cluster, pods):
    assert phase_of(kind=Kind.DASK, root=ROOT, job=cluster, head=head_pod(pods)) is expected


def test_a_dask_cluster_that_was_stopped_or_is_forgotten():
    for pods in ([], [scheduler(state=ended(0, STOPPED))]):
        assert phase_of(kind=Kind.DASK, root=ROOT_ENDED, job=None, head=head_pod(pods)) is Phase.STOPPED
    assert phase_of(kind=Kind.DASK, root=None, job=None, head=None) is Phase.LOST


def test_no_worker_is_the_head_however_new_it_is():
    head = scheduler(state=RUNNING)
    assert head_pod([worker(state=RUNNING), head, worker(state=RUNNING)]) is head
    assert head_pod([worker(state=RUNNING)]) is None
