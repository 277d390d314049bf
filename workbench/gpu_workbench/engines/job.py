"""One workload as Kubernetes objects: a root ConfigMap, a Secret, a headless Service and an Indexed Job.

The root is created first and owns the others, so that nothing is left behind by whoever dies half-way. The agent's archive
lies in one further ConfigMap per namespace and content, which nobody owns.

Sources: the Kubernetes documentation of Jobs (Indexed completion mode, pod failure policy, backoff limit per index), of
Pod Security Standards (restricted), and of projected volumes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from gpu_workbench.core.agent_config import USER_ERROR_EXIT, AgentConfig, Gang, Listen, dump_agent_config
from gpu_workbench.core.errors import ProtocolError, TooLarge, UsageError
from gpu_workbench.core.model import Kind
from gpu_workbench.core.objects import text
from gpu_workbench.core.port import DEFAULT_PORT
from gpu_workbench.core.quantities import show_bytes
from gpu_workbench.core.spec import WorkloadSpec
from gpu_workbench.core.wire import JsonObject, decode, encode
from gpu_workbench.engines.dask import scheduler_arguments, with_driver
from gpu_workbench.engines.names import (
    ARCHIVE_KEY,
    CERTIFICATE_KEY,
    CONFIG_KEY,
    CONTAINER,
    ID_LABEL,
    NOTEBOOK_ANNOTATION,
    ROLE_LABEL,
    ROOT_ROLE,
    RUN_KEY_KEY,
    SCRATCH,
    SETTINGS,
    SPEC_KEY,
    STORE,
    TLS_KEY_KEY,
    TOKEN_KEY,
    archive_name,
    object_name,
    workload_labels,
    workload_metadata,
)
from gpu_workbench.engines.pod import pod_spec, sealed_keys, store_of

RENDEZVOUS_PORT = 29500
"""Where ``torch.distributed`` meets on the head's pod; torchrun's own default."""

MAX_RESTARTS = 3
"""How often a job's pod is replaced after a failure that is nobody's disruption."""

KEPT = 2 * 24 * 3600
"""Seconds an ended workload is kept."""

KEPT_STORED = 30 * 24 * 3600
"""Seconds an ended run is kept that has a store, and with it what is stored of it."""

SEALED_LIMIT = 768 * 2**10
"""Bytes of sealed files that a Secret is given; Kubernetes takes 1 MiB of data in one."""


PROJECT = PurePosixPath(SCRATCH, "work")
"""Where the project is mirrored to."""


def root_manifest(spec: WorkloadSpec) -> JsonObject:
    """The ConfigMap that stands for the workload: what was asked for and what its agent is told. No source, no values."""
    metadata = workload_metadata(spec)
    metadata["labels"] = {**workload_labels(spec), ROLE_LABEL: ROOT_ROLE}
    if spec.notebook:
        metadata["annotations"] = {NOTEBOOK_ANNOTATION: spec.notebook}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {
            SPEC_KEY: json.dumps(encode(spec), sort_keys=True),
            CONFIG_KEY: dump_agent_config(agent_config(spec)),
        },
    }


def spec_of_root(root: JsonObject) -> WorkloadSpec:
    """What was asked for, read back from the root.

    Raises:
        ProtocolError: somebody else made this ConfigMap, or a version that cannot be read.
    """
    try:
        form = json.loads(text(root, "data", SPEC_KEY))
    except ValueError:
        raise ProtocolError("A workload's record cannot be read", why="its spec is not JSON") from None
    if not isinstance(form, dict):
        raise ProtocolError("A workload's record cannot be read", why="its spec is not a JSON object")
    return decode(WorkloadSpec, form)


def agent_config(spec: WorkloadSpec) -> AgentConfig:
    """What the agents of the workload are told."""
    store = store_of(spec)
    return AgentConfig(
        kind=spec.kind,
        workload=spec.id,
        state_dir=f"{SCRATCH}/state",
        work_dir=STORE if spec.kind is Kind.STORE else _work_dir(spec),
        project_dir="" if spec.kind is Kind.STORE else str(PROJECT),
        listen=Listen(port=DEFAULT_PORT),
        gang=gang(spec),
        token_file=f"{SETTINGS}/{TOKEN_KEY}",
        cert_file=f"{SETTINGS}/{CERTIFICATE_KEY}",
        key_file=f"{SETTINGS}/{TLS_KEY_KEY}",
        run_key_file=f"{SETTINGS}/{RUN_KEY_KEY}",
        sealed_dir=f"{SETTINGS}/sealed" if spec.kind is Kind.JOB else "",
        idle_limit=spec.idle_limit,
        orphan_limit=spec.orphan_limit,
        time_limit=spec.time_limit,
        journal_limit=spec.journal_limit,
        store_dir=f"{STORE}/{spec.id}" if store and store.claim and spec.kind is Kind.JOB else "",
        store_url=store.url_of(spec.id) if store and store.url else "",
        termination_file="/dev/termination-log",
        python=spec.python,
        wrapped=scheduler_arguments() if spec.kind is Kind.DASK else (),
        ends_itself=spec.kind is not Kind.DASK,
    )


def gang(spec: WorkloadSpec) -> Gang:
    """How the ranks find each other: by the name that the headless Service gives the head's pod."""
    head = f"{object_name(spec.id)}-0.{object_name(spec.id)}"
    return Gang(
        nodes=spec.nodes,
        procs=spec.procs,
        node_env="JOB_COMPLETION_INDEX",
        head=f"{head}:{DEFAULT_PORT}",
        rendezvous=f"{head}:{RENDEZVOUS_PORT}",
    )


def _work_dir(spec: WorkloadSpec) -> str:
    """The notebook's folder within the mirrored project.

    Raises:
        UsageError: it leads out of it.
    """
    place = PurePosixPath(spec.work_dir)
    if place.is_absolute() or ".." in place.parts:
        raise UsageError(
            f"{spec.work_dir} is no folder of the project", why="a working directory in a pod lies within it"
        )
    return str(PROJECT / place)


def archive_manifest(content: bytes, digest: str) -> JsonObject:
    """The ConfigMap with the agent's archive, shared by all workloads of its namespace."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": archive_name(digest), "labels": {ROLE_LABEL: "archive"}},
        "immutable": True,
        "binaryData": {ARCHIVE_KEY: _base64(content)},
    }


def secret_manifest(
    spec: WorkloadSpec, *, root_uid: str, credentials: Mapping[str, bytes], sealed: Mapping[str, bytes]
) -> JsonObject:
    """The Secret with the workload's credentials and a detached run's sealed files.

    Raises:
        TooLarge: the sealed files are over :data:`SEALED_LIMIT`.
        UsageError: a sealed path leaves its folder.
    """
    check_sealed(sealed)
    keys = sealed_keys(sealed)
    contents = {**credentials, **{keys[path]: content for path, content in sealed.items()}}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": True,
        "metadata": workload_metadata(spec, root_uid=root_uid),
        "data": {key: _base64(content) for key, content in contents.items()},
    }


def check_sealed(sealed: Mapping[str, bytes]) -> None:
    """Whether a Secret can hold these files.

    Raises:
        TooLarge: they are over :data:`SEALED_LIMIT`.
        UsageError: a path leaves its folder.
    """
    size = sum(len(content) for content in sealed.values())
    if size > SEALED_LIMIT:
        raise TooLarge(
            f"The detached run is {show_bytes(size)}, and a Secret takes {show_bytes(SEALED_LIMIT)}",
            why="without a store, cell, values, files and modules must fit into the cluster's own records",
            fix="Set `store` in the profile, load large data from a volume, or leave names out with --in",
        )
    for path in sealed:
        if not path or path.startswith("/") or ".." in PurePosixPath(path).parts:
            raise UsageError(f"{path!r} cannot be sealed", why="it leaves the run's own folder")


def service_manifest(spec: WorkloadSpec, *, root_uid: str) -> JsonObject:
    """The headless Service that gives every rank a name, before it is ready too."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": workload_metadata(spec, root_uid=root_uid),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {ID_LABEL: spec.id},
            "ports": [{"name": "agent", "port": DEFAULT_PORT, "targetPort": DEFAULT_PORT}],
        },
    }


def job_manifest(
    spec: WorkloadSpec,
    *,
    root_uid: str,
    archive_digest: str,
    sealed_paths: Sequence[str] = (),
    gpu_labels: Sequence[str] = (),
) -> JsonObject:
    """The Indexed Job whose pods are the ranks.

    Args:
        spec: What was asked for; ``image`` must be set.
        root_uid: Uid of the root, which owns the Job.
        archive_digest: Hash of the agent's archive.
        sealed_paths: Relative paths of the sealed files.
        gpu_labels: The values of the GPU label that are of the kind asked for; empty takes the kind itself for the value.
    """
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": workload_metadata(spec, root_uid=root_uid),
        "spec": {
            "completionMode": "Indexed",
            "completions": spec.nodes,
            "parallelism": spec.nodes,
            "ttlSecondsAfterFinished": KEPT,
            "podReplacementPolicy": "Failed",
            **_failure_policy(spec),
            "template": {
                "metadata": {"labels": workload_labels(spec)},
                "spec": with_driver(
                    spec,
                    pod_spec(
                        spec,
                        archive_digest=archive_digest,
                        sealed_paths=sealed_paths,
                        gpu_labels=gpu_labels or (spec.resources.gpus.kind,),
                    ),
                ),
            },
        },
    }


def _failure_policy(spec: WorkloadSpec) -> JsonObject:
    if (
        spec.kind is not Kind.JOB
    ):  # its state is in its processes: a replacement would be an empty session by the same name
        return {"backoffLimitPerIndex": 0, "maxFailedIndexes": spec.nodes}
    user_error: JsonObject = {"containerName": CONTAINER, "operator": "In", "values": [USER_ERROR_EXIT]}
    return {
        "backoffLimit": MAX_RESTARTS,
        "podFailurePolicy": {
            "rules": [
                {"action": "FailJob", "onExitCodes": user_error},
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]
        },
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
