"""Lists of what all workloads have around them, read once for all who ask at about the same time."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.resources import Resource
from gpu_workbench.core.objects import at, members, text
from gpu_workbench.core.wire import JsonObject

FRESH = 5.0
"""Seconds for which a list is given again as it was."""

FRESH_EACH = 0.01
"""Seconds for each object that was read, where that is longer: on a large cluster reading is not all that is done."""

_Key = tuple[str, str, str, str]


@dataclass
class _Read:
    task: asyncio.Task[tuple[JsonObject, ...]] | None = None
    until: float = math.inf


class Lists:
    """Lists of objects, each read anew only after a while. What fails is asked for again at once.

    Args:
        client: Whom to ask.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._reads: dict[_Key, _Read] = {}

    async def list(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        holding: str = "",
    ) -> tuple[JsonObject, ...]:
        """All objects that match.

        Args:
            resource: Which kind of objects.
            namespace: Where; empty for everywhere.
            labels: Label selector.
            fields: Field selector.
            holding: Of pods those alone that have a node and hold devices of this Kubernetes resource.

        Raises:
            PermissionDenied, Unreachable, Throttled, NotFound (no such API).
        """
        key = (resource.path(namespace=namespace), labels, fields, holding)
        self._forget()
        read = self._reads.get(key)
        if read is None:
            read = self._reads[key] = _Read()
            listing = self._read(read, resource, holding, namespace=namespace, labels=labels, fields=fields)
            read.task = asyncio.create_task(listing)
        assert read.task is not None
        return await asyncio.shield(read.task)

    def _forget(self) -> None:
        now = asyncio.get_running_loop().time()
        self._reads = {key: read for key, read in self._reads.items() if read.until > now}

    async def _read(
        self, read: _Read, resource: Resource, holding: str, **scope: str
    ) -> tuple[JsonObject, ...]:
        try:
            items = (await self._client.list(resource, **scope)).items
        except BaseException:
            read.until = 0.0
            raise
        read.until = asyncio.get_running_loop().time() + max(FRESH, FRESH_EACH * len(items))
        return tuple(item for item in items if holds(item, holding)) if holding else items


def holds(pod: JsonObject, resource: str) -> bool:
    """Whether a pod has a node and holds devices of that kind."""
    containers = members(pod, "spec", "containers")
    return bool(text(pod, "spec", "nodeName")) and any(
        at(container, "resources", "limits", resource) for container in containers
    )
