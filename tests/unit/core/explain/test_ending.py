"""How it ended: the agent's record, exit codes, evictions, lost nodes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_workbench.core.explain import explain
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Cause, Failure, Kind, Phase
from gpu_workbench.core.wire import Json, JsonObject, encode_fields
from tests.unit.core.explain.objects import SPEC, event_of, facts_of, job_of, node_of, pod_of


@pytest.mark.parametrize(
    ("failure", "code", "fix"),
    [
        (
            Failure(Cause.CUDA_OUT_OF_MEMORY, "CUDA out of memory: tried to allocate 20 GiB", rank=3),
            "cuda-out-of-memory",
            "batch",
        ),
        (Failure(Cause.OUT_OF_MEMORY, "rank 0 was killed at its memory limit"), "out-of-memory", "--memory"),
        (Failure(Cause.TIME_LIMIT, "its time limit of 4 h is over"), "time-limit", "--time-limit"),
        (Failure(Cause.USER_ERROR, "ValueError: no such file"), "user-error", ""),
        (
            Failure(Cause.NOT_STARTED, "no ipykernel", exit_code=65),
            "image-without-ipykernel",
            "pip install ipykernel",
        ),
    ],
)
def test_the_agents_own_record_is_believed_first(failure: Failure, code: str, fix: str) -> None:
    record: JsonObject = {"phase": "Failed", "failure": encode_fields(failure)}
    facts = facts_of(pod=pod_of(node="n", exit_code=1), phase=Phase.FAILED)
    told = explain(replace(facts, record=record), spec=SPEC)
    assert told is not None
    assert told.code == code
    assert fix in told.fix
    assert not told.waits
    assert ("rank 3" in told.sentence) == (failure.rank == 3)


def test_a_record_that_cannot_be_read_is_passed_over() -> None:
    facts = replace(
        facts_of(pod=pod_of(node="n", exit_code=3), phase=Phase.FAILED), record={"failure": {"cause": "moon"}}
    )
    told = explain(facts, spec=SPEC)
    assert told is not None
    assert told.code == "crashed"


def test_a_session_that_ended_itself_says_why() -> None:
    facts = Facts(phase=Phase.STOPPED, record={"phase": "Stopped", "reason": "no cell ran for 60 min"})
    told = explain(facts, spec=SPEC)
    assert told is not None
    assert told.sentence == "No cell ran for 60 min"
    assert explain(Facts(phase=Phase.SUCCEEDED), spec=SPEC) is None


@pytest.mark.parametrize(
    ("code", "word", "sentence"),
    [
        (64, "user-error", "The run's own code failed"),
        (65, "image-without-ipykernel", "Image worker:1 has no ipykernel, which a session needs"),
        (66, "sealed-input", "Its sealed cell and values are missing or were changed, so nothing was run"),
        (67, "start-barrier", "Not all ranks came up in time, so it gave its GPUs back"),
        (70, "agent-error", "The workbench's agent itself failed"),
        (137, "killed", "The container ended 4 s after its start: killed (SIGKILL)"),
        (
            139,
            "crashed",
            "The container ended 4 s after its start: crashed on a wrong memory address (SIGSEGV)",
        ),
        (1, "crashed", "The container ended 4 s after its start: exit code 1"),
    ],
)
def test_exit_codes_in_words(code: int, word: str, sentence: str) -> None:
    told = explain(facts_of(pod=pod_of(node="n", exit_code=code), phase=Phase.FAILED), spec=SPEC)
    assert told is not None
    assert (told.code, told.sentence) == (word, sentence)


@pytest.mark.parametrize(
    ("message", "code", "sentence"),
    [
        (
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container agent was using 9G",
            "evicted-memory",
            "Evicted: its node ran out of memory",
        ),
        (
            "The node was low on resource: ephemeral-storage. ",
            "evicted-disk",
            "Evicted: its node ran out of disk space",
        ),
        (
            "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
            "evicted-disk",
            "Evicted: it wrote more than 1Gi to its node's disk",
        ),
        ("The node was low on resource: pids. ", "evicted", "Evicted: its node ran out of pids"),
        (
            "The node had condition: [PIDPressure]. ",
            "evicted",
            "Evicted: The node had condition: [PIDPressure]",
        ),
    ],
)
def test_evictions(message: str, code: str, sentence: str) -> None:
    pod = pod_of(node="n", phase="Failed", reason="Evicted", message=message)
    told = explain(facts_of(pod=pod, phase=Phase.LOST), spec=SPEC)
    assert told is not None
    assert (told.code, told.sentence) == (code, sentence)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("PreemptionByScheduler", "preempted"),
        ("EvictionByEvictionAPI", "drained"),
        ("DeletionByTaintManager", "node-tainted"),
        ("DeletionByPodGC", "node-lost"),
        ("TerminationByKubelet", "evicted"),
        ("SomethingNew", "disrupted"),
    ],
)
def test_disruptions(reason: str, code: str) -> None:
    pod = pod_of(
        node="n",
        phase="Failed",
        conditions=[{"type": "DisruptionTarget", "status": "True", "reason": reason}],
    )
    facts = facts_of(pod=pod, phase=Phase.LOST)
    signal = {"version": 1, "outcome": "Stopped", "reason": "it was told to end from outside (SIGTERM)"}
    for told in (explain(facts, spec=SPEC), explain(replace(facts, record=signal), spec=SPEC)):
        assert told is not None
        assert told.code == code, "its agent knows of no more than a signal"


@pytest.mark.parametrize(
    ("kind", "phase", "fix"),
    [
        (Kind.SESSION, Phase.LOST, "Start it again; a session's names are gone"),
        (Kind.JOB, Phase.STARTING, "Another pod takes its place by itself"),
        (Kind.JOB, Phase.LOST, "Start it again"),
    ],
)
def test_nobody_is_asked_to_start_what_is_replaced(kind: Kind, phase: Phase, fix: str) -> None:
    pod = pod_of(node="n", phase="Failed", reason="NodeAffinity")
    told = explain(facts_of(pod=pod, phase=phase), spec=replace(SPEC, kind=kind))
    assert told is not None
    assert (told.code, told.fix) == ("node-refused", fix)


def test_a_preemption_is_remembered_by_its_event_when_the_pod_is_gone() -> None:
    event = event_of("Preempted", "Preempted by pod 50db0644 on node node-1")
    told = explain(Facts(phase=Phase.LOST, job=job_of(), events=(event,)), spec=SPEC)
    assert told is not None
    assert told.code == "preempted"
    assert "50db0644" not in told.sentence


def test_a_silent_node_that_still_has_its_pod_tells_how_long_the_cluster_waits() -> None:
    node = node_of("n", {}, ready="Unknown")
    toleration: Json = [
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 300}
    ]
    pod = pod_of(node="n", phase="Running", tolerations=toleration)
    told = explain(facts_of(pod=pod, nodes=(node,), phase=Phase.RUNNING), spec=SPEC)
    assert told is not None
    assert told.sentence == (
        "Its node n does not answer since 17:18 UTC; the cluster gives the pod up after 5 min 00 s of that"
    )


def test_a_pod_on_a_node_newer_than_the_list_of_nodes_is_not_called_lost() -> None:
    pod = pod_of(node="new", waiting="ContainerCreating")
    told = explain(facts_of(pod=pod, nodes=(), phase=Phase.STARTING), spec=SPEC)
    assert told is not None
    assert told.code == "container-creating"


def test_a_replacement_is_spoken_of_before_the_pod_it_replaces() -> None:
    old = pod_of(name="old", node="n", exit_code=3)
    new = pod_of(name="new", node="n", waiting="ContainerCreating")
    told = explain(replace(facts_of(pod=old), pods=(old, new)), spec=SPEC)
    assert told is not None
    assert told.source.startswith("pod new")


def test_an_old_refusal_is_forgotten_once_a_pod_was_made() -> None:
    refused = event_of(
        "FailedCreate",
        'Error creating: pods "x" is forbidden: exceeded quota: team, requested: a=1, used: a=1, limited: a=1',
        kind="Job",
    )
    made = event_of("SuccessfulCreate", "Created pod: x", kind="Job")
    told = explain(Facts(phase=Phase.PENDING, job=job_of(), events=(refused, made)), spec=SPEC)
    assert told is not None
    assert told.code == "pod-creating"
