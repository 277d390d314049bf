"""Why a run waits or was lost, as ``explain`` says it of a cluster that could be: no sentence here is made up."""

from __future__ import annotations

from dataclasses import replace

from gpu_workbench.core.explain import explain
from gpu_workbench.core.facts import Explanation, Facts
from gpu_workbench.core.model import Phase
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import Resources
from gpu_workbench.core.wire import Json, JsonObject
from tests.unit.core.explain.objects import SPEC, event_of, facts_of, job_of, node_of, pod_of

_IMAGE = "registry.example/team/train:2.7"
_MISSING = "registry.example/team/train:2.7.1"
_NO_ROOM = "0/4 nodes are available: 4 Insufficient nvidia.com/gpu. preemption: not helpful."
_SPEC = replace(SPEC, resources=Resources(gpus=Gpus(8, "h200")))
_HELD = (8, 8, 6, 4, 2)
"""GPUs that others' runs have, of 32."""

_PENDING: JsonObject = {
    "type": "QuotaReserved",
    "status": "False",
    "reason": "Pending",
    "message": "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor h200, "
    "4 more needed",
}
_EVICTED: JsonObject = {"type": "Evicted", "status": "True", "reason": "Preempted"}


def missing_image() -> Explanation:
    """The tag is not in the registry."""
    said = f'failed to resolve reference "{_MISSING}": {_MISSING}: not found'
    return _said(facts_of(pod=pod_of(node="a", waiting="ErrImagePull", said=said, image=_MISSING)))


def pulling() -> Explanation:
    """It is on its way, and another node has it, so that its size is known."""
    size: Json = [{"names": [_IMAGE], "sizeBytes": int(7.4 * 2**30)}]
    event = event_of("Pulling", f'Pulling image "{_IMAGE}"', at="2026-11-23T17:18:00Z")
    pod = pod_of(node="a", waiting="ContainerCreating", image=_IMAGE)
    facts = facts_of(pod=pod, events=(event,), nodes=(node_of("a", {}), node_of("b", {}, images=size)))
    return _said(replace(facts, seen="2026-11-23T17:18:21Z"))


def gpus_taken() -> Explanation:
    """Four nodes of eight GPUs, of which five runs leave four."""
    nodes = tuple(node_of(name, {"nvidia.com/gpu": "8"}, gpu="h200") for name in "abcd")
    held = tuple(
        pod_of(name=f"r{number}", node="abcd"[number % 4], gpus=count, labels=_run(number))
        for number, count in enumerate(_HELD)
    )
    return _said(facts_of(pod=pod_of(gpus=8, unschedulable=_NO_ROOM), nodes=nodes, gpu_pods=held))


def node_starting() -> Explanation:
    """An autoscaler makes a node for it."""
    event = event_of("TriggeredScaleUp", "pod triggered scale-up: [{h200-pool 0->1 (max: 4)}]")
    return _said(facts_of(pod=pod_of(gpus=8, unschedulable=_NO_ROOM), events=(event,)))


def in_queue() -> Explanation:
    """Kueue holds it, and says behind how many."""
    return _said(_queued(_PENDING, position=1))


def preempted() -> Explanation:
    """Kueue has taken it off its GPUs for a workload of higher priority."""
    return _said(_queued(_PENDING, _EVICTED, position=2))


def node_gone() -> Explanation:
    """The node was deleted while a session ran on it."""
    target: Json = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}
    return _said(facts_of(pod=pod_of(phase="Failed", node="a", conditions=[target]), phase=Phase.LOST))


def _queued(*conditions: JsonObject, position: int) -> Facts:
    queue: JsonObject = {
        "metadata": {"name": "job-gwb-0123456789ab"},
        "spec": {"queueName": "team-a"},
        "status": {"conditions": [*conditions]},
        "position": position,
    }
    return Facts(phase=Phase.QUEUED, job=job_of(suspend=True), queue=queue)


def _run(number: int) -> JsonObject:
    return {"gpu-workbench.dev/id": f"{number:012x}"}


def _said(facts: Facts) -> Explanation:
    found = explain(facts, spec=_SPEC)
    assert found is not None
    return found
