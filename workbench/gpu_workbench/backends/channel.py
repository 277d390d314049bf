"""The way to one agent: its HTTP routes as functions, over whatever connection a backend can make."""

from __future__ import annotations

import ssl
import urllib.parse
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

from gpu_workbench.core import errors
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.core.wire import Json, JsonObject, encode
from gpu_workbench.transport.client import Client, Connect, Reply
from gpu_workbench.transport.pinned import pinned_context
from gpu_workbench.transport.streams import Buffer
from gpu_workbench.transport.websocket import WebSocket

VERSION = "1"

VALUE_PATIENCE = 900.0
"""Seconds for a value to be pickled, or to be made of its bytes, before the agent answers: it may have to import torch."""

_ERRORS: Mapping[str, type[errors.WorkbenchError]] = {
    "unknown-name": errors.NotFound,
    "unknown-run": errors.NotFound,
    "unknown-rank": errors.NotFound,
    "over": errors.Conflict,
    "busy": errors.Conflict,
    "generation": errors.Throttled,
    "not-picklable": errors.NotPicklable,
    "too-large": errors.TooLarge,
    "forged": errors.ForgedValue,
    "no-session": errors.SessionLost,
    "no-file": errors.NotFound,
    "bad-path": errors.PermissionDenied,
    "bad-archive": errors.ShippingError,
}


class Channel:
    """Speaks version 1 of the agent's HTTP.

    Args:
        connect: Gives a connected socket to the agent.
        token: The workload's bearer token.
        certificate: The workload's certificate, PEM; ``None`` where the socket itself is private.

    Raises:
        ProtocolError: the certificate is none; a channel without it would believe anybody.
    """

    def __init__(self, *, connect: Connect, token: str, certificate: str | None = None) -> None:
        self._client = Client(
            connect=connect,
            token=token,
            tls=None if certificate is None else pinned_context(),
            pinned=None if certificate is None else _der(certificate),
        )

    def close(self) -> None:
        """Let go of idle connections."""
        self._client.close()

    async def state(self, *, rank: int = 0) -> JsonObject:
        """What the agent of a rank is doing.

        Raises:
            NotFound: there is no such rank.
        """
        query = {"rank": str(rank)} if rank else None
        return await self._checked(await self._client.request("GET", "/v1/state", query=query))

    async def journal(self, after: str, *, observer: bool = False, rank: int = 0) -> AsyncIterator[bytes]:
        """Chunks of whole journal lines after a cursor, then live, until the connection ends.

        Args:
            after: The cursor.
            observer: Read without being one of its clients: nobody who only looks keeps a session from ending.
            rank: Whose journal; the head's is that of the whole workload.

        Raises:
            Unreachable: no connection could be made.
        """
        socket = await self.journal_socket(after, observer=observer, rank=rank)
        try:
            while (chunk := await socket.receive()) is not None:
                yield chunk
        finally:
            await socket.close()

    async def journal_socket(self, after: str, *, observer: bool = False, rank: int = 0) -> WebSocket:
        """The WebSocket under :meth:`journal`."""
        given = {"after": after, "observer": "1" if observer else "", "rank": str(rank) if rank else ""}
        query = {key: value for key, value in given.items() if value}
        return await self._client.websocket("/v1/journal", query=query or None)

    async def forward(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: AsyncIterator[Buffer] | None = None,
        length: int = 0,
    ) -> Reply:
        """Another client's request to the agent. Whatever it answers is the answer.

        Args:
            method: HTTP method.
            path: With its version, quoted.
            query: Query parameters.
            body: In chunks.
            length: Bytes of it.

        Raises:
            Unreachable: no connection, or it was cut.
        """
        return await self._client.request(
            method, path, query=query or None, body=body, length=length, patience=VALUE_PATIENCE
        )

    async def put_run(self, spec: RunSpec) -> JsonObject:
        """Queue a run; the same id again is harmless."""
        return await self._json("PUT", f"/v1/runs/{spec.id}", form=encode(spec))

    async def interrupt(self, run: str, *, grade: int) -> JsonObject:
        """1: KeyboardInterrupt, or out of the queue. 2: the payload is restarted."""
        return await self._json("POST", f"/v1/runs/{run}/interrupt", form={"grade": grade})

    async def answer(self, run: str, *, request: str, value: str) -> None:
        """Answer a request for input; the first answer wins."""
        await self._json("POST", f"/v1/runs/{run}/input", form={"request": request, "value": value})

    async def put_value(
        self,
        name: str,
        *,
        codec: str,
        length: int,
        chunks: Iterable[Buffer],
        run: str = "",
        digest: str = "",
        progress: Callable[[int], None] | None = None,
    ) -> JsonObject:
        """Send a value; with ``run`` it is bound just before that run starts."""
        query = {"codec": codec, **({"run": run} if run else {}), **({"digest": digest} if digest else {})}
        reply = await self._client.request(
            "PUT",
            f"/v1/values/{_part(name)}",
            query=query,
            body=chunks,
            length=length,
            progress=progress,
            patience=VALUE_PATIENCE,
        )
        return await self._checked(reply)

    async def get_value(self, name: str, *, run: str = "") -> Reply:
        """A value's bytes, to be read from the reply; its codec is in the headers.

        Raises:
            NotFound: there is no such name.
            NotPicklable: it has no faithful copy.
        """
        reply = await self._client.request(
            "GET",
            f"/v1/values/{_part(name)}",
            query={"run": run} if run else None,
            patience=VALUE_PATIENCE,
        )
        if reply.status != 200:
            await self._checked(reply)
        return reply

    async def missing_files(self, manifest: JsonObject) -> list[str]:
        """Which contents of a wanted mirror the agent lacks, by hash."""
        found = (await self._json("POST", "/v1/files/missing", form=manifest)).get("missing")
        return [str(item) for item in found] if isinstance(found, list) else []

    async def put_file(self, digest: str, content: bytes) -> None:
        """Send the content of a file."""
        reply = await self._client.request(
            "PUT", f"/v1/files/{_part(digest)}", body=(content,), length=len(content)
        )
        await self._checked(reply)

    async def put_files(
        self, *, chunks: Iterable[Buffer], length: int, progress: Callable[[int], None] | None = None
    ) -> None:
        """Send many contents at once, as a stream of tar whose files are named by their hashes."""
        reply = await self._client.request("PUT", "/v1/files", body=chunks, length=length, progress=progress)
        await self._checked(reply)

    async def commit_files(self, manifest: JsonObject) -> JsonObject:
        """Lay a mirror out in the working directory."""
        return await self._json("POST", "/v1/files/commit", form=manifest)

    async def lacking_modules(self, modules: Iterable[str]) -> dict[str, str]:
        """Top-level module to what is wrong with it there, ``absent`` or ``CPU-only``; what is in order is left out."""
        found = (await self._json("POST", "/v1/imports/missing", form={"modules": [*modules]})).get("missing")
        return {name: str(word) for name, word in found.items()} if isinstance(found, dict) else {}

    async def get_archive(self, path: str) -> Reply:
        """A file or a folder of the session as a stream of tar, to be read from the reply.

        Raises:
            NotFound: there is nothing at ``path``.
            PermissionDenied: it holds files of the agent's own.
        """
        reply = await self._client.request("GET", "/v1/archive", query={"path": path})
        if reply.status != 200:
            await self._checked(reply)
        return reply

    async def put_archive(
        self,
        path: str,
        *,
        name: str,
        file: bool,
        chunks: Iterable[Buffer],
        length: int,
        progress: Callable[[int], None] | None = None,
    ) -> JsonObject:
        """Lay a stream of tar out in the session.

        Args:
            path: Where; inside it as ``name`` where it ends with ``/``, or where a file is to go to a folder.
            name: Of what is sent.
            file: It is a single file.
            chunks: The stream.
            length: Bytes of it.
            progress: Called with the count of bytes sent so far.
        """
        query = {"path": path, "name": name, **({"kind": "file"} if file else {})}
        reply = await self._client.request(
            "PUT", "/v1/archive", query=query, body=chunks, length=length, progress=progress
        )
        return await self._checked(reply)

    async def remove_archive(self, path: str) -> None:
        """Take a folder of a store away.

        Raises:
            PermissionDenied: what answers keeps no store, or it is not a folder within it.
        """
        await self._checked(await self._client.request("DELETE", "/v1/archive", query={"path": path}))

    async def dask(self, order: JsonObject) -> None:
        """Have a Dask cluster change; see :mod:`gpu_workbench.agent.wrap`.

        Raises:
            Conflict: it is none.
        """
        await self._json("POST", "/v1/dask", form=order)

    async def keep(self, seconds: float) -> JsonObject:
        """Postpone the idle limit."""
        return await self._json("POST", "/v1/keep", form={"seconds": seconds})

    async def stop(self, reason: str) -> None:
        """Ask the agent to end its workload."""
        await self._json("POST", "/v1/stop", form={"reason": reason})

    async def _json(self, method: str, path: str, *, form: Json = None) -> JsonObject:
        return await self._checked(await self._client.request(method, path, form=form))

    async def _checked(self, reply: Reply) -> JsonObject:
        version = reply.headers.get("gpu-workbench-version", "")
        if version != VERSION:
            reply.close()
            raise errors.VersionMismatch(
                "What answers is no agent of this version",
                why=f"it speaks version {version or 'none'}, this notebook {VERSION}",
                fix="Stop the session with `%gpu stop` and start it again",
            )
        form = await reply.json()
        if reply.status < 300:
            return form
        code, message, fix = (str(form.get(key, "")) for key in ("error", "message", "fix"))
        if reply.status == 401:
            raise errors.PermissionDenied(
                "The agent refuses this token", why="the workload belongs to another start"
            )
        raise _ERRORS.get(code, errors.ProtocolError)(
            message or f"The agent answered {reply.status}", fix=fix
        )


def _part(name: str) -> str:
    return urllib.parse.quote(name, safe="")


def _der(certificate: str) -> bytes:
    try:
        return ssl.PEM_cert_to_DER_cert(certificate)
    except ValueError:
        raise errors.ProtocolError(
            "The agent cannot be told from anybody else",
            why="the workload's certificate is not where it was put",
            fix="Stop the session with `%gpu stop` and start it again",
        ) from None
