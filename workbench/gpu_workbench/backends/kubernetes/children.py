"""The objects that hang on a workload's root: made at its start, and those that hold something taken away at its stop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gpu_workbench.backends.archive import agent_archive, agent_digest
from gpu_workbench.backends.credentials import make_credentials
from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.clusters import create_cluster, remove_cluster
from gpu_workbench.backends.kubernetes.resources import (
    CONFIG_MAPS,
    JOBS,
    NODES,
    PODS,
    SECRETS,
    SERVICES,
    Resource,
)
from gpu_workbench.backends.protocol import Sealed
from gpu_workbench.core.errors import Conflict, PermissionDenied
from gpu_workbench.core.model import Kind
from gpu_workbench.core.objects import label, name_of
from gpu_workbench.core.spec import Handle, WorkloadSpec
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.job import archive_manifest, job_manifest, secret_manifest, service_manifest
from gpu_workbench.engines.names import object_name
from gpu_workbench.engines.pod import labels_of_kind, store_of


async def create_children(
    client: ApiClient, spec: WorkloadSpec, *, root_uid: str, sealed: Sealed, cache: Path | None
) -> None:
    """Create Secret, Service and Job; of a Dask cluster Secret and DaskCluster.

    What the pod mounts is there before the Job: a pod that has to wait for its Secret starts a second later.

    Args:
        spec: With its namespace.
        root_uid: The root's, which owns them.
        cache: Folder in which the agent's archive is kept.

    Raises:
        BackendError: the cluster refuses one, or does not answer.
    """
    content, credentials, gpu_labels = await asyncio.gather(
        asyncio.to_thread(agent_archive, cache),
        make_credentials(spec.id, run_key=sealed.run_key),
        _gpu_labels(client, spec),
    )
    secret = secret_manifest(spec, root_uid=root_uid, credentials=credentials, sealed=sealed.files)
    namespace, is_dask = spec.placement.namespace, spec.kind is Kind.DASK
    service = None if is_dask else service_manifest(spec, root_uid=root_uid)
    await asyncio.gather(
        _ensure(client, CONFIG_MAPS, archive_manifest(content, agent_digest()), namespace),
        _ensure(client, SECRETS, secret, namespace),
        *([_ensure(client, SERVICES, service, namespace)] if service else []),
    )
    if is_dask:
        return await create_cluster(
            client, spec, root_uid=root_uid, archive_digest=agent_digest(), gpu_labels=gpu_labels
        )
    job = job_manifest(
        spec,
        root_uid=root_uid,
        archive_digest=agent_digest(),
        sealed_paths=tuple(sealed.files),
        gpu_labels=gpu_labels,
    )
    return await _ensure(client, JOBS, job, namespace)


async def _gpu_labels(client: ApiClient, spec: WorkloadSpec) -> tuple[str, ...]:
    """The label values of the GPU kind asked for, from the nodes we may see; none where that is nothing."""
    kind = spec.resources.gpus.kind
    if not kind:
        return ()
    try:
        nodes = await client.list(NODES, labels=spec.resources.gpu_label)
    except PermissionDenied:
        return ()
    return labels_of_kind(kind, [label(node, spec.resources.gpu_label) for node in nodes.items])


async def _ensure(client: ApiClient, resource: Resource, body: JsonObject, namespace: str) -> None:
    """Create what is not there yet. Names are fixed, so what is there was made by an earlier attempt."""
    with suppress(Conflict):
        await client.create(resource, body, namespace=namespace)


async def remove_children(
    client: ApiClient, handle: Handle, *, namespace: str, pods: Sequence[JsonObject], force: bool
) -> None:
    """Remove the Job or the DaskCluster, and with it its pods; the Service; and the Secret, unless it has a use still.

    It has one where something is stored that its key signed.

    Args:
        pods: Of the workload.
        force: Do not wait for a node to say that they are gone.

    Raises:
        BackendError: the cluster refuses, or does not answer.
    """
    name = object_name(handle.id)
    if handle.spec.kind is Kind.DASK:
        await remove_cluster(client, handle, namespace=namespace)
    else:
        await client.delete(JOBS, namespace=namespace, name=name)
    wanted: list[tuple[Resource, str, int | None]] = [(SERVICES, name, None)]
    if not store_of(handle.spec):
        wanted.append((SECRETS, name, None))
    if force:
        wanted += [(PODS, name_of(pod), 0) for pod in pods]
    await asyncio.gather(
        *(client.delete(kind, namespace=namespace, name=one, grace=grace) for kind, one, grace in wanted)
    )
