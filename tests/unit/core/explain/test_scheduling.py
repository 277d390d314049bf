"""No node takes the pod: counted, where nodes are visible."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_workbench.core.explain import explain
from gpu_workbench.core.explain.scheduling import reasons
from tests.unit.core.explain.objects import SPEC, crowded, event_of, facts_of, node_of, object_of, pod_of
from tests.unit.core.explain.recorded import explain_recorded


def test_taken_gpus_are_counted_with_those_who_hold_them() -> None:
    told = explain_recorded("gpu-taken")
    assert told.code == "gpu-taken"
    assert told.waits
    assert "of 4 GPUs taken by " in told.sentence
    assert told.sentence.endswith(", you ask 4")


@pytest.mark.parametrize(
    ("holders", "more", "sentence"),
    [
        ({"a": 1, "b": 1, "c": 2}, {}, "4 of 4 H200 taken by 3 runs, you ask 2"),
        ({"a": 3}, {}, "3 of 4 H200 taken by 1 run, you ask 2"),
        ({"a": 2, "b": 2}, {"ours": False}, "4 of 4 H200 taken by 2 pods, you ask 2"),
        (
            {"a": 3, "b": 3},
            {"nodes": 2},
            "6 of 8 H200 taken by 2 runs, you ask 2, and no single node has 2 free",
        ),
    ],
)
def test_all_gpus_taken(holders: dict[str, int], more: dict[str, int], sentence: str) -> None:
    facts, spec = crowded(holders, asked=2, **more)  # type: ignore[arg-type]
    told = explain(facts, spec=spec)
    assert told is not None
    assert (told.code, told.sentence) == ("gpu-taken", sentence)


def test_gpus_on_nodes_that_are_closed_to_it_do_not_count() -> None:
    facts, spec = crowded({}, asked=4)
    closed = node_of(
        "n9",
        {"nvidia.com/gpu": "8"},
        gpu="h200",
        taints=[{"key": "team", "value": "x", "effect": "NoSchedule"}],
    )
    small = node_of("n0", {"nvidia.com/gpu": "2"}, gpu="h200")
    told = explain(replace(facts, nodes=(small, closed)), spec=spec)
    assert told is not None
    assert told.sentence == "No node has more than 2 H200, you ask 4"


def test_kinds_that_there_are_instead_are_named() -> None:
    message = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. preemption: no."
    pod = pod_of(gpus=1, unschedulable=message, kind="h200")
    nodes = (node_of("a", {}, gpu="NVIDIA-L40S"), node_of("b", {}, gpu="NVIDIA-A100-SXM4-80GB"))
    told = explain(facts_of(pod=pod, nodes=nodes), spec=SPEC)
    assert told is not None
    assert told.sentence == "No node has H200 GPUs; the nodes have NVIDIA-A100-SXM4-80GB, NVIDIA-L40S"


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }", "node-not-ready"),
        ("1 node(s) had untolerated taint {gpu: reserved}", "taint"),
        ("1 node(s) were unschedulable", "node-cordoned"),
        ("1 Too many pods", "node-full"),
        ("1 node(s) didn't match pod anti-affinity rules", "pod-affinity"),
        ("1 node(s) had volume node affinity conflict", "volume-elsewhere"),
        ("1 Insufficient ephemeral-storage", "disk-taken"),
        ("1 moon is in the wrong phase", "unschedulable"),
    ],
)
def test_other_filters_of_the_scheduler(reason: str, code: str) -> None:
    told = explain(
        facts_of(pod=pod_of(unschedulable=f"0/1 nodes are available: {reason}. preemption: no."), nodes=None),
        spec=SPEC,
    )
    assert told is not None
    assert told.code == code


def test_the_schedulers_reasons_are_read_apart() -> None:
    message = (
        "0/6 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a.b/c: d}, "
        "3 node(s) were unschedulable. preemption: 0/6 nodes are available: 6 Preemption is not helpful."
    )
    assert reasons(message) == {
        "Insufficient cpu": 1,
        "node(s) had untolerated taint {a.b/c: d}": 2,
        "node(s) were unschedulable": 3,
    }
    assert reasons("something else") == {}


def test_a_node_on_its_way_and_room_being_made_are_told_before_the_lack() -> None:
    pod = pod_of(unschedulable="0/1 nodes are available: 1 Insufficient nvidia.com/gpu. preemption: no.")
    for reason in ("TriggeredScaleUp", "Nominated"):
        told = explain(facts_of(pod=pod, events=(event_of(reason, "…"),)), spec=SPEC)
        assert told is not None
        assert told.code == "node-starting"
    nominated = {**pod, "status": {**object_of(pod["status"]), "nominatedNodeName": "n"}}
    told = explain(facts_of(pod=nominated), spec=SPEC)
    assert told is not None
    assert told.code == "making-room"
