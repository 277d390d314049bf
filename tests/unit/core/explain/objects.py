"""Kubernetes objects as the rules meet them, with only what matters to a test."""

from __future__ import annotations

from dataclasses import replace

from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Phase
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import Resources, WorkloadSpec
from gpu_workbench.core.wire import Json, JsonObject

ID = "0123456789ab"
JOB = f"gwb-{ID}"
POD = f"{JOB}-0-abcde"
SPEC = WorkloadSpec(id=ID, resources=Resources(gpus=Gpus(2, "h200")))


def object_of(form: Json) -> JsonObject:
    assert isinstance(form, dict)
    return form


def facts_of(
    *,
    pod: JsonObject,
    phase: Phase = Phase.PENDING,
    events: tuple[JsonObject, ...] = (),
    nodes: tuple[JsonObject, ...] | None = None,
    gpu_pods: tuple[JsonObject, ...] | None = None,
) -> Facts:
    return Facts(phase=phase, job=job_of(), pods=(pod,), events=events, nodes=nodes, gpu_pods=gpu_pods)


def job_of(*, suspend: bool = False, labels: JsonObject | None = None) -> JsonObject:
    return {"metadata": {"name": JOB, "labels": labels or {}}, "spec": {"suspend": suspend}, "status": {}}


def event_of(reason: str, message: str, *, kind: str = "Pod", at: str = "2026-11-23T17:18:00Z") -> JsonObject:
    about: JsonObject = {"kind": kind, "name": POD if kind == "Pod" else JOB}
    return {"reason": reason, "message": message, "involvedObject": about, "lastTimestamp": at}


def node_of(
    name: str,
    offered: JsonObject,
    *,
    gpu: str = "",
    ready: str = "True",
    taints: Json = None,
    images: Json = None,
) -> JsonObject:
    state: Json = [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-11-23T17:18:19Z"}]
    return {
        "metadata": {"name": name, "labels": {"nvidia.com/gpu.product": gpu} if gpu else {}},
        "spec": {"taints": taints},
        "status": {"allocatable": offered, "conditions": state, "images": images},
    }


def pod_of(
    *,
    name: str = POD,
    node: str = "",
    phase: str = "Pending",
    gpus: int = 0,
    kind: str = "",
    image: str = "worker:1",
    labels: JsonObject | None = None,
    tolerations: Json = None,
    unschedulable: str = "",
    waiting: str = "",
    said: str = "",
    exit_code: int | None = None,
    reason: str = "",
    message: str = "",
    conditions: list[Json] | None = None,
) -> JsonObject:
    state: JsonObject = {"waiting": {"reason": waiting, "message": said}} if waiting else {}
    if exit_code is not None:
        times: JsonObject = {"startedAt": "2026-11-23T17:18:00Z", "finishedAt": "2026-11-23T17:18:04Z"}
        state, phase = {"terminated": {"exitCode": exit_code, "reason": "Error", **times}}, "Failed"
    told = [*(conditions or [])]
    if unschedulable:
        told.append(
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": unschedulable}
        )
    wanted: JsonObject = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    spec: JsonObject = {
        "nodeName": node,
        "tolerations": tolerations,
        "containers": [{"name": "agent", "image": image, "resources": {"requests": wanted}}],
    }
    if kind:
        term: JsonObject = {
            "matchExpressions": [{"key": "nvidia.com/gpu.product", "operator": "In", "values": [kind]}]
        }
        required: JsonObject = {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}
        }
        spec["affinity"] = {"nodeAffinity": required}
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": spec,
        "status": {
            "phase": phase,
            "reason": reason,
            "message": message,
            "conditions": told,
            "containerStatuses": [{"name": "agent", "state": state}] if state else [],
        },
    }


def crowded(
    holders: dict[str, int], *, asked: int, nodes: int = 1, ours: bool = True
) -> tuple[Facts, WorkloadSpec]:
    """Nodes of four H200 with these holders, spread over them, and a pod that found no room."""
    shop = tuple(node_of(f"n{number}", {"nvidia.com/gpu": "4"}, gpu="h200") for number in range(nodes))
    held = tuple(
        pod_of(
            name=name,
            node=f"n{number % nodes}",
            gpus=count,
            labels={"gpu-workbench.dev/id": name} if ours else {},
        )
        for number, (name, count) in enumerate(holders.items())
    )
    message = f"0/{nodes} nodes are available: {nodes} Insufficient nvidia.com/gpu. preemption: not helpful."
    facts = facts_of(pod=pod_of(gpus=asked, unschedulable=message), nodes=shop, gpu_pods=held)
    return facts, replace(SPEC, resources=Resources(gpus=Gpus(asked, "h200")))
