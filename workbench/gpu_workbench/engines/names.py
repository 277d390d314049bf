"""How the objects of a workload are called, labelled and laid out; the words by which every surface finds them again."""

from __future__ import annotations

import re

from gpu_workbench.core.spec import LABEL_PREFIX, OBJECT_PREFIX, WorkloadSpec
from gpu_workbench.core.wire import JsonObject

ID_LABEL = LABEL_PREFIX + "id"
KIND_LABEL = LABEL_PREFIX + "kind"
OWNER_LABEL = LABEL_PREFIX + "owner"
NAME_LABEL = LABEL_PREFIX + "name"
ROLE_LABEL = LABEL_PREFIX + "role"
NOTEBOOK_ANNOTATION = LABEL_PREFIX + "notebook"
ENDED_ANNOTATION = LABEL_PREFIX + "ended"
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"

ROOT_ROLE = "root"
CONTAINER = "agent"

SPEC_KEY = "spec.json"
CONFIG_KEY = "agent.json"
RECORD_KEY = "record.json"
TOKEN_KEY = "token"  # noqa: S105 - the name of a file
CERTIFICATE_KEY = "tls.crt"
TLS_KEY_KEY = "tls.key"
RUN_KEY_KEY = "run.key"
ARCHIVE_KEY = "agent.pyz"

PROFILES_OBJECT = "gpu-workbench"
PROFILES_KEY = "config.yaml"

SCRATCH = "/gwb"
STORE = "/gwb-store"
SETTINGS = "/etc/gpu-workbench"
ARCHIVE_FOLDER = "/opt/gpu-workbench"

_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def object_name(workload_id: str) -> str:
    """The name of everything that belongs to a workload."""
    return OBJECT_PREFIX + workload_id


def archive_name(digest: str) -> str:
    """The name of the ConfigMap that holds the agent of that hash."""
    return f"{OBJECT_PREFIX}agent-{digest[:16]}"


def selector(workload_id: str) -> str:
    """The label selector of a workload's objects."""
    return f"{ID_LABEL}={workload_id}"


def workload_metadata(spec: WorkloadSpec, *, root_uid: str = "") -> JsonObject:
    """Name, labels and owner of an object of the workload.

    Args:
        spec: Of the workload.
        root_uid: Uid of the root, which owns it; empty for the root itself.
    """
    name = object_name(spec.id)
    metadata: JsonObject = {"name": name, "labels": workload_labels(spec)}
    if root_uid:
        owner: JsonObject = {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": root_uid}
        metadata["ownerReferences"] = [owner]
    return metadata


def workload_labels(spec: WorkloadSpec) -> JsonObject:
    """The labels by which every surface finds an object of the workload again."""
    labels: JsonObject = {ID_LABEL: spec.id, KIND_LABEL: spec.kind.value}
    for name, value in ((OWNER_LABEL, spec.owner), (NAME_LABEL, spec.name)):
        if _LABEL_VALUE.fullmatch(value):
            labels[name] = value
    return labels
