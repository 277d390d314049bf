"""One stream per workload, from its first moment to its last: what the cluster says of it, merged with its journal.

Before there is an agent, facts; then the journal too, read on from its cursor however often the connection is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator

from gpu_workbench.backends.channel import Channel
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.core.errors import WorkbenchError
from gpu_workbench.core.events import Cursor, Entry, StopBegan, decode_entry
from gpu_workbench.core.explain import explain
from gpu_workbench.core.explain.ranks import ranks_awaited
from gpu_workbench.core.facts import Explanation, Facts
from gpu_workbench.core.model import Cause, Kind, Phase, RunState, Workload
from gpu_workbench.core.objects import at, condition
from gpu_workbench.core.reduce import reduce
from gpu_workbench.core.spec import Handle
from gpu_workbench.transport.timing import within

FEED_LIMIT = 64
"""Batches a slow consumer may leave lying before the journal waits for it."""

_BACKOFF = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)

END = None

log = logging.getLogger(__name__)


class Feed:
    """One consumer's batches of new entries, in order; whoever gives waits for a slow consumer."""

    def __init__(self) -> None:
        self._batches: deque[list[Entry] | None] = deque()
        self._wanted: asyncio.Future[None] | None = None
        self._room = asyncio.Event()

    @property
    def empty(self) -> bool:
        """Whether nothing lies there."""
        return not self._batches

    async def give(self, batch: list[Entry] | None) -> None:
        """Add a batch, or :data:`END`, once there is room for it."""
        while len(self._batches) >= FEED_LIMIT:
            self._room.clear()
            await self._room.wait()
        self._batches.append(batch)
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)

    async def take(self, seconds: float) -> list[Entry] | None:
        """The next batch, or :data:`END`. One taker at a time.

        Raises:
            asyncio.TimeoutError: none came within so many seconds.
        """
        if not self._batches:
            loop = asyncio.get_running_loop()
            wanted = self._wanted = (
                loop.create_future()
            )  # a task to be cancelled would cost more than the wait itself
            timer = loop.call_later(seconds, _let_go, wanted)
            try:
                await wanted
            finally:
                timer.cancel()
                self._wanted = None
            if not self._batches:
                raise asyncio.TimeoutError
        batch = self._batches.popleft()
        self._room.set()
        return batch

    def close(self) -> None:
        """Let go of whoever waits to give."""
        self._batches.clear()
        self._room.set()


def _let_go(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Subscription:
    """Follows one workload. Made and used in the portal's event loop.

    Args:
        backend: Where it lives.
        handle: Which it is.
        stored: Where it has ended, read what was kept of its journal. Without, its objects alone are told of.
        observer: Look without being a client that a session waits for.
        tap: Is given each line of the journal once, as it was written, and waited for.
    """

    def __init__(
        self,
        backend: Backend,
        handle: Handle,
        *,
        stored: bool = True,
        observer: bool = False,
        tap: Callable[[bytes], Awaitable[None]] | None = None,
    ) -> None:
        self._stored = stored
        self._observer = observer
        self._tap = tap
        self.backend = backend
        self.handle = handle
        self.workload = _before_anything(handle)
        self.facts: Facts | None = None
        self.connected = False
        self.lost_connection = ""
        """Why the journal cannot be read at the moment; empty while it can, or there is none."""
        self.stop_reason = ""
        """Why the workload said it would end; empty where it did not say."""
        self.ended_at: float | None = None
        """When it was seen to end, in seconds since 1970; ``None`` where it has not, or had ended before anybody looked."""
        self._cursor = Cursor.START
        self._target: Cursor | None = None
        self._finished = False
        self._closed = False
        self._channel: Channel | None = None
        self._feeds: list[Feed] = []
        self._changed = asyncio.Event()
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._follow())]

    # what is known

    @property
    def phase(self) -> Phase:
        """Where it stands, by the journal where there is one, else by its objects."""
        if self.facts is not None and self.over:
            return self.facts.phase if self.facts.phase.ended else Phase.LOST
        if self._cursor.n:
            return Phase.STARTING if self.comes_again else self.workload.phase
        return self.facts.phase if self.facts is not None else Phase.PENDING

    @property
    def comes_again(self) -> bool:
        """Whether a detached run was only told to end with its pod, and another pod takes that one's place."""
        job = self.facts.job if self.facts is not None else None
        run = self.workload.runs.get(self.last_run or "")
        stopped = self.workload.phase in (Phase.STOPPING, Phase.STOPPED)
        told = stopped and run is not None and run.failure is not None and run.failure.cause is Cause.STOPPED
        if job is None or not told or self.handle.spec.kind is not Kind.JOB:
            return False
        over = condition(job, "Complete") or condition(job, "Failed")
        return not over and at(job, "metadata", "deletionTimestamp") is None

    @property
    def over(self) -> bool:
        """Whether nothing more will come: its objects are gone, or it has ended and no agent is left to ask."""
        facts = self.facts
        return facts is not None and (facts.gone or (facts.phase.ended and not facts.agent_ready))

    @property
    def complete(self) -> bool:
        """Whether it is over, and all that is left of its journal was read."""
        return self._finished

    @property
    def ready(self) -> bool:
        """Whether its payload takes runs."""
        return self.connected and self.workload.phase is Phase.RUNNING

    @property
    def explanation(self) -> Explanation | None:
        """Why it waits, or how it ended; ``None`` where there is nothing to explain, or nothing is known yet."""
        if self.facts is None:
            return None
        return ranks_awaited(self.workload, explain(self.facts, spec=self.handle.spec))

    async def changed(self, timeout: float | None = None) -> bool:
        """Wait for anything new; ``False`` when ``timeout`` seconds passed without."""
        self._changed.clear()
        try:
            await within(self._changed.wait(), timeout)
        except asyncio.TimeoutError:
            return False
        return True

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds, asked again whenever something is new."""
        while not condition():
            self._changed.clear()
            if condition():
                return
            await self._changed.wait()

    async def ended(self) -> None:
        """Wait until nothing more will come."""
        await self.until(lambda: self.over)

    async def started(self, seconds: float) -> None:
        """Wait, ``seconds`` at most, while its containers are being started: of a short run that is told after its end."""
        with contextlib.suppress(asyncio.TimeoutError):
            known = self.until(lambda: self.facts is not None and self.facts.phase is not Phase.STARTING)
            await within(known, seconds)

    async def settle(self, seconds: float) -> None:
        """Wait, ``seconds`` at most, for a first true picture: facts, and the journal's end where there is an agent."""
        with contextlib.suppress(asyncio.TimeoutError):
            await within(self.until(lambda: self.settled), seconds)

    @property
    def settled(self) -> bool:
        """Whether there was a first true picture."""
        if self.facts is None:
            return False
        if self.over:
            return self._finished
        return not self.facts.agent_ready or self.caught_up

    @property
    def heard(self) -> bool:
        """Whether anything of its journal was read."""
        return self._cursor.n > 0

    @property
    def caught_up(self) -> bool:
        """Whether the journal was read to where it ended when the connection was made."""
        return self.at_end(self._cursor)

    def at_end(self, cursor: Cursor) -> bool:
        """Whether that place is where the journal ended when the connection was made, or later."""
        target = self._target
        return target is not None and cursor.epoch == target.epoch and cursor.n >= target.n

    @property
    def last_run(self) -> str | None:
        """Of a job its one run, which goes by the job's own id; of a session ``None``."""
        return self.handle.id if self.handle.spec.kind is Kind.JOB else None

    def _notify(self) -> None:
        self._changed.set()

    # consumers

    @contextlib.contextmanager
    def feed(self) -> Iterator[Feed]:
        """New journal entries from now on, in batches. Read it, or the journal waits."""
        feed = Feed()
        self._feeds.append(feed)
        try:
            yield feed
        finally:
            self._feeds.remove(feed)
            feed.close()

    async def channel(self) -> Channel:
        """A channel to the agent.

        Raises:
            Unreachable: there is none to talk to.
        """
        if self._channel is None:
            self._channel = await self.backend.open(self.handle)
        return self._channel

    # its two sources

    async def _watch(self) -> None:
        over = await self._watched()
        while not over and not self._closed:
            await asyncio.sleep(1.0)
            over = await self._watched()

    async def _watched(self) -> bool:
        """Follow the objects until the view is lost, or they are gone: then the end was read too."""
        try:
            async for facts in self.backend.watch(self.handle):
                first, self.facts = self.facts is None, facts
                self._notify()
                if self.over:
                    self.ended_at = None if first else time.time()
                    await self._finish()
                    return True
        except WorkbenchError as error:
            self.lost_connection = str(error)
        except Exception as error:  # whatever it was, nobody who waits for news may wait for ever
            log.exception("Following %s failed", self.handle.id)
            self.lost_connection = f"{type(error).__name__}: {error}"
        self._notify()
        return False

    async def _finish(self) -> None:
        """The objects are gone: read what is left of the journal, then say that this is the end."""
        follower = self._tasks[1]
        with contextlib.suppress(asyncio.TimeoutError, asyncio.CancelledError):
            await within(asyncio.shield(follower), 2.0 if self.connected else 0.5)
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        with contextlib.suppress(WorkbenchError):
            kept = await self.backend.kept(self.handle) if self._stored else None
            if kept is not None and (kept.near or self._lacks):
                async for chunk in kept.journal():
                    await self._take(chunk)
        self.connected, self._finished = False, True
        for feed in list(self._feeds):
            await feed.give(END)
        self._notify()

    @property
    def _lacks(self) -> bool:
        """Whether somebody wants the journal and has not had its end: then it is fetched from wherever it was stored."""
        run = self.workload.runs.get(self.handle.id)
        return bool(self._feeds) and (run is None or not run.phase.ended)

    async def _follow(self) -> None:
        failures = 0
        while True:
            await self.until(lambda: self.facts is not None and (self.facts.agent_ready or self.over))
            try:
                channel = await self.channel()
                self._target = Cursor.parse(str((await channel.state())["cursor"]))
                async for chunk in channel.journal(str(self._cursor), observer=self._observer):
                    failures = 0
                    self.connected, self.lost_connection = True, ""
                    await self._take(chunk)
            except WorkbenchError as error:
                self.lost_connection = str(error)
            except Exception as error:  # a journal that is never read again would look like silence
                log.exception("The journal of %s could not be read", self.handle.id)
                self.lost_connection = f"{type(error).__name__}: {error}"
            self.connected = False
            if self._channel is not None:
                self._channel.close()
                self._channel = None
            self._notify()
            if self.over or self._closed:  # a cancellation may be lost where a wait ends at the same moment
                return
            await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])
            failures += 1

    async def _take(self, chunk: bytes) -> None:
        batch, lines = [], []
        for line in chunk.splitlines():
            if line.startswith(b'{"type"'):
                self._epoch_changed(line)
                continue
            entry = decode_entry(line)
            if entry is None:
                continue
            before = self.workload
            self.workload = reduce(before, entry)
            if self.workload is not before:
                batch.append(entry)
                lines.append(line)
                if isinstance(entry.event, StopBegan):
                    self.stop_reason = entry.event.reason
                self._cursor = entry.cursor
        if batch:
            if self._tap is not None:
                await self._tap(b"\n".join([*lines, b""]))
            self._notify()
            for feed in list(self._feeds):
                await feed.give(batch)

    def _epoch_changed(self, line: bytes) -> None:
        """A new life of the agent: its journal is read from its beginning."""
        form = json.loads(line)
        self.lost_connection = f"the agent was started again; what followed {form.get('lost')} is gone"

    async def close(self) -> None:
        """Stop following. The workload is not touched."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._channel is not None:
            self._channel.close()


def _before_anything(handle: Handle) -> Workload:
    """The workload before a word of its journal was read. Of a job it is known already what will run."""
    spec = handle.spec
    runs = {}
    if spec.kind is Kind.JOB:
        runs[spec.id] = RunState(id=spec.id, name=spec.name, notebook=spec.notebook)
    return Workload(id=spec.id, kind=spec.kind, runs=runs)
