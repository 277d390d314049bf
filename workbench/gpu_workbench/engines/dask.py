"""A Dask cluster as Kubernetes objects: a DaskCluster of dask-kubernetes' operator, which makes pods of it, and its groups.

The root ConfigMap owns it as it owns a Job. The agent wraps the scheduler, so there is one journal for the whole cluster;
workers are Dask's own, with a preload that measures their devices.

Sources: the custom resources in the operator's Helm chart (``kubernetes.dask.org/v1``), and the documentation of
``dask worker`` and of Dask's configuration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from gpu_workbench.core.explain.dask import COMPONENT_LABEL
from gpu_workbench.core.objects import label, members, text
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import DaskCluster, WorkloadSpec
from gpu_workbench.core.wire import Json, JsonObject
from gpu_workbench.engines.names import (
    CERTIFICATE_KEY,
    SCRATCH,
    SETTINGS,
    TLS_KEY_KEY,
    object_name,
    workload_labels,
    workload_metadata,
)
from gpu_workbench.engines.pod import pod_spec

API = "kubernetes.dask.org/v1"
DEFAULT_GROUP = "default"
GROUP_LABEL = "dask.org/workergroup-name"
CLUSTER_LABEL = "dask.org/cluster-name"

SCHEDULER_PORT = 8786
DASHBOARD_PORT = 8787

SCHEDULER_CPUS = 1.0
SCHEDULER_MEMORY = 4 * 2**30
"""What the scheduler asks for at most: it holds no data."""

CREDENTIALS = f"{SETTINGS}/dask"
"""Folder of the certificate with which everything of a cluster knows the rest of it."""


def scheduler_arguments() -> tuple[str, ...]:
    """What follows the interpreter to start the scheduler."""
    return (
        *("-m", "distributed.cli.dask_scheduler", "--protocol", "tls", "--port", str(SCHEDULER_PORT)),
        *("--dashboard-address", f":{DASHBOARD_PORT}"),
    )


def scheduler_address(cluster_id: str) -> str:
    """Where workers and drivers find the scheduler, within the namespace."""
    return f"tls://{object_name(cluster_id)}-scheduler:{SCHEDULER_PORT}"


def group_name(cluster_id: str, group: str) -> str:
    """The name of a worker group's object; the operator calls the first one so."""
    return f"{object_name(cluster_id)}-{group}"


def tls_environment(folder: str) -> dict[str, str]:
    """Dask's configuration for one certificate, which all of a cluster know each other by: nothing else is let in.

    Args:
        folder: Where the certificate and its key lie.
    """
    certificate, key = f"{folder}/{CERTIFICATE_KEY}", f"{folder}/{TLS_KEY_KEY}"
    found = {"REQUIRE_ENCRYPTION": "True", "TLS__CA_FILE": certificate}
    for role in ("CLIENT", "SCHEDULER", "WORKER"):
        found |= {f"TLS__{role}__CERT": certificate, f"TLS__{role}__KEY": key}
    return {f"DASK_DISTRIBUTED__COMM__{name}": value for name, value in found.items()}


def cluster_manifest(
    spec: WorkloadSpec, *, root_uid: str, archive_digest: str, gpu_labels: Sequence[str] = ()
) -> JsonObject:
    """The DaskCluster, with its scheduler and the default group of workers.

    Args:
        spec: What was asked for; ``image`` must be set.
        root_uid: Uid of the root, which owns it.
        archive_digest: Hash of the agent's archive.
        gpu_labels: The values of the GPU label that are of the kind asked for.
    """
    asked = spec.dask or DaskCluster()
    return {
        "apiVersion": API,
        "kind": "DaskCluster",
        "metadata": workload_metadata(spec, root_uid=root_uid),
        "spec": {
            "idleTimeout": math.ceil(spec.idle_limit),
            "scheduler": {
                "spec": _scheduler_pod(spec, archive_digest=archive_digest),
                "service": _service(spec),
            },
            "worker": {
                "replicas": asked.n_workers,
                "spec": _worker_pod(spec, archive_digest=archive_digest, gpu_labels=gpu_labels),
            },
        },
    }


def group_manifests(spec: WorkloadSpec, *, root_uid: str, archive_digest: str) -> list[JsonObject]:
    """The further worker groups. They have no GPUs, and carry their name as a resource, so that tasks can ask for it."""
    without = replace(spec, resources=replace(spec.resources, gpus=Gpus(0)))
    return [
        {
            "apiVersion": API,
            "kind": "DaskWorkerGroup",
            "metadata": {
                **workload_metadata(spec, root_uid=root_uid),
                "name": group_name(spec.id, group),
            },
            "spec": {
                "cluster": object_name(spec.id),
                "worker": {
                    "replicas": count,
                    "spec": _worker_pod(without, archive_digest=archive_digest, gpu_labels=(), group=group),
                },
            },
        }
        for group, count in (spec.dask or DaskCluster()).groups.items()
    ]


def autoscaler_manifest(spec: WorkloadSpec, *, minimum: int, maximum: int) -> JsonObject:
    """The DaskAutoscaler that has the default group follow its tasks."""
    return {
        "apiVersion": API,
        "kind": "DaskAutoscaler",
        "metadata": {"name": object_name(spec.id), "labels": workload_labels(spec)},
        "spec": {"cluster": object_name(spec.id), "minimum": minimum, "maximum": maximum},
    }


def with_driver(spec: WorkloadSpec, pod: JsonObject) -> JsonObject:
    """The pod of a session; of one that drives a Dask cluster with all that ``Client()`` needs to find that."""
    if spec.drives:
        container = members(pod, "containers")[0]
        pod["volumes"] = [*members(pod, "volumes"), credentials_volume(spec.drives)]
        container["volumeMounts"] = [*members(container, "volumeMounts"), credentials_mount()]
        address = {
            "DASK_SCHEDULER_ADDRESS": scheduler_address(spec.drives),
            "GPU_WORKBENCH_DRIVES": spec.drives,
        }
        _add_environment(container, {**tls_environment(CREDENTIALS), **address})
    return pod


def is_worker(pod: JsonObject) -> bool:
    """Whether a pod is a Dask worker."""
    return label(pod, COMPONENT_LABEL) == "worker"


def _service(spec: WorkloadSpec) -> JsonObject:
    ports: list[Json] = [
        {"name": "tcp-comm", "port": SCHEDULER_PORT, "targetPort": "tcp-comm", "protocol": "TCP"},
        {"name": "http-dashboard", "port": DASHBOARD_PORT, "targetPort": "http-dashboard", "protocol": "TCP"},
    ]
    selector: JsonObject = {CLUSTER_LABEL: object_name(spec.id), COMPONENT_LABEL: "scheduler"}
    return {"type": "ClusterIP", "selector": selector, "ports": ports}


def _scheduler_pod(spec: WorkloadSpec, *, archive_digest: str) -> JsonObject:
    own = spec.resources
    small = replace(
        own,
        gpus=Gpus(0),
        cpus=None if own.cpus is None else min(own.cpus, SCHEDULER_CPUS),
        memory=None if own.memory is None else min(own.memory, SCHEDULER_MEMORY),
        shared_memory=None,
    )
    pod = _pod(replace(spec, resources=small), archive_digest=archive_digest, gpu_labels=())
    container = members(pod, "containers")[0]
    ports: list[Json] = [
        *members(container, "ports"),
        {"name": "tcp-comm", "containerPort": SCHEDULER_PORT},
        {"name": "http-dashboard", "containerPort": DASHBOARD_PORT},
    ]
    container["ports"] = ports
    _add_environment(container, tls_environment(SETTINGS))
    return pod


def _worker_pod(
    spec: WorkloadSpec, *, archive_digest: str, gpu_labels: Sequence[str], group: str = DEFAULT_GROUP
) -> JsonObject:
    pod = _pod(spec, archive_digest=archive_digest, gpu_labels=gpu_labels)
    container = members(pod, "containers")[0]
    container["args"] = [*_worker_arguments(spec, group)]
    del container["ports"]
    _add_environment(container, tls_environment(CREDENTIALS))
    _only_the_certificate(spec, pod, container)
    return pod


def _worker_arguments(spec: WorkloadSpec, group: str) -> list[str]:
    gpus, memory = spec.resources.gpus.count, spec.resources.memory
    threads = (spec.dask.threads if spec.dask else 0) or (1 if gpus else math.ceil(spec.resources.cpus or 0))
    return [
        "dask-worker",
        *(["--cuda"] if gpus == 1 else []),  # dask-cuda makes a worker of each GPU, and one pod is one worker
        scheduler_address(spec.id),
        *("--name", "$(DASK_WORKER_NAME)", "--no-dashboard", "--local-directory", f"{SCRATCH}/dask"),
        *(["--nthreads", str(threads)] if threads else []),
        *(["--memory-limit", str(memory)] if memory else []),
        *(["--resources", f"{group}=1e9"] if group != DEFAULT_GROUP else []),
    ]


def _only_the_certificate(spec: WorkloadSpec, pod: JsonObject, container: JsonObject) -> None:
    """A worker has no use for the agent's token and settings: it gets what lets it into the cluster, and no more."""
    volumes = [volume for volume in members(pod, "volumes") if volume.get("name") != "settings"]
    mounts = [mount for mount in members(container, "volumeMounts") if mount.get("name") != "settings"]
    pod["volumes"] = [*volumes, credentials_volume(spec.id)]
    container["volumeMounts"] = [*mounts, credentials_mount()]


def credentials_volume(cluster_id: str) -> JsonObject:
    """A volume with a cluster's certificate."""
    items: list[Json] = [{"key": key, "path": key} for key in (CERTIFICATE_KEY, TLS_KEY_KEY)]
    secret: JsonObject = {"secretName": object_name(cluster_id), "items": items, "defaultMode": 0o444}
    return {"name": "dask", "secret": secret}


def credentials_mount() -> JsonObject:
    """Where that lies."""
    return {"name": "dask", "mountPath": CREDENTIALS, "readOnly": True}


def _pod(spec: WorkloadSpec, *, archive_digest: str, gpu_labels: Sequence[str]) -> JsonObject:
    """A pod as a Deployment has it: started again whatever happens, and with no end of its own."""
    pod = pod_spec(
        replace(spec, time_limit=None),
        archive_digest=archive_digest,
        sealed_paths=(),
        gpu_labels=gpu_labels or (spec.resources.gpus.kind,),
    )
    for key in ("restartPolicy", "subdomain"):
        pod.pop(key, None)
    return pod


def _add_environment(container: JsonObject, variables: dict[str, str]) -> None:
    kept: list[Json] = [item for item in members(container, "env") if text(item, "name") not in variables]
    kept += [{"name": name, "value": value} for name, value in variables.items()]
    container["env"] = kept
