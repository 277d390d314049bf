"""What a real cluster said of each case becomes one true sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_workbench.core.explain import explain
from tests.unit.core.explain.recorded import FACTS, explain_recorded, recorded

# What a real cluster said -> code, sentence, whether it may pass.
RECORDED: dict[str, tuple[str, str, bool]] = {
    "image-not-found": ("image-not-found", "There is no image 127.0.0.1:5000/nobody/nothing:1", False),
    "image-no-access": (
        "image-no-access",
        "The registry 127.0.0.1:5000 does not give image 127.0.0.1:5000/private/secret:1 to this cluster "
        "without credentials",
        False,
    ),
    "registry-throttled": (
        "registry-throttled",
        "The registry 127.0.0.1:5000 lets no more pulls through for now (429 Too Many Requests)",
        True,
    ),
    "registry-unreachable": (
        "registry-unreachable",
        "The registry 127.0.0.1:1 cannot be reached from the node (connection refused)",
        True,
    ),
    "registry-unknown": (
        "registry-unreachable",
        "The registry registry.invalid cannot be reached from the node (no such host)",
        True,
    ),
    "image-invalid": (
        "image-invalid",
        "Not//Valid:1 cannot be the name of an image (repository name (/Valid) must be lowercase)",
        False,
    ),
    "image-not-present": (
        "image-not-present",
        "Image tb.local/nothing:1 is not on the node, and its pull policy forbids to fetch it",
        False,
    ),
    "image-pulling": ("image-pulling", "Pulling image 127.0.0.1:5000/slow/large:1", True),
    "gpu-kind-missing": ("gpu-kind-missing", "No node has H200 GPUs; no node says what GPUs it has", False),
    "gpu-too-many": ("gpu-too-many", "No node has more than 4 GPUs, you ask 64", False),
    "gpu-none": ("gpu-none", "No node it may run on has GPUs (explain.test/accelerator)", False),
    "cpu-too-many": ("cpu-too-much", "No node has more than 2 CPUs, you ask 500", False),
    "memory-too-much": ("memory-too-much", "No node has more than 23 GiB of memory, you ask 9 TiB", False),
    "node-selector": ("node-selector", "No node has the label pool=moon it asks for", False),
    "taint": (
        "taint",
        "The nodes that fit are reserved by taints it does not tolerate (explain.test/team=vision)",
        False,
    ),
    "quota-exceeded": (
        "quota-exceeded",
        "The namespace's quota team is exceeded (nvidia.com/gpu: 1 of 1 used, you ask 1)",
        True,
    ),
    "quota-too-small": (
        "quota-too-small",
        "The namespace's quota team allows 1 nvidia.com/gpu in all, you ask 2",
        False,
    ),
    "quota-unspecified": (
        "quota-needs-limits",
        "The namespace's quota team wants cpu and memory to be stated",
        False,
    ),
    "limit-range": ("limit-range", "The namespace allows at most 1 cpu per container, you ask 2", False),
    "pod-security": (
        "pod-security",
        "The namespace's Pod Security level restricted refuses the pod: privilege escalation must be off, all "
        "capabilities must be dropped, volumes of type hostPath are not allowed, it must not run as root, the "
        "seccomp profile must be RuntimeDefault",
        False,
    ),
    "admission-policy": (
        "admission-policy",
        "The cluster's admission policy explain-team-a refuses it: Every pod must carry the label team",
        False,
    ),
    "service-account-missing": ("service-account-missing", "Service account trainer does not exist", False),
    "priority-class-missing": ("priority-class-missing", "Priority class urgent does not exist", False),
    "claim-missing": ("claim-missing", "The volume claim data does not exist in this namespace", False),
    "claim-unbound": (
        "claim-unbound",
        "The volume claim data has no volume: no persistent volumes available for this claim and no storage class is set",
        True,
    ),
    "claim-waits-for-consumer": (
        "claim-no-volume",
        "No free volume of storage class explain-team-a fits the claim data on any node",
        True,
    ),
    "configmap-missing": (
        "configmap-missing",
        "The ConfigMap settings, which the pod needs, does not exist in this namespace",
        True,
    ),
    "secret-missing": (
        "secret-missing",
        "The Secret hf-token, which the pod needs, does not exist in this namespace",
        True,
    ),
    "image-runs-as-root": (
        "image-runs-as-root",
        "Image tb.local/worker:1 wants to run as root, which the pod forbids",
        False,
    ),
    "image-without-python": ("image-without-python", "Image tb.local/no-python:1 has no python3", False),
    "image-without-python-in-a-shell": (
        "image-without-python",
        "Image tb.local/worker:1 has no python",
        False,
    ),
    "image-without-ipykernel": (
        "image-without-ipykernel",
        "Image tb.local/no-ipykernel:1 has no ipykernel, which a session needs",
        False,
    ),
    "image-architecture": (
        "image-architecture",
        "Image tb.local/worker:1 is made for another kind of processor than its node's (amd64)",
        False,
    ),
    "out-of-memory": (
        "out-of-memory",
        "Out of memory: it used more than its limit of 64 MiB and was killed",
        False,
    ),
    "evicted-scratch-full": ("evicted-disk", "Evicted: it wrote more than 1Mi to its folder scratch", False),
    "evicted-by-drain": (
        "drained",
        "Its pod was moved off its node, as for maintenance (evicted through the API)",
        False,
    ),
    "preempted": ("preempted", "It had to give its place to a workload of higher priority", False),
    "time-limit": ("time-limit", "Its time limit of 2 s is over", False),
    "suspended": ("suspended", "It was suspended from outside; no queue holds it", True),
    "stopping": ("stopping", "It is being stopped; its processes are given 20 s to end", True),
}
ELSEWHERE = {"crash", "gpu-taken", "node-lost", "all-is-well"}


@pytest.mark.parametrize("name", RECORDED)
def test_what_a_cluster_said_becomes_one_sentence(name: str) -> None:
    facts, spec = recorded(name)
    told = explain(facts, spec=spec)
    assert told is not None
    assert (told.code, told.sentence, told.waits) == RECORDED[name]
    assert told.source
    assert told.fix or told.waits


def test_every_recorded_case_is_asserted() -> None:
    assert {file.stem for file in FACTS.glob("*.json")} == {*RECORDED, *ELSEWHERE}


def test_a_crash_tells_its_exit_code_and_last_lines() -> None:
    told = explain_recorded("crash")
    assert told.code == "crashed"
    assert told.sentence.startswith("The container ended ")
    assert ": exit code 3; its last lines: " in told.sentence
    assert "no such option: --colour" in told.sentence


def test_a_lost_node_is_named_with_the_way_out() -> None:
    told = explain_recorded("node-lost")
    assert told.code == "node-lost"
    assert told.sentence.startswith("Its node explain-team-a does not answer since ")
    assert "--force" in told.fix


def test_of_what_runs_well_there_is_nothing_to_say() -> None:
    facts, spec = recorded("all-is-well")
    assert explain(facts, spec=spec) is None
    coming = explain(replace(facts, agent_ready=False), spec=spec)
    assert coming is not None
    assert coming.code == "agent-starting"
