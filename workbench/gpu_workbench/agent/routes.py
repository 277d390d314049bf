"""The agent's HTTP, version 1: who may ask, what can be asked, and the answers. Described in the reference documentation."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import re
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping

from gpu_workbench.agent.peer import Peer
from gpu_workbench.agent.service import Service
from gpu_workbench.agent.together import asked
from gpu_workbench.core.errors import ProtocolError, WorkbenchError
from gpu_workbench.core.events import Cursor
from gpu_workbench.core.model import Kind
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.core.wire import Json, JsonObject, decode
from gpu_workbench.transport.server import HttpError, Request, Response, Upgrade
from gpu_workbench.transport.streams import CHUNK
from gpu_workbench.transport.websocket import PING_INTERVAL, WebSocket

VERSION = "1"

_SKIPPED_NAMED = 20

_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

Route = Callable[[Request, str], Awaitable["Response | Upgrade"]]


class Routes:
    """Answers requests for a :class:`Service`.

    Args:
        service: What is asked.
        token: What every request must show.
    """

    def __init__(self, service: Service, *, token: str) -> None:
        self._service = service
        self._token = f"Bearer {token}".encode()
        self._routes: list[tuple[str, re.Pattern[str], Route]] = [
            ("GET", re.compile("/v1/state"), self._state),
            ("GET", re.compile("/v1/journal"), self._journal),
            ("GET", re.compile("/v1/gang"), self._gang),
            ("PUT", re.compile("/v1/runs/([^/]+)"), self._put_run),
            ("POST", re.compile("/v1/runs/([^/]+)/interrupt"), self._interrupt),
            ("POST", re.compile("/v1/runs/([^/]+)/input"), self._input),
            ("PUT", re.compile("/v1/values/([^/]+)"), self._put_value),
            ("GET", re.compile("/v1/values/([^/]+)"), self._get_value),
            ("POST", re.compile("/v1/files/(missing|commit)"), self._files),
            ("PUT", re.compile("/v1/files/([0-9a-f]+)"), self._put_file),
            ("PUT", re.compile("/v1/files"), self._put_files),
            ("GET", re.compile("/v1/archive"), self._get_archive),
            ("PUT", re.compile("/v1/archive"), self._put_archive),
            ("DELETE", re.compile("/v1/archive"), self._remove_archive),
            ("POST", re.compile("/v1/imports/missing"), self._imports),
            ("POST", re.compile("/v1/keep"), self._keep),
            ("POST", re.compile("/v1/dask"), self._dask),
            ("POST", re.compile("/v1/stop"), self._stop),
        ]

    async def __call__(self, request: Request) -> Response | Upgrade:
        """Answer one request.

        Raises:
            HttpError: whatever is wrong with it.
        """
        shown = request.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(shown, self._token):
            raise HttpError(401, "unauthorized", "The token is missing or wrong")
        self._service.audience.heard()
        allowed = False
        for method, pattern, route in self._routes:
            if found := pattern.fullmatch(request.path):
                if method == request.method:
                    part = urllib.parse.unquote(found[1]) if found.groups() else ""
                    return await self._guarded(route, request, part)
                allowed = True
        if allowed:
            raise HttpError(405, "method-not-allowed", f"{request.path} does not take {request.method}")
        raise HttpError(404, "unknown-route", f"There is nothing at {request.path}")

    async def _guarded(self, route: Route, request: Request, part: str) -> Response | Upgrade:
        try:
            return await route(request, part)
        except ProtocolError as error:
            raise HttpError(400, "bad-request", str(error)) from None
        except (FileNotFoundError, ConnectionError):
            raise HttpError(503, "no-session", "The session's process is not there at the moment") from None

    async def _state(self, request: Request, part: str) -> Response:
        rank = request.query.get("rank", "")
        if rank and rank != str(self._service.rank):
            return Response.of(await asked(self._peer(rank), "GET", "/v1/state", None))
        return Response.of(self._service.state())

    def _peer(self, rank: str) -> Peer:
        """Another rank.

        Raises:
            HttpError: 404, there is none, or this is not the head.
        """
        gang = self._service.gang
        peer = gang.peer(int(rank)) if gang is not None and rank.isdecimal() else None
        if peer is None:
            raise HttpError(404, "unknown-rank", f"There is no rank {rank} here")
        return peer

    async def _journal(self, request: Request, part: str) -> Upgrade:
        after = Cursor.parse(request.query.get("after", ""))
        if (rank := request.query.get("rank", "")) and rank != str(self._service.rank):
            return self._journal_of(rank, request.query)

        observes = request.query.get("observer") == "1"

        async def serve(socket: WebSocket) -> None:
            with contextlib.nullcontext() if observes else self._service.audience.client():
                await stream_journal(self._service, socket, after)

        return Upgrade(serve)

    def _journal_of(self, rank: str, query: Mapping[str, str]) -> Upgrade:
        """The journal of another rank, passed on."""
        peer = self._peer(rank)

        async def serve(socket: WebSocket) -> None:
            told = {key: value for key, value in query.items() if key == "after"}
            try:
                theirs = await peer.client.websocket("/v1/journal", query={**told, "observer": "1"})
            except WorkbenchError:  # it is gone, and its journal with it
                return
            try:
                await _pass_on(theirs, socket)
            finally:
                await theirs.close()

        return Upgrade(serve)

    async def _gang(self, request: Request, part: str) -> Upgrade:
        gang = self._service.gang
        if gang is None:
            raise HttpError(404, "unknown-route", "This is not the head of a gang")
        return Upgrade(gang.serve)

    async def _put_run(self, request: Request, part: str) -> Response:
        if not _RUN_ID.fullmatch(part):
            raise HttpError(400, "bad-request", "That is not a run's id")
        spec = decode(RunSpec, {**await request.json(), "id": part})
        if self._service.job is not None or self._service.config.kind is not Kind.SESSION:
            raise HttpError(409, "busy", "This workload runs what was sealed, and nothing else")
        answer, new = self._service.payload.submit(spec)
        return Response.of(answer, status=201 if new else 200)

    async def _interrupt(self, request: Request, part: str) -> Response:
        grade = (await request.json()).get("grade", 1)
        return Response.of(
            self._service.payload.interrupt(part, grade=grade if isinstance(grade, int) else 1)
        )

    async def _input(self, request: Request, part: str) -> Response:
        form = await request.json()
        self._service.payload.answer(part, request=str(form.get("request")), value=str(form.get("value", "")))
        return Response.of({})

    async def _put_value(self, request: Request, part: str) -> Response:
        limit = self._service.config.values_limit
        if request.length > limit:
            raise HttpError(413, "too-large", f"{part} has {request.length} bytes; {limit} are accepted")
        if not all(name.isidentifier() for name in part.split(",")):
            raise HttpError(400, "bad-request", f"{part!r} is not a variable's name")
        await self._service.payload.put_value(
            name=part,
            codec=request.query.get("codec", ""),
            length=request.length,
            run=request.query.get("run", ""),
            digest=request.query.get("digest", ""),
            readinto=request.readinto,
        )
        return Response.of({"generation": self._service.payload.generation}, status=201)

    async def _get_value(self, request: Request, part: str) -> Response:
        run, job = request.query.get("run", ""), self._service.job
        if job is not None and run == job.run:
            head, sender = job.results.get(part)
        else:
            head, sender = await self._service.payload.get_value(part, run=run)
        length = head["length"]
        assert isinstance(length, int)
        return Response(
            headers={
                "content-type": "application/octet-stream",
                "gpu-workbench-codec": str(head["codec"]),
                "gpu-workbench-digest": str(head.get("digest", "")),
                "gpu-workbench-type": urllib.parse.quote(str(head["type"])),
            },
            length=length,
            sender=sender,
        )

    async def _files(self, request: Request, part: str) -> Response:
        manifest = await request.json()
        if part == "missing":
            wanted: list[Json] = list(self._service.mirror.missing(manifest))
            return Response.of({"missing": wanted})
        mirror = self._service.mirror
        if self._service.together is not None:
            await self._service.together.lay_out(manifest)
        touched = await asyncio.to_thread(mirror.commit, manifest)
        paths = mirror.import_folders(manifest)
        reload_ = manifest.get("reload")
        answer: JsonObject = {"written": list(touched)}
        if reload_ or paths:
            answer.update(await self._service.payload.ask(op="reload", modules=reload_ or [], paths=paths))
        return Response.of(answer)

    async def _put_file(self, request: Request, part: str) -> Response:
        content = await request.body(limit=self._service.config.values_limit)
        await asyncio.to_thread(self._service.mirror.put, part, content)
        return Response.of({}, status=201)

    async def _put_files(self, request: Request, part: str) -> Response:
        try:
            await self._service.mirror.put_all(request.readinto, length=request.length)
        except HttpError:
            await read_away(request)
            raise
        return Response.of({}, status=201)

    async def _get_archive(self, request: Request, part: str) -> Response:
        packed, sender = await self._service.copies.pack(request.query.get("path", ""))
        headers = {
            "content-type": "application/x-tar",
            "gpu-workbench-kind": "folder" if packed.folder else "file",
            "gpu-workbench-skipped": urllib.parse.quote("\n".join(packed.skipped[:_SKIPPED_NAMED])),
        }
        return Response(headers=headers, length=packed.length, sender=sender)

    async def _put_archive(self, request: Request, part: str) -> Response:
        query = request.query
        name = query.get("name", "")
        if "/" in name or name == "..":
            raise HttpError(400, "bad-path", f"{name!r} is not a name")
        try:
            done = await self._service.copies.unpack(
                query.get("path", ""), name=name, file=query.get("kind") == "file", request=request
            )
        except HttpError:
            await read_away(request)
            raise
        return Response.of({"files": done.files, "size": done.size}, status=201)

    async def _remove_archive(self, request: Request, part: str) -> Response:
        await self._service.copies.remove(request.query.get("path", ""))
        return Response.of({})

    async def _imports(self, request: Request, part: str) -> Response:
        form = await request.json()
        gpus = bool(self._service.sampler.devices)
        return Response.of(
            await self._service.payload.ask(op="missing", modules=form.get("modules") or [], gpus=gpus)
        )

    async def _keep(self, request: Request, part: str) -> Response:
        seconds = (await request.json()).get("seconds")
        if not isinstance(seconds, int | float) or seconds <= 0:
            raise HttpError(400, "bad-request", "For how many seconds?")
        return Response.of({"ends_at": self._service.keep(float(seconds))})

    async def _dask(self, request: Request, part: str) -> Response:
        """Have a cluster on this machine change its size, or the scheduler of another know which group shrinks."""
        dask, form = self._service.dask, await request.json()
        if dask is None:
            raise HttpError(409, "busy", "This workload is no Dask cluster")
        if isinstance(group := form.get("shrink"), str):
            dask.tell(shrink=group)
        if isinstance(count := form.get("scale"), int) and count >= 0:
            dask.order(scale=count)
        if isinstance(bounds := form.get("adapt"), list):
            dask.order(adapt=bounds)
        return Response.of({})

    async def _stop(self, request: Request, part: str) -> Response:
        reason = str((await request.json()).get("reason") or "it was stopped")
        self._service.stop(reason)
        return Response.of({})


async def read_away(request: Request, *, limit: int = 64 * 2**20) -> None:
    """Read what is left of a body, so that its sender comes to hear why it is not wanted; not if that is a lot."""
    view = memoryview(bytearray(CHUNK))
    while limit > 0 and (count := await request.readinto(view)):
        limit -= count


async def stream_journal(service: Service, socket: WebSocket, after: Cursor) -> None:
    """Send journal chunks until the client is gone."""
    if after.epoch and after.epoch != service.journal.epoch:
        changed: JsonObject = {"type": "EpochChanged", "lost": str(after)}
        await socket.send(_line(changed))
    listening = asyncio.create_task(_listen(socket))
    sending = asyncio.create_task(_send(service, socket, after))
    try:
        await asyncio.wait({listening, sending}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (listening, sending):
            task.cancel()
        await asyncio.gather(listening, sending, return_exceptions=True)


async def _pass_on(source: WebSocket, target: WebSocket) -> None:
    """Everything from one stream to another, until either ends."""

    async def pump() -> None:
        while (chunk := await source.receive()) is not None:
            await target.send(chunk)

    tasks = {asyncio.create_task(pump()), asyncio.create_task(_listen(target))}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send(service: Service, socket: WebSocket, after: Cursor) -> None:
    async for chunk, last in service.journal.read(after):
        await socket.send(chunk)
        service.audience.was_read(last)


async def _listen(socket: WebSocket) -> None:
    """Answer pings, and notice a client that is gone without a word."""

    async def ping() -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while loop.time() - socket.last_heard < 3 * PING_INTERVAL:
                await asyncio.sleep(PING_INTERVAL)
                await socket.ping()

    pinging = asyncio.create_task(ping())
    receiving = asyncio.create_task(_drain(socket))
    try:
        await asyncio.wait({pinging, receiving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        pinging.cancel()
        receiving.cancel()


async def _drain(socket: WebSocket) -> None:
    while await socket.receive() is not None:
        pass


def _line(form: JsonObject) -> bytes:
    return json.dumps(form).encode() + b"\n"
