"""The sentence says what its reader may see, and never another user's name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_workbench.core.errors import (
    PermissionDenied,
)
from gpu_workbench.core.explain import explain, explain_error
from tests.unit.core.explain.objects import SPEC, crowded, event_of, facts_of, pod_of
from tests.unit.core.explain.recorded import explain_recorded


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gpu-too-many", "No node has 64 GPUs free; how many there are is not visible to you"),
        ("gpu-kind-missing", "No node has H200 GPUs (nodes are not visible to you)"),
        (
            "taint",
            "The nodes that fit are reserved by taints it does not tolerate (which ones is not visible to you)",
        ),
        ("node-selector", "No node has the label pool=moon it asks for (nodes are not visible to you)"),
        ("cpu-too-many", "No node has 500 CPUs free; how many there are is not visible to you"),
        (
            "image-architecture",
            "Image tb.local/worker:1 is made for another kind of processor than its node's",
        ),
    ],
)
def test_without_the_right_to_see_nodes_the_sentence_says_what_it_can(name: str, sentence: str) -> None:
    assert explain_recorded(name, nodes=None, gpu_pods=None).sentence == sentence


def test_without_the_right_to_see_pods_of_others_holders_are_not_counted() -> None:
    facts, spec = crowded({"a": 2, "b": 2}, asked=2)
    told = explain(replace(facts, gpu_pods=None), spec=spec)
    assert told is not None
    assert "how many hold them is not visible to you" in told.sentence


def test_nobody_elses_name_is_in_any_sentence() -> None:
    message = 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) alice-train-0'
    event = event_of("FailedAttachVolume", message)
    facts = facts_of(pod=pod_of(node="n", waiting="ContainerCreating"), events=(event,))
    told = explain(facts, spec=SPEC)
    assert told is not None
    assert told.code == "volume-in-use"
    assert "alice" not in told.sentence
    refused = explain_error(
        PermissionDenied("no", why='pods is forbidden: User "bob" cannot list resource "pods"')
    )
    assert "bob" not in refused.sentence
