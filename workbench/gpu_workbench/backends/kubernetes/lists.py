"""Lists of what all workloads have around them, read once for all who ask at about the same time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.resources import Resource
from gpu_workbench.core.wire import JsonObject

FRESH = 5.0
"""Seconds for which a list is given again as it was."""

_Key = tuple[str, str, str]


@dataclass(frozen=True)
class _Read:
    task: asyncio.Task[tuple[JsonObject, ...]]
    begun: float


class Lists:
    """Lists of objects, each read at most every :data:`FRESH` seconds. What fails is asked for again at once.

    Args:
        client: Whom to ask.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._reads: dict[_Key, _Read] = {}

    async def list(
        self, resource: Resource, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> tuple[JsonObject, ...]:
        """All objects that match.

        Raises:
            PermissionDenied, Unreachable, Throttled, NotFound (no such API).
        """
        key = (resource.path(namespace=namespace), labels, fields)
        now = asyncio.get_running_loop().time()
        self._forget(now)
        read = self._reads.get(key)
        if read is None:
            listing = self._list(resource, namespace=namespace, labels=labels, fields=fields)
            read = self._reads[key] = _Read(asyncio.create_task(listing), now)
        return await asyncio.shield(read.task)

    def _forget(self, now: float) -> None:
        for key, read in list(self._reads.items()):
            if read.task.done() and (now - read.begun > FRESH or _failed(read.task)):
                del self._reads[key]

    async def _list(
        self, resource: Resource, *, namespace: str, labels: str, fields: str
    ) -> tuple[JsonObject, ...]:
        return (await self._client.list(resource, namespace=namespace, labels=labels, fields=fields)).items


def _failed(task: asyncio.Task[tuple[JsonObject, ...]]) -> bool:
    return task.cancelled() or task.exception() is not None
