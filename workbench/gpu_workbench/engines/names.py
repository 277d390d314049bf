"""How the objects of a workload are called, labelled and laid out; the words by which every surface finds them again."""

from __future__ import annotations

from gpu_workbench.core.spec import LABEL_PREFIX, OBJECT_PREFIX

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


def object_name(workload_id: str) -> str:
    """The name of everything that belongs to a workload."""
    return OBJECT_PREFIX + workload_id


def archive_name(digest: str) -> str:
    """The name of the ConfigMap that holds the agent of that hash."""
    return f"{OBJECT_PREFIX}agent-{digest[:16]}"


def selector(workload_id: str) -> str:
    """The label selector of a workload's objects."""
    return f"{ID_LABEL}={workload_id}"
