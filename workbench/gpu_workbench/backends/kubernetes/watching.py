"""Watching workloads on a cluster: one of them, or all of an owner's, which then share their watches."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence

from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.lists import Lists
from gpu_workbench.backends.kubernetes.overview import Overview
from gpu_workbench.backends.kubernetes.roots import Roots
from gpu_workbench.backends.kubernetes.sources import OwnSource, Source
from gpu_workbench.backends.kubernetes.surroundings import Surroundings
from gpu_workbench.backends.kubernetes.watch import Watcher
from gpu_workbench.core.errors import BackendError, WorkbenchError
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Phase
from gpu_workbench.core.spec import Handle
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.transport.timing import TimedEvent

SWEEP = 60.0
"""Seconds between two looks at what is to be tidied up, while all workloads are watched."""

log = logging.getLogger(__name__)


class Watching:
    """All that one client watches.

    Args:
        client: Whom to ask.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self.lists = Lists(client)
        """What lies around all workloads."""
        self._overviews: dict[tuple[str, str], Overview] = {}

    async def one(self, handle: Handle, *, namespace: str) -> AsyncGenerator[Facts, None]:
        """Facts of one workload: now, then after each change. Its end is written down before it is told."""
        roots = Roots(self._client, namespace)
        changed, settled = TimedEvent(), False
        source = self._source(handle, namespace, roots, changed.set)
        surroundings = Surroundings(self.lists, handle.spec, namespace=namespace)
        watcher = Watcher(handle, source=source, surroundings=surroundings, changed=changed)
        try:
            async for facts in watcher.facts():
                if facts.phase.ended and facts.job is not None and not settled:
                    settled = await _settle(roots, handle, facts, otherwise=facts.phase)
                elif watcher.was_taken_away and not settled:
                    settled = await _settle(roots, handle, facts, otherwise=Phase.STOPPED)
                    watcher.look_again()
                yield facts
        finally:
            await source.close()

    def _source(self, handle: Handle, namespace: str, roots: Roots, changed: Callable[[], None]) -> Source:
        """Where its objects are seen: among all others' where those are watched."""
        overview = self._overviews.get((namespace, handle.spec.owner))
        if overview is not None and not overview.closed:
            return overview.source(handle.id, changed, kind=handle.spec.kind)
        return OwnSource(
            self._client,
            handle.id,
            kind=handle.spec.kind,
            namespace=namespace,
            roots=roots,
            changed=changed,
        )

    async def all(
        self, *, owner: str, namespace: str, expired: Callable[[JsonObject], None]
    ) -> AsyncGenerator[tuple[Sequence[JsonObject] | None, WorkbenchError | None], None]:
        """Roots of all workloads of an owner, now, then after each change; ``None`` and why where they cannot be seen.

        Args:
            owner: Whose.
            namespace: Where.
            expired: Called with each root that is kept no longer.
        """
        changed = TimedEvent()
        async with Overview(self._client, namespace=namespace, owner=owner) as overview:
            overview.roots.listen("", changed.set)
            self._overviews[namespace, owner] = overview
            try:
                swept = 0.0
                while True:
                    changed.clear()
                    overview.check()
                    mirror = overview.roots.mirror
                    if mirror.synced or mirror.error:
                        seen = tuple(mirror.objects.values()) if mirror.synced else None
                        yield seen, mirror.error
                    if mirror.synced and mirror.error is None and time.monotonic() - swept > SWEEP:
                        swept = time.monotonic()
                        await self._sweep(overview, owner=owner, namespace=namespace, expired=expired)
                    await changed.wait(SWEEP)
            finally:
                if self._overviews.get((namespace, owner)) is overview:
                    del self._overviews[namespace, owner]

    async def _sweep(
        self,
        overview: Overview,
        *,
        owner: str,
        namespace: str,
        expired: Callable[[JsonObject], None],
    ) -> None:
        """What is watched is not read once more for it."""
        expired_roots = await Roots(self._client, namespace).sweep(
            tuple(overview.roots.mirror.objects.values()),
            owner=owner,
            jobs=overview.jobs.mirror.seen,
            clusters=overview.clusters.mirror.seen,
        )
        for root in expired_roots:
            expired(root)


async def _settle(roots: Roots, handle: Handle, facts: Facts, *, otherwise: Phase) -> bool:
    """Copy the end into the root while pods still tell of it; what fails here is made up for by the next sweep."""
    try:
        if root := await roots.get(handle.id):
            await roots.settle(root, job=facts.job, pods=facts.pods, otherwise=otherwise)
    except BackendError as error:
        log.warning("The end of %s was not recorded: %s", handle.id, error)
        return False
    return True
