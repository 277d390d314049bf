"""The GPUs of a cluster, counted from a few lists as far as we may see them."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import Any

from gpu_workbench.backends.kubernetes.lists import Kept, Lists
from gpu_workbench.backends.kubernetes.resources import JOBS, NODES, PODS, QUEUED, QUOTAS, Resource
from gpu_workbench.core.capacity import Capacity
from gpu_workbench.core.errors import NotFound, PermissionDenied
from gpu_workbench.core.objects import label, uid_of
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.capacity import Seen, capacity_of, gpus_of
from gpu_workbench.engines.names import OWNER_LABEL

_NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed"
_JOB_UID = "kueue.x-k8s.io/job-uid"

_WITH_GPUS = Kept("asking for GPUs", lambda pod: bool(gpus_of(pod)))

_Objects = tuple[JsonObject, ...]


async def count(lists: Lists, *, namespace: str, owner: str) -> Capacity:
    """What there is, what is held and what waits.

    Args:
        namespace: The user's own.
        owner: The owner on the pods of this user's workloads.

    Raises:
        Unreachable, Throttled.
    """
    nodes, (pods, own_pods), quotas, queue = await asyncio.gather(
        _list(lists, NODES),
        _pods(lists, namespace),
        _list(lists, QUOTAS, namespace=namespace),
        _queue(lists, namespace, owner),
    )
    seen = Seen(namespace, nodes=nodes, pods=pods, own_pods=own_pods, quotas=quotas, queue=queue)
    return capacity_of(seen, owner=owner, now=datetime.now(timezone.utc).isoformat())


async def _pods(lists: Lists, namespace: str) -> tuple[_Objects | None, _Objects | None]:
    """Those of all namespaces, else those of ours: what is this user's own is known at least."""
    everywhere = await _list(lists, PODS, fields=_NOT_ENDED, kept=_WITH_GPUS)
    if everywhere is not None:
        return everywhere, None
    return None, await _list(lists, PODS, namespace=namespace, fields=_NOT_ENDED, kept=_WITH_GPUS)


async def _queue(lists: Lists, namespace: str, owner: str) -> _Objects:
    """This user's workloads in Kueue's queues; none where there is no Kueue or it may not be seen."""
    try:
        queued = await _list(lists, QUEUED, namespace=namespace)
    except NotFound:
        return ()
    if not queued:
        return ()
    jobs = await _list(lists, JOBS, namespace=namespace, labels=f"{OWNER_LABEL}={owner}")
    mine = {uid_of(job) for job in jobs or ()}
    return tuple(item for item in queued if label(item, _JOB_UID) in mine)


async def _list(lists: Lists, resource: Resource, **which: Any) -> _Objects | None:
    """``None`` where we may not."""
    try:
        return await lists.list(resource, **which)
    except PermissionDenied:
        return None
