"""All that the cluster says of one workload, from its first moment to its last, as `Facts`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from gpu_workbench.backends.kubernetes.sources import Source
from gpu_workbench.backends.kubernetes.surroundings import Surroundings
from gpu_workbench.core.errors import BackendError, WorkbenchError
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Kind, Phase
from gpu_workbench.core.objects import name_of, text
from gpu_workbench.core.spec import Handle
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.names import object_name
from gpu_workbench.engines.status import (
    agent_ready,
    ended_at,
    head_pod,
    phase_of,
    record_of,
    record_of_root,
    tail_of,
)
from gpu_workbench.transport.timing import TimedEvent

_ROOT_INTERVAL = 15.0
_EVENT_PODS = 8


class Watcher:
    """Watches one workload.

    Job and pods are watched all the time, by label. Events are watched until the agent can be spoken to, by the names of the
    objects they are about. What lies around (nodes, quotas, claims) is read now and then while the workload waits for it.

    Args:
        handle: Which.
        source: Where its objects are seen.
        surroundings: What lies around it.
        changed: Set by the source after each change.
    """

    def __init__(
        self, handle: Handle, *, source: Source, surroundings: Surroundings, changed: TimedEvent
    ) -> None:
        self._handle = handle
        self._source = source
        self._surroundings = surroundings
        self._changed = changed
        self._root: JsonObject | None = None
        self._root_error: BackendError | None = None
        self._root_read = 0.0
        self._held = False
        self.was_taken_away = False
        """What held its pods was there and is gone, its pods with it, and nobody wrote down an end: of a Dask cluster, whose
        operator ends it where it is idle."""

    async def facts(self) -> AsyncIterator[Facts]:
        """Facts now, then after each change, until the objects are gone, or nothing more is seen of them here."""
        last: Facts | None = None
        changed = True
        while not self._source.closed:
            self._changed.clear()
            self._source.check()
            if self._source.known:
                changed |= await self._read_root() or last is None
                if not changed and last is not None:  # of many that wait, few have news
                    changed = await self._look_around(last.phase, last.job, last.pods)
                if changed:
                    facts = await self._facts()
                    if facts != last:
                        yield facts
                        last = facts
                    if facts.gone:
                        return
            changed = await self._wait(facts_ready=last is not None)

    def look_again(self) -> None:
        """Read the root anew at once: something was written into it."""
        self._root_read = 0.0
        self._changed.set()

    async def _wait(self, *, facts_ready: bool) -> bool:
        """Until something changed, or it is time to look at what is not watched; whether something changed."""
        waits = not facts_ready or (self._job() is None) or self._surroundings.wanted
        return await self._changed.wait(_ROOT_INTERVAL if waits else None)

    async def _look_around(self, phase: Phase, job: JsonObject | None, pods: Sequence[JsonObject]) -> bool:
        """Look again at what lies around it, while the view is good; whether something there is new."""
        if self._error is not None:
            return False
        return await self._surroundings.refresh(phase=phase, job=job, pods=pods)

    @property
    def _error(self) -> WorkbenchError | None:
        return self._source.jobs.error or self._source.pods.error or self._root_error

    async def _facts(self) -> Facts:
        job, pods = self._job(), tuple(self._source.pods.objects.values())
        head = head_pod(pods)
        phase = phase_of(kind=self._handle.spec.kind, root=self._root, job=job, head=head)
        self._held |= job is not None
        if self._handle.spec.kind is Kind.DASK and self._held and job is None and not phase.ended:
            phase = Phase.STOPPING
            self.was_taken_away = self._error is None and (record_of(head) is not None or head is None)
        await self._look_around(phase, job, pods)
        error = self._error
        events = tuple(sorted(self._source.events(), key=event_time))
        ready = agent_ready(head, events)
        if ready and phase is Phase.STARTING:  # the pod's own status will say so in a second
            phase = Phase.RUNNING
        self._source.follow_events(self._about(pods) if not ready and not phase.ended else ())
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
            record=record_of(head) or (record_of_root(self._root) if self._root else None),
            log_tail=tail_of(head),
            deployments=tuple(self._source.deployments.objects.values()) if self._source.deployments else (),
            error=str(error) if error else "",
            gone=error is None and job is None and not pods and self._over(phase),
        )

    def _over(self, phase: Phase) -> bool:
        return self._root is None or phase.ended

    async def _read_root(self) -> bool:
        """Whether it was read, or could not be.

        The root is not watched: it matters when the Job is not there, before the first moment and after the last.
        """
        now = asyncio.get_running_loop().time()
        if self._root is not None and (self._job() is not None or ended_at(self._root)):
            return False
        if self._root is not None and now - self._root_read < 1.0:
            return False
        try:
            self._root = await self._source.root()
            self._root_error = None
            self._root_read = now
        except BackendError as error:
            self._root_error = error
        return True

    def _job(self) -> JsonObject | None:
        return next(iter(self._source.jobs.objects.values()), None)

    def _about(self, pods: tuple[JsonObject, ...]) -> list[str]:
        """Names of the objects whose events tell why it waits."""
        claims = {volume.claim for volume in self._handle.spec.volumes}
        return [object_name(self._handle.id), *sorted(map(name_of, pods))[:_EVENT_PODS], *sorted(claims)]


def event_time(event: JsonObject) -> str:
    """When an Event was last seen; new ones fill ``eventTime``, old ones ``lastTimestamp``."""
    stamps = (
        text(event, "series", "lastObservedTime"),
        text(event, "lastTimestamp"),
        text(event, "eventTime"),
    )
    return next((stamp for stamp in stamps if stamp), text(event, "metadata", "creationTimestamp"))
