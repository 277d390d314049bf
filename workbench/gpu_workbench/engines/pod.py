"""The pod of one rank: which container, as which user, with which folders and devices, and on which nodes.

Sources: the Kubernetes documentation of Pod Security Standards (restricted) and of projected volumes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from gpu_workbench.core.model import Kind
from gpu_workbench.core.port import DEFAULT_PORT
from gpu_workbench.core.spec import WorkloadSpec
from gpu_workbench.core.store import Store, parse_store
from gpu_workbench.core.wire import Json, JsonObject, encode
from gpu_workbench.engines.names import (
    ARCHIVE_FOLDER,
    ARCHIVE_KEY,
    CERTIFICATE_KEY,
    CONFIG_KEY,
    CONTAINER,
    RUN_KEY_KEY,
    SCRATCH,
    SETTINGS,
    STORE,
    TLS_KEY_KEY,
    TOKEN_KEY,
    archive_name,
    object_name,
)

SESSION_GRACE = 10
JOB_GRACE = 30
"""Seconds a pod has from SIGTERM to its end: a job may write a checkpoint, a session has nothing to save."""

OVERTIME = 30
"""Seconds beyond its time limit after which Kubernetes ends a pod, if its agent has not."""

# What images like to point at folders that a read-only file system or another user id puts out of reach.
_FOLDERS = {
    "HOME": "home",
    "JUPYTER_CONFIG_DIR": "home/.jupyter",
    "JUPYTER_DATA_DIR": "home/.local/share/jupyter",
    "MPLCONFIGDIR": "home/.config/matplotlib",
    "TORCHINDUCTOR_CACHE_DIR": "home/.cache/inductor",
    "TRITON_CACHE_DIR": "home/.cache/triton",
    "XDG_CACHE_HOME": "home/.cache",
    "XDG_CONFIG_HOME": "home/.config",
    "XDG_DATA_HOME": "home/.local/share",
    "XDG_STATE_HOME": "home/.local/state",
}


def pod_spec(
    spec: WorkloadSpec, *, archive_digest: str, sealed_paths: Sequence[str], gpu_labels: Sequence[str]
) -> JsonObject:
    """The pod of one rank, as the restricted Pod Security Standard wants it.

    Args:
        spec: What was asked for; ``image`` must be set.
        archive_digest: Hash of the agent's archive.
        sealed_paths: Relative paths of the sealed files.
        gpu_labels: The values of the GPU label that are of the kind asked for.
    """
    place = spec.placement
    pod: JsonObject = {
        "restartPolicy": "Never",
        "subdomain": object_name(spec.id),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": JOB_GRACE if spec.kind is Kind.JOB else SESSION_GRACE,
        "securityContext": _security(spec),
        "containers": [_container(spec)],
        "volumes": _volumes(spec, archive_digest, sealed_paths),
    }
    if spec.time_limit is not None:  # of the pod, not the Job: time spent waiting for a node does not count
        pod["activeDeadlineSeconds"] = math.ceil(spec.time_limit) + OVERTIME
    if place.node_selector:
        pod["nodeSelector"] = dict(place.node_selector)
    if spec.resources.gpus.kind:
        pod["affinity"] = _gpu_affinity(spec.resources.gpu_label, gpu_labels)
    if place.tolerations:
        pod["tolerations"] = [encode(toleration) for toleration in place.tolerations]
    if place.service_account:
        pod["serviceAccountName"] = place.service_account
    if place.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in place.pull_secrets]
    return pod


def _security(spec: WorkloadSpec) -> JsonObject:
    security: JsonObject = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if spec.placement.user_id is not None:
        security["runAsUser"] = spec.placement.user_id
    if spec.placement.group_id is not None:
        security["runAsGroup"] = spec.placement.group_id
        security["fsGroup"] = spec.placement.group_id
        security["fsGroupChangePolicy"] = "OnRootMismatch"
    return security


def _gpu_affinity(label: str, values: Sequence[str]) -> JsonObject:
    match: JsonObject = {"key": label, "operator": "In", "values": [*sorted(values)]}
    required: JsonObject = {"nodeSelectorTerms": [{"matchExpressions": [match]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def _container(spec: WorkloadSpec) -> JsonObject:
    container: JsonObject = {
        "name": CONTAINER,
        "image": spec.image,
        # No shell finds the interpreter: where there is none, the runtime says so in words that `why` can quote.
        "command": [spec.python or "python3", f"{ARCHIVE_FOLDER}/{ARCHIVE_KEY}"],
        "args": ["--config", f"{SETTINGS}/{CONFIG_KEY}"],
        "workingDir": SCRATCH,  # the image's own may be closed to this user id, and then nothing would start
        "env": _env(spec),
        "ports": [{"name": "agent", "containerPort": DEFAULT_PORT}],
        "resources": _resources(spec),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": _mounts(spec),
    }
    if spec.placement.secrets:
        container["envFrom"] = [{"secretRef": {"name": name}} for name in spec.placement.secrets]
    return container


def _env(spec: WorkloadSpec) -> list[Json]:
    """Ours first, so that a user may move a folder; what tells the agent who it is cannot be replaced."""
    variables = {name: f"{SCRATCH}/{folder}" for name, folder in _FOLDERS.items()}
    variables |= {"TMPDIR": "/tmp", "USER": "gwb", "LOGNAME": "gwb"}  # noqa: S108 - a folder of the pod's own
    variables |= spec.env
    variables |= {"GPU_WORKBENCH_WORKLOAD": spec.id, "GPU_WORKBENCH_KIND": spec.kind.value}
    return [{"name": name, "value": value} for name, value in sorted(variables.items())]


def _resources(spec: WorkloadSpec) -> JsonObject:
    """CPU is asked for and not limited: a limit slows the user's code down while cores beside it stand idle."""
    limits: JsonObject = {}
    if spec.resources.memory is not None:
        limits["memory"] = str(spec.resources.memory)
    if spec.resources.gpus.count:
        limits[spec.resources.gpu_resource] = str(spec.resources.gpus.count)
    requests = dict(limits)
    if spec.resources.cpus is not None:
        requests["cpu"] = f"{round(spec.resources.cpus * 1000)}m"
    named: JsonObject = {"requests": requests, "limits": limits}
    return {name: amounts for name, amounts in named.items() if amounts}


def _volumes(spec: WorkloadSpec, archive_digest: str, sealed_paths: Sequence[str]) -> list[Json]:
    name = object_name(spec.id)
    items: list[Json] = [
        {"key": key, "path": key} for key in (TOKEN_KEY, CERTIFICATE_KEY, TLS_KEY_KEY, RUN_KEY_KEY)
    ]
    items += [{"key": key, "path": f"sealed/{path}"} for path, key in sealed_keys(sealed_paths).items()]
    settings: JsonObject = {
        "defaultMode": 0o444,  # any user id must be able to read it, and nobody else lives in this pod
        "sources": [
            {"configMap": {"name": name, "items": [{"key": CONFIG_KEY, "path": CONFIG_KEY}]}},
            {"secret": {"name": name, "items": items}},
        ],
    }
    volumes: list[Json] = [
        {"name": "archive", "configMap": {"name": archive_name(archive_digest), "defaultMode": 0o444}},
        {"name": "settings", "projected": settings},
        {"name": "scratch", "emptyDir": {"sizeLimit": str(spec.resources.scratch)}},
    ]
    if spec.resources.shared_memory is not None:
        volumes.append(
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": str(spec.resources.shared_memory)}}
        )
    for claim, read_only in _claims(spec).items():
        source: JsonObject = {"claimName": claim, **({"readOnly": True} if read_only else {})}
        volumes.append({"name": _claim_volume(spec, claim), "persistentVolumeClaim": source})
    return volumes


def _mounts(spec: WorkloadSpec) -> list[Json]:
    mounts: list[Json] = [
        {"name": "archive", "mountPath": ARCHIVE_FOLDER, "readOnly": True},
        {"name": "settings", "mountPath": SETTINGS, "readOnly": True},
        {"name": "scratch", "mountPath": SCRATCH},
        # Parts of it that the kubelet makes, so that they are there before anything of the image runs.
        {"name": "scratch", "mountPath": f"{SCRATCH}/home", "subPath": "home"},
        {"name": "scratch", "mountPath": "/tmp", "subPath": "tmp"},  # noqa: S108 - a folder of the pod's own
    ]
    if spec.resources.shared_memory is not None:
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108 - the pod's own
    store = store_of(spec)
    if store is not None and store.claim:
        folder: JsonObject = {"subPath": store.folder} if store.folder else {}
        mounts.append({"name": _claim_volume(spec, store.claim), "mountPath": STORE, **folder})
    for volume in spec.volumes:
        mount: JsonObject = {"name": _claim_volume(spec, volume.claim), "mountPath": volume.path}
        mounts.append({**mount, **({"readOnly": True} if volume.read_only else {})})
    return mounts


def _claims(spec: WorkloadSpec) -> dict[str, bool]:
    """Each claim once, and whether every mount of it is read-only."""
    found: dict[str, bool] = {}
    store = store_of(spec)
    if store is not None and store.claim:
        found[store.claim] = False
    for volume in spec.volumes:
        found[volume.claim] = found.get(volume.claim, True) and volume.read_only
    return found


def store_of(spec: WorkloadSpec) -> Store | None:
    """The store of a detached run, or of the pod that looks after it; a session needs none."""
    return parse_store(spec.store) if spec.store and spec.kind in (Kind.JOB, Kind.STORE) else None


def _claim_volume(spec: WorkloadSpec, claim: str) -> str:
    return f"claim-{list(_claims(spec)).index(claim)}"


def sealed_keys(paths: Sequence[str] | Mapping[str, bytes]) -> dict[str, str]:
    """Path to the Secret's key, which has no folders: numbered in the order of the paths."""
    return {path: f"sealed-{place}" for place, path in enumerate(sorted(paths))}


def labels_of_kind(kind: str, values: Sequence[str]) -> tuple[str, ...]:
    """Which values of the GPU label are of a kind as people write it: ``h200`` for ``NVIDIA-H200-SXM5-141GB``.

    The words of ``kind`` must stand in the value one after the other and whole, so ``l4`` is not an ``L40S``. The whole
    value is a kind too.
    """
    if kind in values:
        return (kind,)
    wanted = _words(kind)
    found = (value for value in values if _contains(_words(value), wanted))
    return tuple(sorted(set(found)))


def _words(text_: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text_.lower())


def _contains(words: list[str], wanted: list[str]) -> bool:
    length = len(wanted)
    return bool(length) and any(words[at : at + length] == wanted for at in range(len(words) - length + 1))
