"""The payload of a gang's head: what it is asked, it asks of every rank.

Values come over the client's link once and are passed on while they come in.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import AsyncIterator

from gpu_workbench.agent.files import Mirror
from gpu_workbench.agent.gang import Gang
from gpu_workbench.agent.payload import Payload
from gpu_workbench.agent.peer import Peer
from gpu_workbench.agent.values import ReadInto
from gpu_workbench.core.errors import WorkbenchError
from gpu_workbench.core.model import Failure, Phase
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.core.wire import Json, JsonObject
from gpu_workbench.transport.client import Reply
from gpu_workbench.transport.server import HttpError, Sender

VALUE_PATIENCE = 900.0
"""Seconds that another rank is given to make a value of its bytes."""

_OF_RANKS = ("paths", "reload")
"""What of a manifest every rank does, and not only the first of each node."""

_AHEAD = 4
"""Pieces of a value that wait for a slow rank before the client has to."""


class Together:
    """A payload and those of all other ranks, as one.

    Args:
        own: The head's.
        gang: The others.
        mirror: The project's files, as they lie here.
    """

    def __init__(self, own: Payload, gang: Gang, mirror: Mirror) -> None:
        self.own = own
        self.runs = own.runs
        self._gang = gang
        self._mirror = mirror
        self.others_stay = False
        """Whether the others are left to another head, which comes in this one's place."""

    @property
    def generation(self) -> int:
        """Of the head's."""
        return self.own.generation

    @property
    def names(self) -> dict[str, JsonObject]:
        """The head's."""
        return self.own.names

    @property
    def python(self) -> str:
        """The head's."""
        return self.own.python

    async def start(self) -> None:
        """Bring up the head's own; the others come up by themselves."""
        await self.own.start()

    async def stop(self, phase: Phase, failure: Failure, *, patience: float) -> None:
        """End them all, unless the others stay."""
        if self.others_stay:
            return await self.own.stop(phase, failure, patience=patience)
        ending = asyncio.create_task(self._gang.end(failure.what))
        await self.own.stop(phase, failure, patience=patience)
        await ending

    def submit(self, spec: RunSpec) -> tuple[JsonObject, bool]:
        """Queue a run; the others are told when its turn has come."""
        if wrong := [rank for rank in spec.ranks if rank >= self._gang.world_size]:
            raise HttpError(
                404, "unknown-rank", f"There is no rank {wrong[0]}: they are 0 to {self._gang.world_size - 1}"
            )
        return self.own.submit(spec)

    def interrupt(self, run_id: str, *, grade: int) -> JsonObject:
        """Interrupt that run on every rank."""
        return self.own.interrupt(run_id, grade=grade)

    def answer(self, run_id: str, *, request: str, value: str) -> None:
        """Rank 0 alone may ask."""
        self.own.answer(run_id, request=request, value=value)

    async def put_value(
        self, *, name: str, codec: str, length: int, run: str, digest: str, readinto: ReadInto
    ) -> None:
        """Take a value in, and pass it on while it comes."""
        feeds = [_Feed(length) for _ in self._gang.peers()]
        query = {"codec": codec, **({"run": run} if run else {}), **({"digest": digest} if digest else {})}
        path = f"/v1/values/{urllib.parse.quote(name, safe='')}"
        sending = [
            asyncio.create_task(_pass_on(peer, path, query, feed, length))
            for peer, feed in zip(self._gang.peers(), feeds, strict=True)
        ]

        async def tee(view: memoryview) -> int:
            count = await readinto(view)
            piece = bytes(view[:count])
            await asyncio.gather(*(feed.put(piece) for feed in feeds))
            return count

        try:
            await self.own.put_value(
                name=name, codec=codec, length=length, run=run, digest=digest, readinto=tee
            )
            await asyncio.gather(*sending)
        finally:
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    async def get_value(self, name: str, *, run: str) -> tuple[JsonObject, Sender]:
        """Rank 0's."""
        return await self.own.get_value(name, run=run)

    async def ask(self, **question: object) -> JsonObject:
        """What is asked of names and packages is rank 0's to answer."""
        return await self.own.ask(**question)

    async def lay_out(self, manifest: JsonObject) -> None:
        """Have every other node's folder become what this one's is to be, and every rank load modules anew."""
        plain: JsonObject = {key: value for key, value in manifest.items() if key not in _OF_RANKS}
        if plain.get("files") or plain.get("remove") or plain.get("whole"):
            await asyncio.gather(*(self._mirror_at(peer, plain) for peer in self._gang.leaders()))
        told: JsonObject = {key: manifest[key] for key in _OF_RANKS if manifest.get(key)}
        if told:
            told["files"] = {}
            commit = (asked(peer, "POST", "/v1/files/commit", told) for peer in self._gang.peers())
            await asyncio.gather(*commit)

    async def _mirror_at(self, peer: Peer, manifest: JsonObject) -> None:
        missing = (await asked(peer, "POST", "/v1/files/missing", manifest)).get("missing")
        for digest in missing if isinstance(missing, list) else []:
            content = await asyncio.to_thread(self._mirror.content, manifest, str(digest))
            await _answered(
                peer,
                await peer.client.request(
                    "PUT", f"/v1/files/{digest}", body=[content], length=len(content), patience=VALUE_PATIENCE
                ),
            )
        await asked(peer, "POST", "/v1/files/commit", manifest)


class _Feed:
    """The pieces of a value on their way to one rank; nobody waits for a rank that has given up."""

    def __init__(self, length: int) -> None:
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(_AHEAD)
        self._left = length
        self._given_up = False

    async def put(self, piece: bytes) -> None:
        if not self._given_up:
            await self._pieces.put(piece)

    def give_up(self) -> None:
        """Take no more; whoever waits to put a piece is let go."""
        self._given_up = True
        while not self._pieces.empty():
            self._pieces.get_nowait()

    async def pieces(self) -> AsyncIterator[bytes]:
        while self._left > 0:
            piece = await self._pieces.get()
            self._left -= len(piece)
            yield piece


async def _pass_on(peer: Peer, path: str, query: dict[str, str], feed: _Feed, length: int) -> None:
    try:
        reply = await peer.client.request(
            "PUT", path, query=query, body=feed.pieces(), length=length, patience=VALUE_PATIENCE
        )
        await _answered(peer, reply)
    except WorkbenchError as error:
        raise HttpError(503, "no-session", f"Rank {peer.rank} did not take the value: {error}") from None
    finally:
        feed.give_up()


async def asked(peer: Peer, method: str, path: str, form: Json) -> JsonObject:
    """What another rank answers.

    Raises:
        HttpError: it does not, or refuses.
    """
    try:
        reply = await peer.client.request(method, path, form=form, patience=VALUE_PATIENCE)
    except WorkbenchError as error:
        raise HttpError(503, "no-session", f"Rank {peer.rank} does not answer: {error}") from None
    return await _answered(peer, reply)


async def _answered(peer: Peer, reply: Reply) -> JsonObject:
    form = await reply.json()
    if reply.status >= 300:
        code, message = str(form.get("error", "failed")), str(form.get("message", ""))
        raise HttpError(reply.status, code, f"Rank {peer.rank}: {message}", str(form.get("fix", "")))
    return form
