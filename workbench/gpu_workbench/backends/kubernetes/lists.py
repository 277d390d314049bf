"""Lists of what all workloads have around them, read once for all who ask at about the same time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.resources import Resource
from gpu_workbench.core.objects import member, members, uid_of
from gpu_workbench.core.wire import JsonObject

FRESH = 5.0
"""Seconds for which a list is given again as it was."""

FRESH_EACH = 0.01
"""Seconds for each object that was read, where that is longer: on a large cluster reading is not all that is done."""

COMPARED = 60.0
"""Seconds for which a list that is not fresh any more stays, to tell what is another in the next one."""

_Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Kept:
    """Which objects of a list are wanted.

    Args:
        name: Of the test: the same for the same.
        test: Whether an object is wanted.
    """

    name: str
    test: Callable[[JsonObject], bool]


@dataclass
class _Read:
    items: tuple[JsonObject, ...] = ()
    """What was read last."""
    task: asyncio.Task[tuple[JsonObject, ...]] | None = None
    until: float = math.inf


class Lists:
    """Lists of objects, each read anew only after a while. What fails is asked for again at once.

    An object that has not changed is given as the very object it was before: whoever compares is done at once.

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
        kept: Kept | None = None,
    ) -> tuple[JsonObject, ...]:
        """All objects that match.

        Args:
            resource: Which kind of objects.
            namespace: Where; empty for everywhere.
            labels: Label selector.
            fields: Field selector.
            kept: Which of them are wanted; the rest is not kept in memory.

        Raises:
            PermissionDenied, Unreachable, Throttled, NotFound (no such API).
        """
        key = (resource.path(namespace=namespace), labels, fields, kept.name if kept else "")
        now = asyncio.get_running_loop().time()
        read = self._reads.get(key)
        if read is None or read.until <= now:
            self._forget(now)
            read = self._reads[key] = _Read(read.items if read else ())
            listing = self._read(read, resource, kept, namespace=namespace, labels=labels, fields=fields)
            read.task = asyncio.create_task(listing)
        assert read.task is not None
        if read.task.done():
            return read.task.result()
        return await asyncio.shield(read.task)

    def _forget(self, now: float) -> None:
        self._reads = {key: read for key, read in self._reads.items() if read.until + COMPARED > now}

    async def _read(
        self, read: _Read, resource: Resource, kept: Kept | None, **scope: str
    ) -> tuple[JsonObject, ...]:
        try:
            items = (await self._client.list(resource, **scope)).items
        except BaseException:
            read.until = asyncio.get_running_loop().time()
            raise
        read.until = asyncio.get_running_loop().time() + max(FRESH, FRESH_EACH * len(items))
        wanted = items if kept is None else tuple(filter(kept.test, items))
        read.items = _same_where_same(wanted, read.items)
        return read.items


def _same_where_same(items: tuple[JsonObject, ...], before: tuple[JsonObject, ...]) -> tuple[JsonObject, ...]:
    """The items, each as the object it was before where nothing in it has changed but what always does."""
    known = {uid_of(item): item for item in before}
    found = tuple(
        old if (old := known.get(uid_of(item))) is not None and _steady(old) == _steady(item) else item
        for item in items
    )
    return before if found == before else found


def _steady(item: JsonObject) -> JsonObject:
    """An object without what changes every few seconds though nothing has happened: a node says that it is there."""
    metadata, status = member(item, "metadata"), member(item, "status")
    told: JsonObject = {
        "metadata": {name: value for name, value in metadata.items() if name != "resourceVersion"},
        "status": {
            **status,
            "conditions": [
                {name: value for name, value in condition.items() if name != "lastHeartbeatTime"}
                for condition in members(status, "conditions")
            ],
        },
    }
    return {**item, **told}
