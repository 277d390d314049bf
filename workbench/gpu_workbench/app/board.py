"""All workloads of a user on some backends, kept up to date for whoever looks: a panel, or a server with many browsers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.backends.protocol import Backend, Listed
from gpu_workbench.core.errors import RunNotFound, WorkbenchError
from gpu_workbench.core.spec import Handle

PAUSE = 2.0
"""Seconds after which a backend is asked again that could not say which workloads there are."""

ENDED = 200
"""Ended workloads that are told of, newest first, besides all that have not ended."""

LINGER = 30.0
"""Seconds for which it goes on looking after the last looker went: a page that is loaded again finds all there."""

_AT_ONCE = 4
_SETTLE = 5.0

log = logging.getLogger(__name__)

Listener = Callable[[str], None]
"""Called with the id of a workload that has changed, came or went; with nothing where it is about the targets."""


@dataclass(frozen=True)
class Target:
    """A backend that is looked at.

    Args:
        backend: The backend.
        owner: Gives whose workloads are meant, as the backend knows its users.
    """

    backend: Backend
    owner: Callable[[], Awaitable[str]]


class Followed:
    """One workload, and what is known of it. Of one that has ended its journal is read when somebody wants it."""

    def __init__(
        self, backend: Backend, handle: Handle, *, changed: Callable[[], None], room: asyncio.Semaphore
    ) -> None:
        self.handle = handle
        self.version = 0
        """Rises with each change."""
        self.subscription = Subscription(backend, handle, stored=not handle.ended)
        self._changed = changed
        self._room = room
        self._wanted = not handle.ended
        self._tasks = [asyncio.create_task(self._glance() if handle.ended else self._watch())]

    async def _watch(self) -> None:
        while not self.subscription.over:
            await self.subscription.changed()
            self._news()
        await self.subscription.settle(_SETTLE)
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

    async def close(self) -> None:
        """Follow it no longer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.subscription.close()


class Board:
    """The workloads of all targets. Used in one event loop; it looks while somebody does.

    Args:
        targets: Where to look.
        pause: Seconds after which a backend is asked again that could not say which workloads there are.
        linger: Seconds for which it goes on looking after the last looker went.
    """

    def __init__(self, targets: Sequence[Target], *, pause: float = PAUSE, linger: float = LINGER) -> None:
        self._targets = tuple(targets)
        self._pause = pause
        self._linger = linger
        self._leaving: asyncio.TimerHandle | None = None
        self._followed: dict[str, Followed] = {}
        self._listeners: list[Listener] = []
        self._listing: asyncio.Task[None] | None = None
        self._listed = asyncio.Event()
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._one_at_a_time = asyncio.Lock()
        self.errors: dict[str, str] = {}
        """Backend to why its workloads cannot be listed at the moment."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the backends that are looked at."""
        return tuple(target.backend.name for target in self._targets)

    @property
    def workloads(self) -> Mapping[str, Followed]:
        """Those known now."""
        return self._followed

    @contextlib.contextmanager
    def look(self, listener: Listener) -> Iterator[None]:
        """While it lasts, all is kept up to date, and changes are told."""
        self._listeners.append(listener)
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if self._listing is None:
            self._listed.clear()
            self._listing = asyncio.create_task(self._keep_listing())
        try:
            yield
        finally:
            self._listeners.remove(listener)
            if not self._listeners and self._listing is not None:
                self._leaving = asyncio.get_running_loop().call_later(self._linger, self._leave)

    def _leave(self) -> None:
        if self._listing is not None:
            self._listing.cancel()
            self._listing = None

    async def listed(self) -> None:
        """Wait, while somebody looks, until it is known which workloads there are."""
        await self._listed.wait()

    async def find(self, workload_id: str) -> Followed:
        """The workload of that id, while somebody looks.

        Raises:
            RunNotFound: there is none of this user's.
        """
        await self.listed()
        if workload_id not in self._followed:
            await asyncio.gather(*map(self._list, self._targets))
        try:
            return self._followed[workload_id]
        except KeyError:
            raise RunNotFound(f"There is no run {workload_id!r}") from None

    async def _keep_listing(self) -> None:
        unheard = {target.backend.name for target in self._targets}

        def heard(target: Target) -> None:
            unheard.discard(target.backend.name)
            if not unheard:
                self._listed.set()

        looks = [asyncio.create_task(self._look_at(target, heard)) for target in self._targets]
        try:
            await asyncio.gather(*looks)
        finally:
            for look in looks:
                look.cancel()
            await asyncio.gather(*looks, return_exceptions=True)
            leaving, self._followed = self._followed, {}
            await asyncio.gather(*(one.close() for one in leaving.values()))

    async def _look_at(self, target: Target, heard: Callable[[Target], None]) -> None:
        """Take in what a backend says, for as long as somebody looks."""
        while True:
            try:
                async with aclosing(target.backend.watch_all(owner=await target.owner())) as seen:
                    async for listed in seen:
                        await self._take(target, listed)
                        heard(target)
            except WorkbenchError as error:
                await self._take(target, Listed(None, str(error)))
            except Exception as error:  # a list that is never read again would look like silence
                log.exception("The workloads of %s could not be listed", target.backend.name)
                await self._take(target, Listed(None, f"{type(error).__name__}: {error}"))
            heard(target)
            await asyncio.sleep(self._pause)

    async def _list(self, target: Target) -> None:
        """Ask now: what was made a moment ago is there."""
        try:
            listed = Listed(tuple(await target.backend.list(owner=await target.owner())))
        except WorkbenchError as error:
            listed = Listed(None, str(error))
        await self._take(target, listed)

    async def _take(self, target: Target, listed: Listed) -> None:
        """Take a list in. Those known before stay where they cannot be seen."""
        async with self._one_at_a_time:
            self._say(target.backend.name, listed.error)
            if listed.handles is not None:
                await self._take_stock(target.backend, listed.handles)

    async def _take_stock(self, backend: Backend, handles: Sequence[Handle]) -> None:
        left_out = {handle.id for handle in [handle for handle in handles if handle.ended][ENDED:]}
        found = {handle.id: handle for handle in handles if handle.id not in left_out}
        known = [one.handle.id for one in self._followed.values() if one.handle.backend == backend.name]
        for workload_id in known:
            if workload_id not in found:
                await self._followed.pop(workload_id).close()
                self._tell(workload_id)
        for workload_id, handle in found.items():
            if workload_id not in self._followed:
                self._followed[workload_id] = self._follow(backend, handle)
                self._tell(workload_id)

    def _say(self, backend: str, error: str) -> None:
        """Remember what is wrong with a backend, and tell it where that is news."""
        if self.errors.get(backend, "") == error:
            return
        if error:
            self.errors[backend] = error
        else:
            del self.errors[backend]
        self._tell("")

    def _follow(self, backend: Backend, handle: Handle) -> Followed:
        return Followed(backend, handle, changed=lambda: self._tell(handle.id), room=self._room)

    def _tell(self, workload_id: str) -> None:
        for listener in list(self._listeners):
            listener(workload_id)

    async def close(self) -> None:
        """Follow nothing any more; the workloads go on."""
        if self._leaving is not None:
            self._leaving.cancel()
        if self._listing is not None:
            self._listing.cancel()
            await asyncio.gather(self._listing, return_exceptions=True)
            self._listing = None
