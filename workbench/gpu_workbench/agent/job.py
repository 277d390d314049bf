"""The course of a detached run: load what was sealed, run it, keep its results, and wait for somebody to fetch them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from gpu_workbench.agent.files import Mirror
from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.payload import Payload
from gpu_workbench.agent.results import Results
from gpu_workbench.agent.session import Session
from gpu_workbench.core import events as e
from gpu_workbench.core.errors import ForgedValue, ProtocolError, WorkbenchError
from gpu_workbench.core.model import Cause, Failure, Phase
from gpu_workbench.core.sealed import (
    FILES_FOLDER,
    JOB_FILE,
    SIGNATURE_FILE,
    SealedJob,
    SealedValue,
    load_job,
)
from gpu_workbench.core.wire import JsonObject, encode
from gpu_workbench.transport.server import HttpError
from gpu_workbench.values.signing import ContentDigest, verify

_LOOK = 0.2
_PIECE = 2**20


class SealBroken(WorkbenchError):
    """A sealed input is missing, or not what its sender signed. Nothing was loaded."""


def open_seal(folder: Path, key: bytes) -> SealedJob:
    """Read what is to be run, once it is known who wrote it.

    Raises:
        SealBroken: it is missing or forged.
    """
    try:
        content = (folder / JOB_FILE).read_bytes()
        signature = (folder / SIGNATURE_FILE).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SealBroken("The sealed run is not complete", why=str(error)) from None
    try:
        job = load_job(key, content, signature)
    except (ForgedValue, ProtocolError, ValueError) as error:
        raise SealBroken("The sealed run was not started", why=str(error)) from None
    for value in job.values:
        digest = ContentDigest()
        try:
            with _inside(folder, value.file).open("rb") as file:
                while data := file.read(_PIECE):
                    digest.update(data)
        except OSError as error:
            raise SealBroken("The sealed run is not complete", why=str(error)) from None
        _check(value, digest, run=job.run.id, key=key)
    return job


def _check(value: SealedValue, digest: ContentDigest, *, run: str, key: bytes) -> None:
    try:
        verify(key, value.signature, run=run, name=value.name, codec=value.codec, digest=digest.hex())
    except ForgedValue as error:
        raise SealBroken(error.what, why=error.why) from None


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise SealBroken("The sealed run was not started", why=f"{name!r} leads out of its folder")
    return path


class Job:
    """One sealed run in a payload.

    Args:
        sealed: What to run.
        folder: Where the sealed files lie.
        key: The run's key.
        payload: Runs it; not started yet.
        results: Where its results go.
        journal: The workload's events.
        mirror: Lays the project's files out.
    """

    def __init__(
        self,
        sealed: SealedJob,
        *,
        folder: Path,
        key: bytes,
        payload: Payload,
        results: Results,
        journal: Journal,
        mirror: Mirror,
    ) -> None:
        self._sealed = sealed
        self._folder = folder
        self._key = key
        self._payload = payload
        self._journal = journal
        self._mirror = mirror
        if isinstance(payload, Session):
            payload.reload = self._load
        self.results = results
        self.run = sealed.run.id
        self.ended: asyncio.Future[e.RunEnded] = asyncio.get_running_loop().create_future()
        """How the run ended."""
        self.last = 0
        """The number of the event that says so: who has read it has read all of the run."""
        journal.listen(self._entry)

    def _entry(self, entry: e.Entry) -> None:
        event = entry.event
        if isinstance(event, e.RunEnded) and event.run == self.run and not self.ended.done():
            self.last = entry.n
            self.ended.set_result(event)

    async def begin(self) -> None:
        """Lay out the files, start the payload, hand it the values, and queue the run.

        Raises:
            SealBroken: a sealed input is missing or forged; nothing was loaded.
            KernelDied: the payload did not come up.
        """
        await asyncio.to_thread(self._lay_out)
        await self._payload.start()
        await self._load()
        self._payload.submit(self._sealed.run)

    async def _load(self) -> None:
        """Hand the payload what the run is given."""
        if self._sealed.modules_reload:
            await self._payload.ask(op="reload", modules=list(self._sealed.modules_reload))
        for value in self._sealed.values:
            await self._hand_over(value)

    def _lay_out(self) -> None:
        manifest: JsonObject = {"files": encode(dict(self._sealed.files)), "remove": []}
        try:
            for digest in self._mirror.missing(manifest):
                self._mirror.put(digest, (self._folder / FILES_FOLDER / digest).read_bytes())
            self._mirror.commit(manifest)
        except (OSError, HttpError) as error:
            raise SealBroken("The sealed run is not complete", why=str(error)) from None

    async def _hand_over(self, value: SealedValue) -> None:
        """Stage a value. It stays bytes until the run starts, so what was swapped after a first look is not loaded."""
        digest = ContentDigest()
        with _inside(self._folder, value.file).open("rb") as file:

            async def readinto(view: memoryview) -> int:
                count = await asyncio.to_thread(_read, file, view)
                digest.update(view[:count])
                return count

            try:
                await self._payload.put_value(
                    name=value.name,
                    codec=value.codec,
                    length=value.length,
                    run=self.run,
                    digest="",
                    readinto=readinto,
                )
            except (HttpError, OSError) as error:
                raise SealBroken(f"{value.name} was not loaded", why=str(error)) from None
        _check(value, digest, run=self.run, key=self._key)

    async def linger(self, seconds: float, *, clock: Callable[[], float], read: Callable[[], bool]) -> None:
        """Wait until the results were fetched and the run was read to its end, at most so many seconds."""
        ends = clock() + seconds
        self._journal.append(e.LimitSet(limit="results", ends_at=round(ends, 1)))
        while clock() < ends and not (self.results.fetched and read()):  # noqa: ASYNC110 - two causes, neither in haste
            await asyncio.sleep(min(_LOOK, max(0.01, ends - clock())))


def broken(journal: Journal, run: str, error: SealBroken) -> Failure:
    """Journal the end of a run that could not be begun."""
    failure = Failure(Cause.NOT_STARTED, f"{error.what}: {error.why}" if error.why else error.what)
    with contextlib.suppress(asyncio.InvalidStateError):
        journal.append(e.RunEnded(run=run, phase=Phase.FAILED, failure=failure))
    return failure


def _read(file: BinaryIO, view: memoryview) -> int:
    return file.readinto(view) or 0  # type: ignore[attr-defined]
