"""One workload that is followed for whoever looks, and recorded until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gpu_workbench.app.recorder import Recording
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.core.spec import Handle

_SETTLE = 5.0
_FINISH = 2.0
_VANISH = 2.0
"""Seconds within which a workload that is listed no longer is seen to end."""


class Followed:
    """One workload, and what is known of it. Of one that has ended its journal is read when somebody wants it.

    Args:
        backend: Where it lives; the recorder's own place for one that is only recorded.
        handle: Which it is.
        place: The backend, as it is asked.
        changed: Called with each change.
        room: Of how many that have ended are read at once.
        version: To begin with.
        recording: What is seen of it until it ends goes there.
    """

    def __init__(
        self,
        backend: Backend,
        handle: Handle,
        *,
        place: Backend,
        changed: Callable[[], None],
        room: asyncio.Semaphore,
        version: int = 0,
        recording: Recording | None = None,
    ) -> None:
        self.handle = handle
        self.backend = backend
        self.version = version
        """Rises with each change."""
        self._recording = recording
        tap = recording.take if recording is not None else None
        self.subscription = Subscription(place, handle, stored=not handle.ended, observer=True, tap=tap)
        self._changed = changed
        self._room = room
        self._wanted = not handle.ended
        self._tasks = [asyncio.create_task(self._glance() if handle.ended else self._watch())]

    @property
    def recording(self) -> bool:
        """Whether its end is still to be seen and recorded."""
        return self._recording is not None and not self.subscription.complete

    async def _watch(self) -> None:
        while not self.subscription.over:
            await self.subscription.changed()
            self._news()
        await self.subscription.settle(_SETTLE)
        if self._recording is not None:
            await self._recording.finish(self.subscription.facts)
        self._news()

    async def _glance(self) -> None:
        async with self._room:
            await self.subscription.settle(_SETTLE)
            await self.subscription.close()
            self._news()

    def want(self) -> None:
        """Somebody looks at this one: read the journal of one that has ended, once."""
        if not self._wanted:
            self._wanted = True
            self._tasks.append(asyncio.create_task(self._read()))

    async def _read(self) -> None:
        async with self._room:
            whole = Subscription(self.subscription.backend, self.handle)
            await whole.settle(_SETTLE)
            await whole.close()
            self.subscription = whole
            self._news()

    async def whole(self) -> Subscription:
        """Its subscription, once its journal was read as far as it goes, or that takes too long."""
        self.want()
        if reading := self._tasks[1:]:
            await asyncio.wait(reading)
        await self.subscription.settle(_SETTLE)
        return self.subscription

    def _news(self) -> None:
        self.version += 1
        self._changed()

    async def known(self) -> None:
        """Wait, a moment at most, for a true picture."""
        if self.handle.ended:
            await asyncio.wait(self._tasks, timeout=_SETTLE)
        else:
            await self.subscription.settle(_SETTLE)

    async def finished(self) -> bool:
        """Wait, a moment at most, until its end and what was seen of it are recorded. Whether it is over."""
        await asyncio.wait(self._tasks[:1], timeout=_FINISH)
        return self.subscription.over

    async def vanish(self) -> None:
        """It is listed no longer: keep what was seen of it."""
        await asyncio.wait(self._tasks, timeout=_VANISH)
        if self._recording is not None:
            await self._recording.finish(self.subscription.facts if self.subscription.over else None)

    async def close(self) -> None:
        """Follow it no longer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.subscription.close()
        if self._recording is not None:
            seen = self.subscription.complete
            await (self._recording.finish(self.subscription.facts) if seen else self._recording.leave())
