"""What lies around a workload that waits: nodes, quotas, claims, the queue, and who holds the GPUs; as far as we may see."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
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
        self.nodes: tuple[JsonObject, ...] | None = None
        self.gpu_pods: tuple[JsonObject, ...] | None = None
        self.quotas: tuple[JsonObject, ...] = ()
        self.claims: tuple[JsonObject, ...] = ()
        self.queue: JsonObject | None = None

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
        before = self._seen
        if doubted:
            self.nodes = await self._list("nodes", NODES, namespace="", fields=f"metadata.name={doubted}")
            return self._seen != before
        if first:
            await asyncio.gather(*self._looks(job))
        else:  # most of it was read for another one a moment ago, which takes no task
            for look in self._looks(job):
                await look
        return self._seen != before

    @property
    def _seen(self) -> tuple[object, ...]:
        return self.nodes, self.gpu_pods, self.quotas, self.claims, self.queue

    def _looks(self, job: JsonObject | None) -> Iterator[Coroutine[Any, Any, None]]:
        async def nodes() -> None:
            self.nodes = await self._list("nodes", NODES, namespace="")

        async def quotas() -> None:
            self.quotas = await self._list("quotas", QUOTAS, namespace=self._namespace) or ()

        async def claims() -> None:
            self.claims = await self._claims() or ()

        async def gpu_pods() -> None:
            self.gpu_pods = await self._gpu_pods()

        async def queue() -> None:
            self.queue = await self._queue(job)

        for look in (nodes, quotas, claims, gpu_pods, queue):
            yield look()

    async def _claims(self) -> tuple[JsonObject, ...] | None:
        names = {volume.claim for volume in self._spec.volumes}
        if not names:
            return ()
        found = await self._list("claims", CLAIMS, namespace=self._namespace)
        return tuple(claim for claim in found or () if name_of(claim) in names)

    async def _gpu_pods(self) -> tuple[JsonObject, ...] | None:
        if not self._spec.resources.gpus.count:
            return None
        running = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
        resource = self._spec.resources.gpu_resource
        kept = Kept(f"holding {resource}", lambda pod: _holds(pod, resource))
        return await self._list("gpu pods", PODS, namespace="", fields=running, kept=kept)

    async def _queue(self, job: JsonObject | None) -> JsonObject | None:
        if job is None or not label(job, QUEUE_LABEL):
            return None
        found = await self._list(
            "queue", QUEUED, namespace=self._namespace, labels=f"kueue.x-k8s.io/job-uid={uid_of(job)}"
        )
        return next(iter(found or ()), None)

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
