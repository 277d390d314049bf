"""The GPUs of a cluster: everything that is counted is listed anew each time, as far as we may see it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone

from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.resources import JOBS, NODES, PODS, QUEUED, QUOTAS, Resource
from gpu_workbench.core.capacity import Capacity
from gpu_workbench.core.errors import NotFound, PermissionDenied
from gpu_workbench.core.objects import label, uid_of
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.capacity import Seen, capacity_of
from gpu_workbench.engines.names import OWNER_LABEL

_NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed"
_JOB_UID = "kueue.x-k8s.io/job-uid"

_Objects = tuple[JsonObject, ...]


async def count(client: ApiClient, *, namespace: str, owner: str) -> Capacity:
    """What there is, what is held and what waits.

    Args:
        namespace: The user's own.
        owner: The owner on the pods of this user's workloads.

    Raises:
        Unreachable, Throttled.
    """
    nodes, (pods, own_pods), quotas, queue = await asyncio.gather(
        _list(client, NODES),
        _pods(client, namespace),
        _list(client, QUOTAS, namespace=namespace),
        _queue(client, namespace, owner),
    )
    seen = Seen(namespace, nodes=nodes, pods=pods, own_pods=own_pods, quotas=quotas, queue=queue)
    return capacity_of(seen, owner=owner, now=datetime.now(timezone.utc).isoformat())


async def _pods(client: ApiClient, namespace: str) -> tuple[_Objects | None, _Objects | None]:
    """Those of all namespaces, else those of ours: what is this user's own is known at least."""
    everywhere = await _list(client, PODS, fields=_NOT_ENDED)
    if everywhere is not None:
        return everywhere, None
    return None, await _list(client, PODS, namespace=namespace, fields=_NOT_ENDED)


async def _queue(client: ApiClient, namespace: str, owner: str) -> _Objects:
    """This user's workloads in Kueue's queues; none where there is no Kueue or it may not be seen."""
    try:
        queued = await _list(client, QUEUED, namespace=namespace)
    except NotFound:
        return ()
    if not queued:
        return ()
    jobs = await _list(client, JOBS, namespace=namespace, labels=f"{OWNER_LABEL}={owner}")
    mine = {uid_of(job) for job in jobs or ()}
    return tuple(item for item in queued if label(item, _JOB_UID) in mine)


async def _list(
    client: ApiClient, resource: Resource, *, namespace: str = "", labels: str = "", fields: str = ""
) -> _Objects | None:
    """``None`` where we may not."""
    try:
        return (await client.list(resource, namespace=namespace, labels=labels, fields=fields)).items
    except PermissionDenied:
        return None
