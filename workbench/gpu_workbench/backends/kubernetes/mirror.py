"""A copy of one collection of objects, kept current by list and watch."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from gpu_workbench.backends.kubernetes.answers import Expired
from gpu_workbench.backends.kubernetes.changes import Change
from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.resources import Resource
from gpu_workbench.core.errors import PermissionDenied, WorkbenchError
from gpu_workbench.core.objects import uid_of
from gpu_workbench.core.wire import JsonObject

_SHORT = 1.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0
_FORBIDDEN_PAUSE = 60.0


class Mirror:
    """The objects that match, by uid.

    Args:
        client: Whom to ask.
        resource: Which kind of objects.
        namespace: Where.
        labels: Label selector.
        fields: Field selector.
        on_change: Called after anything here has changed: with the object that did, or with nothing where it may be any.
    """

    def __init__(
        self,
        client: ApiClient,
        resource: Resource,
        *,
        namespace: str,
        on_change: Callable[[JsonObject | None], None],
        labels: str = "",
        fields: str = "",
    ) -> None:
        self._client = client
        self._resource = resource
        self._scope = {"namespace": namespace, "labels": labels, "fields": fields}
        self._on_change = on_change
        self.objects: dict[str, JsonObject] = {}
        self.synced = False
        self.error: WorkbenchError | None = None
        """Why nothing newer is seen; ``None`` while the view is good."""

    @property
    def seen(self) -> tuple[JsonObject, ...] | None:
        """All of them; ``None`` where they are not seen, or not at the moment."""
        return tuple(self.objects.values()) if self.synced and self.error is None else None

    async def run(self) -> None:
        """Keep the copy current until cancelled."""
        failures = 0
        version = ""
        while True:
            begun = time.monotonic()
            try:
                if not version:
                    version = await self._list()
                async for change in self._client.watch(self._resource, version=version, **self._scope):
                    version = change.version or version
                    self._apply(change)
                    failures = 0
                self._succeeded()  # the server ends every watch after some minutes
                if time.monotonic() - begun < _SHORT:  # and something between us and it, perhaps at once
                    await asyncio.sleep(_FIRST_PAUSE)
            except Expired:
                version = ""
            except WorkbenchError as error:
                self.error = error
                self._on_change(None)
                failures += 1
                await asyncio.sleep(_pause(error, failures))

    async def _list(self) -> str:
        listing = await self._client.list(self._resource, **self._scope)
        self.objects = {uid_of(item): item for item in listing.items}
        self.synced = True
        self.error = None
        self._on_change(None)
        return listing.version

    def _apply(self, change: Change) -> None:
        self._succeeded()
        if change.type == "BOOKMARK":
            return
        found, uid = change.object, uid_of(change.object)
        if change.type == "DELETED":
            self.objects.pop(uid, None)
        else:
            found = self.objects[uid] = _sharing(found, self.objects.get(uid))
        self._on_change(found)

    def _succeeded(self) -> None:
        if self.error is not None:
            self.error = None
            self._on_change(None)


def _sharing(found: JsonObject, before: JsonObject | None) -> JsonObject:
    """An object that has its unchanged parts from before: most of a pod never changes, and need not be held anew."""
    if before is None:
        return found
    return {name: before[name] if before.get(name) == part else part for name, part in found.items()}


def _pause(error: WorkbenchError, failures: int) -> float:
    if isinstance(error, PermissionDenied):
        return _FORBIDDEN_PAUSE
    asked = getattr(error, "retry_after", None)
    pause = min(_FIRST_PAUSE * 2 ** (failures - 1), _LONGEST_PAUSE) if asked is None else asked
    return float(pause) * random.uniform(1.0, 1.25)  # noqa: S311 - so that clients do not come back in step
