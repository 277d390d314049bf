"""All workloads of a user on some backends, kept up to date for whoever looks: a panel, or a server with many browsers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from gpu_workbench.app.followed import Followed
from gpu_workbench.app.recorder import Recorder
from gpu_workbench.backends.protocol import Backend, Listed
from gpu_workbench.core.errors import Conflict, RunNotFound, WorkbenchError
from gpu_workbench.core.spec import Handle
from gpu_workbench.transport.timing import within

__all__ = ["Board", "Followed", "Target"]

PAUSE = 2.0
"""Seconds after which a backend is asked again that could not say which workloads there are."""

ENDED = 200
"""Ended workloads that are told of, newest first, besides all that have not ended."""

LINGER = 30.0
"""Seconds for which it goes on looking after the last looker went: a page that is loaded again finds all there."""

PATIENCE = 5.0
"""Seconds after which a backend that does not answer holds up no longer what the others tell."""

_AT_ONCE = 4
_AGAIN = 5.0

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


class Board:
    """The workloads of all targets. Used in one event loop; it looks while somebody does.

    Args:
        targets: Where to look.
        pause: Seconds after which a backend is asked again that could not say which workloads there are.
        linger: Seconds for which it goes on looking after the last looker went.
        recorder: Keeps what is seen, and tells of what the targets have forgotten. With one, it goes on looking until all
            that was seen has ended.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        pause: float = PAUSE,
        linger: float = LINGER,
        recorder: Recorder | None = None,
    ) -> None:
        self._targets = tuple(targets)
        self._recorder = recorder
        self._pause = pause
        self._linger = linger
        self._leaving: asyncio.TimerHandle | None = None
        self._followed: dict[str, Followed] = {}
        self._listeners: list[Listener] = []
        self._observers: list[Listener] = []
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

    def target(self, name: str) -> Target | None:
        """The backend of that name, if it is looked at."""
        return next((target for target in self._targets if target.backend.name == name), None)

    @property
    def workloads(self) -> Mapping[str, Followed]:
        """Those known now."""
        return self._followed

    def observe(self, listener: Listener) -> None:
        """Tell of changes for as long as the board is there. It looks at nothing for that."""
        self._observers.append(listener)

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
        """Look no longer, unless something is still to be recorded."""
        if any(one.recording for one in self._followed.values()):
            self._leaving = asyncio.get_running_loop().call_later(max(self._linger, _AGAIN), self._leave)
        elif self._listing is not None:
            self._listing.cancel()
            self._listing = None

    async def listed(self) -> None:
        """Wait, while somebody looks, until it is known which workloads there are, as far as that can be seen soon."""
        await self._listed.wait()

    async def refresh(self, backend: str) -> None:
        """Look now, while somebody does, which workloads there are on one backend."""
        for target in self._targets:
            if target.backend.name == backend:
                await self._list(target)

    async def find(self, workload_id: str) -> Followed:
        """The workload of that id, while somebody looks.

        Raises:
            RunNotFound: there is none of this user's.
        """
        await self.listed()
        if workload_id not in self._followed:
            await asyncio.gather(*map(self._list, self._targets))
        await self.recall(workload_id)
        try:
            return self._followed[workload_id]
        except KeyError:
            raise RunNotFound(f"There is no run {workload_id!r}") from None

    async def recall(self, workload_id: str) -> None:
        """Follow, while somebody looks, a recorded workload that is too old to be listed."""
        if self._recorder is None or workload_id in self._followed:
            return
        handle = await self._recorder.place.find(workload_id)
        if handle is not None and workload_id not in self._followed:
            self._followed[workload_id] = self._follow(self._recorder.place, handle)

    def is_recorded(self, followed: Followed) -> bool:
        """Whether a workload is no more, and what is told of it was recorded."""
        return self._recorder is not None and followed.backend is self._recorder.place

    async def forget(self, workload_id: str) -> None:
        """Remove the last trace of a workload that has ended, while somebody looks.

        Raises:
            RunNotFound: there is none of this user's.
            Conflict: it has not ended.
            BackendError: its backend refuses, or does not answer.
        """
        followed = await self.find(workload_id)
        await followed.known()
        if not followed.subscription.over:
            raise Conflict(f"{followed.handle.spec.name} has not ended", fix="Stop it first")
        await followed.backend.forget(followed.handle)
        await self.discard(workload_id)

    async def discard(self, workload_id: str) -> None:
        """Let go of a workload that is no more, or never came to be, and of what was recorded of it."""
        async with self._one_at_a_time:
            followed = self._followed.pop(workload_id, None)
            if followed is not None:
                await followed.close()
                self._tell(workload_id)
            if self._recorder is not None:
                recorded = await self._recorder.place.find(workload_id)
                if recorded is not None:
                    await self._recorder.place.forget(recorded)

    async def _keep_listing(self) -> None:
        unheard = {target.backend.name for target in self._targets}
        answered = asyncio.Event()

        def heard(target: Target) -> None:
            unheard.discard(target.backend.name)
            if not unheard:
                answered.set()

        async def all_known() -> None:
            with contextlib.suppress(asyncio.TimeoutError):
                await within(answered.wait(), PATIENCE)
            for name in unheard:
                self._say(name, f"{name} has not answered yet")
            await self._list_recorded()
            self._listed.set()

        looks = [asyncio.create_task(self._look_at(target, heard)) for target in self._targets]
        looks.append(asyncio.create_task(all_known()))
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
        known = [id_ for id_, one in self._followed.items() if one.backend is backend]
        for workload_id in known:
            if workload_id in left_out:
                await self._drop(workload_id)
            elif workload_id not in found:
                await self._lose(workload_id)
        for workload_id, handle in found.items():
            before = self._followed.get(workload_id)
            if before is None or before.backend is not backend:
                await self._replace(backend, handle)

    async def _lose(self, workload_id: str) -> None:
        """Its backend tells of it no longer: what is left is what was recorded."""
        recorded = None
        if self._recorder is not None:
            await self._followed[workload_id].vanish()
            recorded = await self._recorder.place.find(workload_id)
        if self._recorder is not None and recorded is not None:
            await self._replace(self._recorder.place, recorded)
        else:
            await self._drop(workload_id)

    async def _list_recorded(self) -> None:
        """Add what no target tells of any more, and was recorded."""
        if self._recorder is None or not await self._recorder.prepared():
            return
        for handle in await self._recorder.place.list(owner=""):
            if handle.id not in self._followed:
                await self._replace(self._recorder.place, handle)

    async def _replace(self, backend: Backend, handle: Handle) -> None:
        before = self._followed.get(handle.id)
        version = before.version + 1 if before is not None else 0
        self._followed[handle.id] = self._follow(backend, handle, version=version)
        if before is not None:
            await before.close()
        self._tell(handle.id)

    async def _drop(self, workload_id: str) -> None:
        await self._followed.pop(workload_id).close()
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

    def _follow(self, backend: Backend, handle: Handle, *, version: int = 0) -> Followed:
        recorder, recording = self._recorder, None
        place = backend
        if recorder is not None and backend is not recorder.place:
            place = recorder.around(backend)
            recording = recorder.begin(handle) if not handle.ended else None
        return Followed(
            backend,
            handle,
            place=place,
            changed=lambda: self._tell(handle.id),
            room=self._room,
            version=version,
            recording=recording,
        )

    def _tell(self, workload_id: str) -> None:
        for listener in [*self._listeners, *self._observers]:
            listener(workload_id)

    async def close(self) -> None:
        """Follow nothing any more; the workloads go on."""
        if self._leaving is not None:
            self._leaving.cancel()
        if self._listing is not None:
            self._listing.cancel()
            await asyncio.gather(self._listing, return_exceptions=True)
            self._listing = None
        if self._recorder is not None:
            await self._recorder.close()
