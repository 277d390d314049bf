"""What lies around a workload that waits: nodes, quotas, claims, the queue, and who holds the GPUs; as far as we may see."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from gpu_workbench.backends.kubernetes.lists import Kept, Lists
from gpu_workbench.backends.kubernetes.resources import CLAIMS, NODES, PODS, QUEUED, QUOTAS, Resource
from gpu_workbench.core.errors import BackendError, PermissionDenied
from gpu_workbench.core.model import Phase
from gpu_workbench.core.objects import at, condition, label, members, name_of, text, uid_of
from gpu_workbench.core.spec import WorkloadSpec
from gpu_workbench.core.wire import JsonObject

INTERVAL = 15.0
"""Seconds between two looks: these lists are long on a large cluster, and change slowly."""

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"

_NODES, _QUOTAS, _CLAIMS, _GPU_PODS, _QUEUE = "nodes", "quotas", "claims", "gpu pods", "queue"

_Look = Coroutine[Any, Any, "tuple[JsonObject, ...] | None"]


class Surroundings:
    """Read on :meth:`refresh`, at most every :data:`INTERVAL`, and only while the workload waits for a node.

    Of a pod that is told to end or is no longer ready, its own node is read: it may have stopped answering.
    """

    def __init__(self, lists: Lists, spec: WorkloadSpec, *, namespace: str) -> None:
        self._lists = lists
        self._spec = spec
        self._namespace = namespace
        self._looked: float | None = None
        self._forbidden: set[str] = set()
        self.wanted = True
        self._seen: dict[str, tuple[JsonObject, ...] | None] = {}

    @property
    def nodes(self) -> tuple[JsonObject, ...] | None:
        """Nodes of the cluster; ``None`` without the right to see them."""
        return self._seen.get(_NODES)

    @property
    def gpu_pods(self) -> tuple[JsonObject, ...] | None:
        """Pods of the whole cluster that hold GPUs, where visible and of interest."""
        return self._seen.get(_GPU_PODS)

    @property
    def quotas(self) -> tuple[JsonObject, ...]:
        """ResourceQuotas of the namespace."""
        return self._seen.get(_QUOTAS) or ()

    @property
    def claims(self) -> tuple[JsonObject, ...]:
        """PersistentVolumeClaims that its pods name."""
        return self._seen.get(_CLAIMS) or ()

    @property
    def queue(self) -> JsonObject | None:
        """The Kueue Workload of the Job, where there is one."""
        return next(iter(self._seen.get(_QUEUE) or ()), None)

    async def refresh(self, *, phase: Phase, job: JsonObject | None, pods: Sequence[JsonObject]) -> bool:
        """Look again if it is time to; whether something is new. What may not be seen is not asked for again."""
        doubted = next((text(pod, "spec", "nodeName") for pod in pods if _in_doubt(pod)), "")
        self.wanted = phase in (Phase.QUEUED, Phase.PENDING) or bool(doubted)
        now = asyncio.get_running_loop().time()
        if (
            not self.wanted
            or not (job or pods)
            or (self._looked is not None and now - self._looked < INTERVAL)
        ):
            return False
        first, self._looked = self._looked is None, now
        looks = {_NODES: self._node(doubted)} if doubted else self._looks(job)
        # at first all at once; later most of it was read for another one a moment ago, which takes no task
        found = await asyncio.gather(*looks.values()) if first else [await look for look in looks.values()]
        seen = {**self._seen, **dict(zip(looks, found, strict=True))}
        before, self._seen = self._seen, seen
        return seen != before

    def _looks(self, job: JsonObject | None) -> dict[str, _Look]:
        """What is of interest to this one."""
        looks = {
            _NODES: self._list(_NODES, NODES, namespace=""),
            _QUOTAS: self._list(_QUOTAS, QUOTAS, namespace=self._namespace),
        }
        if self._spec.volumes:
            looks[_CLAIMS] = self._claims()
        if self._spec.resources.gpus.count:
            looks[_GPU_PODS] = self._gpu_pods()
        if job is not None and label(job, QUEUE_LABEL):
            uid = f"kueue.x-k8s.io/job-uid={uid_of(job)}"
            looks[_QUEUE] = self._list(_QUEUE, QUEUED, namespace=self._namespace, labels=uid)
        return looks

    def _node(self, name: str) -> _Look:
        return self._list(_NODES, NODES, namespace="", fields=f"metadata.name={name}")

    async def _claims(self) -> tuple[JsonObject, ...]:
        names = {volume.claim for volume in self._spec.volumes}
        found = await self._list(_CLAIMS, CLAIMS, namespace=self._namespace)
        return tuple(claim for claim in found or () if name_of(claim) in names)

    def _gpu_pods(self) -> _Look:
        running = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
        resource = self._spec.resources.gpu_resource
        kept = Kept(f"holding {resource}", lambda pod: _holds(pod, resource))
        return self._list(_GPU_PODS, PODS, namespace="", fields=running, kept=kept)

    async def _list(
        self, key: str, resource: Resource, *, namespace: str, **which: Any
    ) -> tuple[JsonObject, ...] | None:
        if key in self._forbidden:
            return None
        try:
            return await self._lists.list(resource, namespace=namespace, **which)
        except PermissionDenied:
            self._forbidden.add(key)
            return None
        except BackendError:
            return None


def _in_doubt(pod: JsonObject) -> bool:
    """Whether its node may be the reason that a pod does not answer, or does not end."""
    if not text(pod, "spec", "nodeName") or text(pod, "status", "phase") in ("Succeeded", "Failed"):
        return False
    was_ready = text(pod, "status", "phase") == "Running" and bool(condition(pod, "Ready", "False"))
    return was_ready or at(pod, "metadata", "deletionTimestamp") is not None


def _holds(pod: JsonObject, resource: str) -> bool:
    """Whether a pod has a node and holds devices of that kind."""
    containers = members(pod, "spec", "containers")
    return bool(text(pod, "spec", "nodeName")) and any(
        at(container, "resources", "limits", resource) for container in containers
    )
