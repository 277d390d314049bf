"""Where a watcher sees a workload's objects: by watches of its own, or in those that are shared by all who look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.gathering import Gathering
from gpu_workbench.backends.kubernetes.mirror import Mirror
from gpu_workbench.backends.kubernetes.resources import (
    DASK_CLUSTERS,
    DEPLOYMENTS,
    EVENTS,
    JOBS,
    PODS,
    Resource,
)
from gpu_workbench.backends.kubernetes.roots import Roots
from gpu_workbench.core.errors import WorkbenchError
from gpu_workbench.core.model import Kind
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.names import selector

_MOMENT = 0.02
"""Seconds for which a workload that is watched alone gathers changes."""


class Seen(Protocol):
    """Objects of one kind, as they are seen now."""

    @property
    def objects(self) -> Mapping[str, JsonObject]:
        """By uid."""
        ...

    @property
    def synced(self) -> bool:
        """Whether they were listed at least once."""
        ...

    @property
    def error(self) -> WorkbenchError | None:
        """Why nothing newer is seen; ``None`` while the view is good."""
        ...


class Source(Protocol):
    """One workload's objects."""

    @property
    def jobs(self) -> Seen:
        """Its Job or its DaskCluster, or none."""
        ...

    @property
    def pods(self) -> Seen:
        """Its pods."""
        ...

    @property
    def deployments(self) -> Seen | None:
        """What makes its pods, of a Dask cluster."""
        ...

    @property
    def closed(self) -> bool:
        """Whether nothing more will be seen here."""
        ...

    @property
    def known(self) -> bool:
        """Whether there is anything to say yet: all was listed once, or cannot be."""
        ...

    async def root(self) -> JsonObject | None:
        """Its root ConfigMap."""
        ...

    def events(self) -> list[JsonObject]:
        """Those seen so far about any object that was followed."""
        ...

    def follow_events(self, names: Sequence[str]) -> None:
        """Watch events about the objects of these names from now on, and of no other."""
        ...

    def check(self) -> None:
        """Raise what ended a watch: it never ends by itself, and must not look like silence."""
        ...

    async def close(self) -> None:
        """Watch no longer."""
        ...


class OwnSource:
    """Watches for one workload alone: Job and pods by its label, events by the names of what they are about.

    Args:
        client: Whom to ask.
        workload_id: Which.
        kind: And of which kind.
        namespace: Where it lives.
        roots: Where its root is read.
        changed: Called a moment after anything has changed.
    """

    closed = False

    def __init__(
        self,
        client: ApiClient,
        workload_id: str,
        *,
        kind: Kind,
        namespace: str,
        roots: Roots,
        changed: Callable[[], None],
    ) -> None:
        self._client = client
        self._id = workload_id
        self._namespace = namespace
        self._roots = roots
        self._changed = changed
        self._gathering = Gathering(_MOMENT)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._events: dict[str, Mirror] = {}
        labels, is_dask = selector(workload_id), kind is Kind.DASK
        self.jobs = self._watch("jobs", DASK_CLUSTERS if is_dask else JOBS, labels=labels)
        self.pods = self._watch("pods", PODS, labels=labels)
        self.deployments = self._watch("deployments", DEPLOYMENTS, labels=labels) if is_dask else None

    @property
    def known(self) -> bool:
        """See :attr:`Source.known`."""
        return all(seen.synced or seen.error for seen in (self.jobs, self.pods))

    async def root(self) -> JsonObject | None:
        """See :meth:`Source.root`."""
        return await self._roots.get(self._id)

    def events(self) -> list[JsonObject]:
        """See :meth:`Source.events`."""
        return [event for mirror in self._events.values() for event in mirror.objects.values()]

    def follow_events(self, names: Sequence[str]) -> None:
        """See :meth:`Source.follow_events`."""
        for name in names:
            if f"events {name}" not in self._tasks:
                fields = f"involvedObject.name={name}"
                self._events[name] = self._watch(f"events {name}", EVENTS, fields=fields)
        for key in [key for key in self._tasks if key.startswith("events ") and key[7:] not in names]:
            self._tasks.pop(key).cancel()

    def check(self) -> None:
        """See :meth:`Source.check`."""
        for task in self._tasks.values():
            if task.done():
                task.result()

    async def close(self) -> None:
        """See :meth:`Source.close`."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _watch(self, key: str, resource: Resource, *, labels: str = "", fields: str = "") -> Mirror:
        mirror = Mirror(
            self._client,
            resource,
            namespace=self._namespace,
            labels=labels,
            fields=fields,
            on_change=lambda _: self._gathering.tell(self._changed),
        )
        task = asyncio.create_task(mirror.run(), name=f"watch {key} of {self._id}")
        task.add_done_callback(lambda _: self._gathering.tell(self._changed))
        self._tasks[key] = task
        return mirror
