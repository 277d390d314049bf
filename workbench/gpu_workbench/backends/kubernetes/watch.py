"""All that the cluster says of one workload, from its first moment to its last, as `Facts`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType

from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.mirror import Mirror
from gpu_workbench.backends.kubernetes.resources import EVENTS, JOBS, PODS, Resource
from gpu_workbench.backends.kubernetes.roots import Roots
from gpu_workbench.backends.kubernetes.surroundings import Surroundings
from gpu_workbench.core.errors import BackendError
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Phase
from gpu_workbench.core.objects import name_of, text
from gpu_workbench.core.spec import Handle
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.names import object_name, selector
from gpu_workbench.engines.status import agent_ready, ended_at, phase_of, record_of, record_of_root, tail_of
from gpu_workbench.transport.timing import within

_SETTLE = 0.02
"""Seconds in which changes that belong together arrive: a pod and its Job, a pod and its events."""

_ROOT_INTERVAL = 15.0
_EVENT_PODS = 8


class Watcher:
    """Watches one workload; an async context manager.

    Job and pods are watched all the time, by label. Events are watched until the agent can be spoken to, by the names of the
    objects they are about. What lies around (nodes, quotas, claims) is read now and then while the workload waits for it.
    """

    def __init__(self, client: ApiClient, handle: Handle, *, namespace: str, roots: Roots) -> None:
        self._client = client
        self._handle = handle
        self._namespace = namespace
        self._roots = roots
        self._changed = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._jobs = self._mirror(JOBS, labels=selector(handle.id))
        self._pods = self._mirror(PODS, labels=selector(handle.id))
        self._events: dict[str, Mirror] = {}
        self._surroundings = Surroundings(client, handle.spec, namespace=namespace)
        self._root: JsonObject | None = None
        self._root_error: BackendError | None = None
        self._root_read = 0.0

    async def __aenter__(self) -> Watcher:
        self._start("jobs", self._jobs)
        self._start("pods", self._pods)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def facts(self) -> AsyncIterator[Facts]:
        """Facts now, then after each change, until the objects are gone."""
        last: Facts | None = None
        while True:
            self._changed.clear()
            self._check_tasks()
            if self._known():
                await self._read_root()
                facts = await self._facts()
                if facts != last:
                    yield facts
                    last = facts
                if facts.gone:
                    return
            await self._wait(facts_ready=last is not None)

    async def _wait(self, *, facts_ready: bool) -> None:
        """Until something changed, or it is time to look at what is not watched."""
        waits = not facts_ready or (self._job() is None) or self._surroundings.wanted
        try:
            await within(self._changed.wait(), _ROOT_INTERVAL if waits else None)
            await asyncio.sleep(_SETTLE)
        except asyncio.TimeoutError:
            pass

    def _known(self) -> bool:
        """Whether there is anything to say yet: both lists were read, or cannot be."""
        return all(mirror.synced or mirror.error for mirror in (self._jobs, self._pods))

    async def _facts(self) -> Facts:
        job, pods = self._job(), tuple(self._pods.objects.values())
        phase = phase_of(kind=self._handle.spec.kind, root=self._root, job=job, pods=pods)
        error = self._jobs.error or self._pods.error or self._root_error
        if error is None:
            await self._surroundings.refresh(phase=phase, job=job, pods=pods)
        events = self._sorted_events()
        ready = agent_ready(pods, events)
        if ready and phase is Phase.STARTING:  # the pod's own status will say so in a second
            phase = Phase.RUNNING
        self._follow_events(pods, wanted=not ready and not phase.ended)
        return Facts(
            phase=phase,
            agent_ready=ready,
            job=job,
            pods=pods,
            events=events,
            claims=self._surroundings.claims,
            nodes=self._surroundings.nodes,
            quotas=self._surroundings.quotas,
            queue=self._surroundings.queue,
            gpu_pods=self._surroundings.gpu_pods,
            record=record_of(pods) or (record_of_root(self._root) if self._root else None),
            log_tail=tail_of(pods),
            error=str(error) if error else "",
            gone=error is None and job is None and not pods and self._over(phase),
        )

    def _over(self, phase: Phase) -> bool:
        return self._root is None or phase.ended

    async def _read_root(self) -> None:
        """The root is not watched: it matters when the Job is not there, before the first moment and after the last."""
        now = asyncio.get_running_loop().time()
        if self._root is not None and (self._job() is not None or ended_at(self._root)):
            return
        if self._root is not None and now - self._root_read < 1.0:
            return
        try:
            self._root = await self._roots.get(self._handle.id)
            self._root_error = None
            self._root_read = now
        except BackendError as error:
            self._root_error = error

    def _job(self) -> JsonObject | None:
        return next(iter(self._jobs.objects.values()), None)

    def _follow_events(self, pods: tuple[JsonObject, ...], *, wanted: bool) -> None:
        claims = {volume.claim for volume in self._handle.spec.volumes}
        about = [object_name(self._handle.id), *sorted(map(name_of, pods))[:_EVENT_PODS], *sorted(claims)]
        names = about if wanted else []
        for name in names:
            if name not in self._events:
                self._events[name] = self._mirror(EVENTS, fields=f"involvedObject.name={name}")
            if f"events {name}" not in self._tasks:
                self._start(f"events {name}", self._events[name])
        for key in [key for key in self._tasks if key.startswith("events ") and key[7:] not in names]:
            self._tasks.pop(key).cancel()

    def _sorted_events(self) -> tuple[JsonObject, ...]:
        found = [event for mirror in self._events.values() for event in mirror.objects.values()]
        return tuple(sorted(found, key=event_time))

    def _mirror(self, resource: Resource, *, labels: str = "", fields: str = "") -> Mirror:
        return Mirror(
            self._client,
            resource,
            namespace=self._namespace,
            labels=labels,
            fields=fields,
            on_change=self._changed.set,
        )

    def _start(self, key: str, mirror: Mirror) -> None:
        task = asyncio.create_task(mirror.run(), name=f"watch {key} of {self._handle.id}")
        task.add_done_callback(lambda _: self._changed.set())
        self._tasks[key] = task

    def _check_tasks(self) -> None:
        """A mirror never ends by itself: if one has, that is a fault of ours, and must not look like silence."""
        for task in self._tasks.values():
            if task.done():
                task.result()


def event_time(event: JsonObject) -> str:
    """When an Event was last seen; new ones fill ``eventTime``, old ones ``lastTimestamp``."""
    stamps = (
        text(event, "series", "lastObservedTime"),
        text(event, "lastTimestamp"),
        text(event, "eventTime"),
    )
    return next((stamp for stamp in stamps if stamp), text(event, "metadata", "creationTimestamp"))
