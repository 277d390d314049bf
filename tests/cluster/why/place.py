"""A namespace in which things go wrong on purpose, and what the cluster says of them as `Facts`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Phase
from gpu_workbench.core.objects import at, members, name_of, text
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import Resources, Volume, WorkloadSpec
from gpu_workbench.core.wire import Json, JsonObject

from ..handle import Cluster

WORKLOAD = "0123456789ab"
JOB = f"gwb-{WORKLOAD}"
ID_LABEL = "gpu-workbench.dev/id"
GPU = "nvidia.com/gpu"

_HARDENED: JsonObject = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}


@dataclass(frozen=True)
class Place:
    """A namespace of a cluster."""

    cluster: Cluster
    namespace: str

    def kubectl(self, *argv: object, check: bool = True) -> str:
        return self.cluster.kubectl("-n", self.namespace, *argv, check=check)

    def create(self, *objects: JsonObject) -> None:
        form = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.cluster.kubectl("-n", self.namespace, "create", "-f", "-", data=json.dumps(form))

    def list(self, kind: str, *, labels: str = "", everywhere: bool = False) -> tuple[JsonObject, ...]:
        group = "/apis/batch/v1" if kind == "jobs" else "/api/v1"
        place = "" if everywhere or kind == "nodes" else f"/namespaces/{self.namespace}"
        return members(self.cluster.api.call("GET", f"{group}{place}/{kind}?labelSelector={labels}"), "items")

    def facts(self, job: str = JOB) -> Facts:
        """What the API server says now of one Job and all that bears on it; what is told of is there when it was told."""
        told = sorted(self.list("events"), key=_time)
        pods = self.list("pods", labels=f"job-name={job}")
        jobs = [item for item in self.list("jobs") if name_of(item) == job]
        names = {job, *map(name_of, pods)}
        return Facts(
            phase=_phase(jobs[0] if jobs else None, pods),
            job=jobs[0] if jobs else None,
            pods=pods,
            events=tuple(
                event
                for event in told
                if text(event, "involvedObject", "name") in names
                or text(event, "involvedObject", "kind") == "PersistentVolumeClaim"
                or text(event, "involvedObject", "name").startswith(f"{job}-")
            ),
            claims=self.list("persistentvolumeclaims"),
            nodes=self.list("nodes"),
            quotas=self.list("resourcequotas"),
            gpu_pods=tuple(
                pod
                for pod in self.list("pods", everywhere=True)
                if _holds_gpus(pod) and text(pod, "spec", "nodeName") and not _over(pod)
            ),
            agent_ready=any(at(status, "state", "running") for status in _statuses(pods)),
            record=_record(pods),
            log_tail=self._log_tail(pods),
        )

    def _log_tail(self, pods: Sequence[JsonObject]) -> str:
        ended = [name_of(pod) for pod in pods if text(pod, "status", "phase") == "Failed"]
        return self.kubectl("logs", ended[0], "--tail=20", check=False) if ended else ""

    def until_said(self, words: str, *, job: str = JOB, seconds: float = 60) -> Facts:
        """Read until the cluster has said these words of the Job, its pods, or in their events."""
        end = time.monotonic() + seconds
        while True:
            facts = self.facts(job)
            said = json.dumps([facts.job, facts.pods, facts.events], ensure_ascii=False)
            if words in said.replace('\\"', '"') and all(map(_scheduler_was_here, facts.pods)):
                return facts
            if time.monotonic() > end:
                raise AssertionError(f"nobody said {words!r} within {seconds:.0f} s: {said}")
            time.sleep(0.2)


@contextmanager
def own_place(cluster: Cluster) -> Iterator[Place]:
    """A namespace that enforces Pod Security `restricted`; deleted afterwards."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    with cluster.namespace("explain", labels=labels) as name:
        yield Place(cluster, name)


def _time(event: JsonObject) -> str:
    return (
        text(event, "lastTimestamp")
        or text(event, "eventTime")
        or text(event, "metadata", "creationTimestamp")
    )


def _statuses(pods: Sequence[JsonObject]) -> tuple[JsonObject, ...]:
    return tuple(status for pod in pods for status in members(pod, "status", "containerStatuses"))


def _record(pods: Sequence[JsonObject]) -> JsonObject | None:
    for status in _statuses(pods):
        message = text(status, "state", "terminated", "message")
        if message.startswith("{"):
            record: JsonObject = json.loads(message)
            return record
    return None


def _holds_gpus(pod: JsonObject) -> bool:
    return any(at(item, "resources", "requests", GPU) for item in members(pod, "spec", "containers"))


def _scheduler_was_here(pod: JsonObject) -> bool:
    """The scheduler tells its event before it writes the same into the pod."""
    conditions = {text(item, "type") for item in members(pod, "status", "conditions")}
    return bool(text(pod, "spec", "nodeName")) or "PodScheduled" in conditions


def _over(pod: JsonObject) -> bool:
    return text(pod, "status", "phase") in ("Succeeded", "Failed")


def _phase(job: JsonObject | None, pods: Sequence[JsonObject]) -> Phase:
    """The phase as far as these tests need it; the backend's own reading is more exact."""
    conditions = {
        str(item.get("type")) for item in members(job, "status", "conditions") if item.get("status") == "True"
    }
    if "Complete" in conditions:
        return Phase.SUCCEEDED
    if "Failed" in conditions:
        return Phase.FAILED
    if at(job, "spec", "suspend") is True:
        return Phase.QUEUED
    if any(at(pod, "metadata", "deletionTimestamp") for pod in pods):
        return Phase.STOPPING
    phases = {text(pod, "status", "phase") for pod in pods}
    if "Running" in phases:
        return Phase.RUNNING
    return Phase.STARTING if any(text(pod, "spec", "nodeName") for pod in pods) else Phase.PENDING


def spec(
    *,
    gpus: int = 0,
    kind: str = "",
    resource: str = GPU,
    memory: int | None = None,
    image: str = "",
    volumes: tuple[Volume, ...] = (),
    time_limit: float | None = None,
) -> WorkloadSpec:
    """What was asked for, as `explain` is told."""
    resources = Resources(gpus=Gpus(gpus, kind), gpu_resource=resource, memory=memory)
    return WorkloadSpec(id=WORKLOAD, resources=resources, image=image, volumes=volumes, time_limit=time_limit)


def job_of(
    place: Place,
    *command: str,
    image: str = "",
    name: str = JOB,
    gpus: int = 0,
    container: JsonObject | None = None,
    pod: JsonObject | None = None,
    job: JsonObject | None = None,
) -> JsonObject:
    """An Indexed Job as the workbench makes them, with its one pod's command; the rest as given."""
    resources: JsonObject = {"cpu": "10m", "memory": "64Mi"}
    if gpus:
        resources[GPU] = str(gpus)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {ID_LABEL: name.removeprefix("gwb-")}},
        "spec": {
            "completionMode": "Indexed",
            "completions": 1,
            "parallelism": 1,
            "backoffLimitPerIndex": 0,
            "maxFailedIndexes": 1,
            "podReplacementPolicy": "Failed",
            **(job or {}),
            "template": {
                "metadata": {"labels": {ID_LABEL: name.removeprefix("gwb-")}},
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "terminationGracePeriodSeconds": 1,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 1000,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    **(pod or {}),
                    "containers": [
                        {
                            "name": "agent",
                            "image": image or place.cluster.images.worker,
                            "command": list(command),
                            "terminationMessagePolicy": "FallbackToLogsOnError",
                            "securityContext": _HARDENED,
                            "resources": {"requests": resources, "limits": resources},
                            **(container or {}),
                        }
                    ],
                },
            },
        },
    }


def claim(name: str, *, storage_class: str | None = None) -> JsonObject:
    wanted: JsonObject = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    if storage_class is not None:
        wanted["storageClassName"] = storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": wanted}


_NOISE = frozenset(
    re.findall(
        r"\w+",
        """
        addresses annotations bootID containerID containerRuntimeVersion daemonEndpoints dnsPolicy
        enableServiceLinks finalizers generateName generation hostIP hostIPs imageID images kernelVersion
        kubeProxyVersion kubeletVersion machineID managedFields osImage ownerReferences podIP podIPs
        preemptionPolicy qosClass reportingInstance resourceVersion schedulerName systemUUID
        terminationMessagePath
        """,
    )
)


def trimmed(form: Json) -> Json:
    """Without what no explanation reads, so that a recorded case can be read by people."""
    if isinstance(form, dict):
        return {
            key: trimmed(item) for key, item in form.items() if key not in _NOISE and item not in ({}, [])
        }
    return [trimmed(item) for item in form] if isinstance(form, list) else form
