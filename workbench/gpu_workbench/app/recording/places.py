"""Recordings as a backend has workloads, so that whatever shows or reads a workload shows and reads a recording."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gpu_workbench.app.recording.folder import Recordings
from gpu_workbench.backends.channel import Channel
from gpu_workbench.backends.kept import Kept, KeptResult
from gpu_workbench.backends.protocol import Backend, Listed, Sealed
from gpu_workbench.core.errors import NotFound, Unreachable, UsageError, WorkbenchError
from gpu_workbench.core.events import Cursor
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Phase
from gpu_workbench.core.spec import Handle, WorkloadSpec

LISTED = 200
"""Recordings that are listed, newest first."""


@dataclass(frozen=True)
class KeptRecording:
    """The journal of a recording. It has no results: what they are made of is not seen by who records."""

    recordings: Recordings
    id: str
    run_key: bytes = b""
    near: bool = True

    async def journal(self, after: Cursor = Cursor.START) -> AsyncIterator[bytes]:
        """Chunks of whole journal lines after a cursor; from the beginning where that place is not in it."""
        begin = await asyncio.to_thread(self._place, after) if after.epoch else 0
        chunks, at = self.recordings.journal(self.id), 0
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            if at + len(chunk) > begin:
                yield chunk[max(0, begin - at) :]
            at += len(chunk)

    def _place(self, after: Cursor) -> int:
        """How many bytes lie before what follows a cursor; 0 where it is not there."""
        mark, at = f'"epoch":"{after.epoch}","n":{after.n},'.encode(), 0
        for chunk in self.recordings.journal(self.id):
            if (found := chunk.find(mark)) >= 0:
                return at + chunk.index(b"\n", found) + 1
            at += len(chunk)
        return 0

    async def result(self, name: str) -> KeptResult | None:
        """There is none."""
        return None

    async def names(self) -> list[str]:
        """There are none."""
        return []


class RecordedPlace:
    """Workloads that are no more, as they were recorded. Nothing can be done to them but to forget them."""

    name = "recorded"
    sealed_limit: int | None = 0

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings

    async def start(
        self,
        spec: WorkloadSpec,
        *,
        sealed: Sealed | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Handle:
        """Nothing starts here."""
        raise UsageError("A recording cannot be started")

    async def list(self, *, owner: str = "") -> list[Handle]:
        """What was recorded, newest first. It is all this user's: its files are."""
        heads = await asyncio.to_thread(self._recordings.heads, LISTED)
        return [replace(head.handle, ended=True) for head in heads]

    async def watch_all(self, *, owner: str) -> AsyncGenerator[Listed, None]:
        """What there is now: it becomes more by whoever records."""
        yield Listed(tuple(await self.list(owner=owner)))

    async def find(self, workload_id: str) -> Handle | None:
        """The workload of that id, or ``None``."""
        head = await asyncio.to_thread(self._recordings.find, workload_id)
        return replace(head.handle, ended=True) if head is not None else None

    async def watch(self, handle: Handle) -> AsyncIterator[Facts]:
        """How it ended."""
        head = await asyncio.to_thread(self._recordings.find, handle.id)
        yield (head.facts if head is not None else None) or Facts(phase=Phase.LOST, gone=True)

    async def open(self, handle: Handle) -> Channel:
        """Nobody is there."""
        raise Unreachable("There is no agent to talk to", why=f"{handle.spec.name} has ended")

    async def stop(self, handle: Handle, *, force: bool = False) -> None:
        """It has ended."""

    async def forget(self, handle: Handle) -> None:
        """Remove its recording."""
        await asyncio.to_thread(self._recordings.forget, handle.id)

    async def logs(self, handle: Handle, *, tail: int | None = None, rank: int = 0) -> str:
        """The last lines of its container, where it ended by itself."""
        head = await asyncio.to_thread(self._recordings.find, handle.id)
        if head is None or head.facts is None or not head.facts.log_tail:
            raise NotFound("There are no logs", why="its pod is gone, and its log with it")
        lines = head.facts.log_tail.splitlines()
        return "\n".join(lines if tail is None else lines[-tail:] if tail else [])

    async def kept(self, handle: Handle) -> Kept | None:
        """Its journal."""
        head = await asyncio.to_thread(self._recordings.find, handle.id)
        return KeptRecording(self._recordings, handle.id) if head is not None else None

    async def close(self) -> None:
        """Nothing to let go of."""


class RecordedToo:
    """A backend, whose ended workloads have the journal that was recorded where it keeps none that is near.

    Args:
        backend: The backend itself; whatever else is asked, it is asked.
        recordings: What was recorded.
    """

    def __init__(self, backend: Backend, recordings: Recordings) -> None:
        self._backend = backend
        self._recordings = recordings

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            return getattr(self._backend, name)

    async def kept(self, handle: Handle) -> Kept | None:
        """What the backend keeps; else, or where that is far and all was seen, what was recorded."""
        head = await asyncio.to_thread(self._recordings.find, handle.id)
        recorded = KeptRecording(self._recordings, handle.id) if head is not None else None
        try:
            kept = await self._backend.kept(handle)
        except WorkbenchError:
            if recorded is None:
                raise
            return recorded
        if kept is None or (head is not None and head.whole and not kept.near):
            return recorded
        return kept
