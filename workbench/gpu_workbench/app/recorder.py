"""The recorder: what is seen of workloads until they end is kept, for when their pods and agents are gone.

It writes beside whoever looks and never in the way: where it cannot write it says so once, and looking goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from gpu_workbench.app.recording.folder import Recordings
from gpu_workbench.app.recording.growing import Growing
from gpu_workbench.app.recording.places import RecordedPlace, RecordedToo
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.spec import Handle

FLUSH_BYTES = 256 * 1024
"""Bytes of journal that are written at once."""

FLUSH_SECONDS = 10.0
"""Seconds after which what was seen is written, however little it is."""

log = logging.getLogger(__name__)


class Recorder:
    """Keeps what is seen of a user's workloads, and gives it back.

    Args:
        folder: Where recordings lie.
        limit: Bytes of all together.
        count: How many there may be.
    """

    def __init__(self, folder: Path, *, limit: int, count: int) -> None:
        self._recordings = Recordings(folder, limit=limit, count=count)
        self._disk = ThreadPoolExecutor(1, "recorder")
        self._prepared: asyncio.Task[bool] | None = None
        self.place: Backend = RecordedPlace(self._recordings)
        """What was recorded, as a backend has workloads."""

    def around(self, backend: Backend) -> Backend:
        """The backend, whose ended workloads have the journal that was recorded where it keeps none."""
        return cast("Backend", RecordedToo(backend, self._recordings))

    def begin(self, handle: Handle) -> Recording:
        """Record a workload from now on."""
        return Recording(self, handle)

    def grow(self, handle: Handle) -> Growing:
        """A new file for a recording. Blocking."""
        return Growing(self._recordings, handle)

    async def prepared(self) -> bool:
        """Whether its folder can be used. At first it takes over what servers that are gone have left."""
        if self._prepared is None:
            self._prepared = asyncio.create_task(self._prepare())
        return await asyncio.shield(self._prepared)

    async def _prepare(self) -> bool:
        try:
            await self.write(self._recordings.prepare)
        except OSError as error:
            log.warning("Nothing is recorded: %s cannot be used (%s)", self._recordings.folder, error)
            return False
        return True

    async def write(self, what: Callable[[], None]) -> None:
        """Do something with the disk, after all that was asked for before, and to its end whoever stops waiting for it."""
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._disk, what))

    async def close(self) -> None:
        """Write nothing more."""
        await asyncio.to_thread(self._disk.shutdown)


class Recording:
    """What is seen of one workload. For one event loop."""

    def __init__(self, recorder: Recorder, handle: Handle) -> None:
        self._recorder = recorder
        self._handle = handle
        self._growing: Growing | None = None
        self._unwritten: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._over = False

    async def take(self, lines: bytes) -> None:
        """Add whole journal lines; returns at once unless much is to be written."""
        if self._over:
            return
        self._unwritten.append(lines)
        self._size += len(lines)
        if self._size >= FLUSH_BYTES:
            await self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush_soon)

    def _flush_soon(self) -> None:
        self._timer = None
        self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        lines, self._unwritten, self._size = b"".join(self._unwritten), [], 0
        if lines and await self._recorder.prepared():
            await self._write(lambda: self._grown().add(lines))

    async def finish(self, facts: Facts | None) -> None:
        """The workload has ended: what was seen is a recording now.

        Args:
            facts: How it ended; ``None`` where that was not seen.
        """
        if facts is not None and not self._over and await self._recorder.prepared():
            await self._end(lambda: self._grown().finish(facts))
        else:
            await self._end(lambda: self._growing.finish(facts) if self._growing else None)

    async def leave(self) -> None:
        """Look no longer: what was seen stays on disk, for who looks next."""
        await self._end(lambda: self._growing.leave() if self._growing else None)

    def _grown(self) -> Growing:
        if self._growing is None:
            self._growing = self._recorder.grow(self._handle)
        return self._growing

    async def _end(self, write: Callable[[], None]) -> None:
        if self._over:
            return
        if self._timer is not None:
            self._timer.cancel()
        await self._flush()
        if not self._over:
            await self._write(write)
            self._over = True

    async def _write(self, write: Callable[[], None]) -> None:
        """Where that fails this workload is recorded no further, and who looks at it does not notice."""
        try:
            await self._recorder.write(write)
        except Exception as error:
            self._over = True
            expected = isinstance(error, OSError)
            log.warning("%s is recorded no further: %s", self._handle.id, error, exc_info=not expected)
            if (growing := self._growing) is not None:
                with contextlib.suppress(Exception):
                    await self._recorder.write(growing.leave)
