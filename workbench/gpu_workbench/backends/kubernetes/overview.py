"""All workloads of one owner in a namespace, by one list and watch of each kind of object, however many look at them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.gathering import Gathering
from gpu_workbench.backends.kubernetes.mirror import Mirror
from gpu_workbench.backends.kubernetes.resources import (
    CONFIG_MAPS,
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
from gpu_workbench.core.objects import label, text, uid_of
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.names import ID_LABEL, OWNER_LABEL, ROLE_LABEL, ROOT_ROLE
from gpu_workbench.engines.status import ended_at

_MOMENT = 0.1
"""Seconds for which changes are gathered: who watches many workloads looks at them now and then."""

_NOTHING: Mapping[str, JsonObject] = {}

Listener = Callable[[], None]


class Groups:
    """A mirror whose objects are found by what they belong to.

    Args:
        client: Whom to ask.
        resource: Which kind of objects.
        namespace: Where.
        key: What an object belongs to.
        gathering: Tells of changes.
        labels: Label selector.
    """

    def __init__(
        self,
        client: ApiClient,
        resource: Resource,
        *,
        namespace: str,
        key: Callable[[JsonObject], str],
        gathering: Gathering,
        labels: str = "",
    ) -> None:
        self._key = key
        self._gathering = gathering
        self._groups: dict[str, dict[str, JsonObject]] = {}
        self._listeners: dict[str, set[Listener]] = {}
        self._everything: set[Listener] = set()
        self.mirror = Mirror(client, resource, namespace=namespace, labels=labels, on_change=self.changed)

    def of(self, key: str) -> Mapping[str, JsonObject]:
        """The objects that belong to ``key``, by uid."""
        return self._groups.get(key, _NOTHING)

    def listen(self, key: str, listener: Listener) -> None:
        """Call ``listener`` a moment after a change of what belongs to ``key``; with an empty key after any."""
        (self._listeners.setdefault(key, set()) if key else self._everything).add(listener)

    def leave(self, key: str, listener: Listener) -> None:
        """Call it no longer."""
        listeners = self._listeners.get(key, set())
        listeners.discard(listener)
        if not listeners:
            self._listeners.pop(key, None)

    def changed(self, changed: JsonObject | None) -> None:
        """Put an object where it belongs, or all of them, and tell it."""
        if changed is None:
            self._arrange()
            told = [listener for listeners in self._listeners.values() for listener in listeners]
        else:
            told = list(self._listeners.get(self._move(changed), ()))
        self._gathering.tell(*told, *self._everything)

    def _arrange(self) -> None:
        self._groups = {}
        for uid, found in self.mirror.objects.items():
            self._groups.setdefault(self._key(found), {})[uid] = found

    def _move(self, changed: JsonObject) -> str:
        key, uid = self._key(changed), uid_of(changed)
        group = self._groups.setdefault(key, {})
        if uid in self.mirror.objects:
            group[uid] = changed
        else:
            group.pop(uid, None)
            if not group:
                del self._groups[key]
        return key


class Overview:
    """What all watchers of an owner's workloads share; an async context manager.

    Args:
        client: Whom to ask.
        namespace: Where the workloads live.
        owner: Whose they are.
    """

    def __init__(self, client: ApiClient, *, namespace: str, owner: str) -> None:
        owned = f"{OWNER_LABEL}={owner}"
        gathering = Gathering(_MOMENT)
        by_id = {
            "namespace": namespace,
            "key": lambda found: label(found, ID_LABEL),
            "gathering": gathering,
        }
        self.roots = Groups(client, CONFIG_MAPS, labels=f"{ROLE_LABEL}={ROOT_ROLE},{owned}", **by_id)  # type: ignore[arg-type]
        self.jobs = Groups(client, JOBS, labels=owned, **by_id)  # type: ignore[arg-type]
        self.pods = Groups(client, PODS, labels=owned, **by_id)  # type: ignore[arg-type]
        self.events = Groups(client, EVENTS, namespace=namespace, key=_about, gathering=gathering)
        self.clusters = Groups(client, DASK_CLUSTERS, labels=owned, **by_id)  # type: ignore[arg-type]
        self.deployments = Groups(client, DEPLOYMENTS, labels=owned, **by_id)  # type: ignore[arg-type]
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.reader = Roots(client, namespace)
        """Reads one root."""
        self.closed = False

    async def __aenter__(self) -> Overview:
        for name, groups in (("roots", self.roots), ("jobs", self.jobs), ("pods", self.pods)):
            self._run(name, groups)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed = True
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for groups in (self.roots, self.jobs, self.pods, self.events, self.clusters, self.deployments):
            groups.changed(None)  # whoever looks sees that it is closed

    def source(self, workload_id: str, changed: Listener, *, kind: Kind) -> SharedSource:
        """One workload's objects."""
        if kind is Kind.DASK:  # most have none, and many clusters do not even know the word
            self._watch_too("clusters", self.clusters)
            self._watch_too("deployments", self.deployments)
        return SharedSource(self, workload_id, changed, kind=kind)

    def watch_events(self) -> None:
        """Watch the namespace's events too, from the first workload on that waits."""
        self._watch_too("events", self.events)

    def _watch_too(self, name: str, groups: Groups) -> None:
        if name not in self._tasks and not self.closed:
            self._run(name, groups)

    def check(self) -> None:
        """See :meth:`~gpu_workbench.backends.kubernetes.sources.Source.check`."""
        for task in self._tasks.values():
            if task.done() and not self.closed:
                task.result()

    def _run(self, name: str, groups: Groups) -> None:
        task = asyncio.create_task(groups.mirror.run(), name=f"watch {name} of all workloads")
        task.add_done_callback(lambda _: groups.changed(None))
        self._tasks[name] = task


class SharedSeen:
    """One workload's objects of one kind, among all others'."""

    def __init__(self, groups: Groups, workload_id: str) -> None:
        self._groups = groups
        self._id = workload_id

    @property
    def objects(self) -> Mapping[str, JsonObject]:
        """See :class:`~gpu_workbench.backends.kubernetes.sources.Seen`."""
        return self._groups.of(self._id)

    @property
    def synced(self) -> bool:
        """See :class:`~gpu_workbench.backends.kubernetes.sources.Seen`."""
        return self._groups.mirror.synced

    @property
    def error(self) -> WorkbenchError | None:
        """See :class:`~gpu_workbench.backends.kubernetes.sources.Seen`."""
        return self._groups.mirror.error


class SharedSource:
    """One workload's objects in an :class:`Overview`; a :class:`~gpu_workbench.backends.kubernetes.sources.Source`."""

    def __init__(self, overview: Overview, workload_id: str, changed: Listener, *, kind: Kind) -> None:
        self._overview = overview
        self._id = workload_id
        self._changed = changed
        self._watched: frozenset[str] = frozenset()
        self._named: dict[str, None] = {}
        is_dask = kind is Kind.DASK
        holders = overview.clusters if is_dask else overview.jobs
        self.jobs = SharedSeen(holders, workload_id)
        self.pods = SharedSeen(overview.pods, workload_id)
        self.deployments = SharedSeen(overview.deployments, workload_id) if is_dask else None
        self._needed = (overview.roots, holders, overview.pods)
        self._listened = (*self._needed, *([overview.deployments] if is_dask else []))
        for groups in self._listened:
            groups.listen(workload_id, changed)

    @property
    def closed(self) -> bool:
        """See :class:`~gpu_workbench.backends.kubernetes.sources.Source`."""
        return self._overview.closed

    @property
    def known(self) -> bool:
        """See :class:`~gpu_workbench.backends.kubernetes.sources.Source`."""
        return all(groups.mirror.synced or groups.mirror.error for groups in self._needed)

    async def root(self) -> JsonObject | None:
        """Its root, read anew where it decides: the watch of roots may lag behind that of Jobs."""
        root = next(iter(self._overview.roots.of(self._id).values()), None)
        if root is not None and (self.jobs.objects or ended_at(root)):
            return root
        return await self._overview.reader.get(self._id)

    def events(self) -> list[JsonObject]:
        """See :class:`~gpu_workbench.backends.kubernetes.sources.Source`."""
        return [event for name in self._named for event in self._overview.events.of(name).values()]

    def follow_events(self, names: Sequence[str]) -> None:
        """See :class:`~gpu_workbench.backends.kubernetes.sources.Source`."""
        events, wanted = self._overview.events, frozenset(names)
        if wanted:
            self._overview.watch_events()
        for name in self._watched - wanted:
            events.leave(name, self._changed)
        for name in wanted - self._watched:
            events.listen(name, self._changed)
        self._watched = wanted
        self._named.update(dict.fromkeys(names))

    def check(self) -> None:
        """See :class:`~gpu_workbench.backends.kubernetes.sources.Source`."""
        self._overview.check()

    async def close(self) -> None:
        """Listen no longer; the watches go on for the others."""
        self.follow_events(())
        for groups in self._listened:
            groups.leave(self._id, self._changed)


def _about(event: JsonObject) -> str:
    return text(event, "involvedObject", "name")
