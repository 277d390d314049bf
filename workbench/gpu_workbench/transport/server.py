"""An HTTP/1.1 and WebSocket server for a handful of clients, with a bound on everything a client can make it hold.

Source: RFC 9112 (HTTP/1.1), by h11; RFC 6455 (WebSocket), by wsproto.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import urllib.parse
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gpu_workbench.core.wire import Json, JsonObject
from gpu_workbench.transport.streams import CHUNK, Buffer, ByteStream, PlainStream, TlsStream
from gpu_workbench.transport.timing import ClosedAfter, within
from gpu_workbench.transport.vendor import h11, ws_events, ws_handshake, wsproto
from gpu_workbench.transport.websocket import WebSocket

JSON_LIMIT = 16 * 2**20
"""Bytes of a JSON body that is accepted."""


class HttpError(Exception):
    """Ends a request with an error response: a code for programs, a sentence and a fix for people."""

    def __init__(self, status: int, code: str, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fix = fix

    def response(self) -> Response:
        """The response it becomes."""
        form: JsonObject = {"error": self.code, "message": self.message}
        if self.fix:
            form["fix"] = self.fix
        return Response(status=self.status, body=json.dumps(form).encode())


Sender = Callable[[ByteStream], Awaitable[None]]


@dataclass
class Response:
    """What a handler answers: a small body, or ``length`` bytes that ``sender`` writes itself."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int = 0
    sender: Sender | None = None

    @classmethod
    def of(cls, form: Json, *, status: int = 200) -> Response:
        """A JSON response."""
        return cls(status=status, body=json.dumps(form, ensure_ascii=False).encode())


@dataclass
class Upgrade:
    """A handler's wish to go on as a WebSocket, served by ``serve`` until it returns."""

    serve: Callable[[WebSocket], Awaitable[None]]


class Request:
    """A request whose body, if any, has not been read yet."""

    def __init__(self, connection: _Connection, event: h11.Request) -> None:
        self.method: str = event.method.decode("ascii")
        target = urllib.parse.urlsplit(event.target.decode("ascii", "replace"))
        self.path = target.path
        self.query = dict(urllib.parse.parse_qsl(target.query))
        self.headers = {key.decode("ascii"): value.decode("latin-1") for key, value in event.headers}
        self._connection = connection

    @property
    def length(self) -> int:
        """Bytes of the body as announced.

        Raises:
            HttpError: 411, there is a body but no length.
        """
        if "transfer-encoding" in self.headers:
            raise HttpError(411, "length-required", "A body needs a Content-Length here")
        try:
            return max(0, int(self.headers.get("content-length", "0")))
        except ValueError:
            raise HttpError(400, "bad-length", "Content-Length is not a number") from None

    async def readinto(self, view: memoryview) -> int:
        """Fill a part of ``view`` with the body; 0 at its end."""
        return await self._connection.body_readinto(view)

    async def body(self, *, limit: int = JSON_LIMIT) -> bytes:
        """The whole body.

        Raises:
            HttpError: 413, it is over ``limit`` bytes; 400, it ended early.
        """
        if self.length > limit:
            raise HttpError(413, "too-large", f"The body has {self.length} bytes; {limit} are accepted")
        content = bytearray(self.length)
        filled = 0
        with memoryview(content) as view:
            while filled < len(content):
                count = await self.readinto(view[filled:])
                if not count:
                    raise HttpError(400, "cut-off", "The body ended early")
                filled += count
        return bytes(content)

    async def json(self) -> JsonObject:
        """The body as a JSON object.

        Raises:
            HttpError: 400, it is none.
        """
        try:
            form = json.loads(await self.body() or b"{}")
        except ValueError:
            raise HttpError(400, "bad-json", "The body is not JSON") from None
        if not isinstance(form, dict):
            raise HttpError(400, "bad-json", "The body is not a JSON object")
        return form


Handler = Callable[[Request], Awaitable[Response | Upgrade]]


class Server:
    """Serves ``handler`` on listening sockets until it is closed.

    Args:
        handler: Answers a request; its ``HttpError`` becomes a response.
        headers: Sent with every response.
        tls: Server-side context; ``None`` for plain HTTP on a Unix socket.
        connections: How many are held at once. A further one takes the place of the one that has been silent for longest.
        patience: Seconds for a TLS handshake and for the head of a request.
        body_patience: Seconds for the next bytes of a body; all of it may take as long as it likes.
        keep_alive: Seconds that an idle connection is held.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        connections: int = 256,
        patience: float = 10.0,
        body_patience: float = 60.0,
        keep_alive: float = 300.0,
    ) -> None:
        self.handler = handler
        self.headers = dict(headers or {})
        self.tls = tls
        self.patience = patience
        self.body_patience = body_patience
        self.keep_alive = keep_alive
        self._limit = connections
        self._accepting: list[asyncio.Task[None]] = []
        self._serving: dict[asyncio.Task[None], None] = {}
        self._answering: set[asyncio.Task[None]] = set()

    def start(self, listeners: Iterable[socket.socket]) -> None:
        """Begin to accept on sockets that listen already."""
        for listener in listeners:
            listener.setblocking(False)
            self._accepting.append(asyncio.create_task(self._accept(listener)))

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    sock, _ = await loop.sock_accept(listener)
                except OSError:  # out of file descriptors: others will end
                    await asyncio.sleep(0.1)
                    continue
                if len(self._serving) >= self._limit and not self._make_room():
                    sock.close()
                    continue
                task = asyncio.create_task(self._serve(sock))
                self._serving[task] = None
                task.add_done_callback(lambda done: self._serving.pop(done, None))
                await asyncio.sleep(0)  # a crowd at the door must not keep those inside from being served

    def _make_room(self) -> bool:
        """End the oldest connection on which nothing is being answered; ``False`` where there is none."""
        for task in self._serving:
            if task not in self._answering:
                task.cancel()
                del self._serving[task]
                return True
        return False

    async def _serve(self, sock: socket.socket) -> None:
        stream: ByteStream = PlainStream(sock)
        try:
            if self.tls is not None:
                secure = TlsStream(stream, self.tls, server_side=True)
                await within(secure.handshake(), self.patience)
                stream = secure
            await _Connection(self, stream).run()
        except (OSError, asyncio.TimeoutError, h11.RemoteProtocolError, h11.LocalProtocolError):
            pass  # a client that speaks badly or leaves; nothing of ours depends on it
        finally:
            stream.close()

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """While the calling connection is about something, and not just kept."""
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            yield
        finally:
            self._answering.discard(task)

    async def close(self, *, patience: float = 0.0) -> None:
        """Stop accepting and end all connections; what is being answered has ``patience`` seconds to end by itself."""
        for task in self._accepting:
            task.cancel()
        if self._answering and patience:
            await asyncio.wait(set(self._answering), timeout=patience)
        tasks = [*self._accepting, *self._serving]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Connection:
    """One client: its requests, one after the other. h11 reads and writes heads; bodies of known length pass beside it."""

    def __init__(self, server: Server, stream: ByteStream) -> None:
        self._server = server
        self._stream = stream
        self._http = h11.Connection(h11.SERVER)
        self._received = memoryview(b"")
        self._left = 0
        self._continue = False

    async def run(self) -> None:
        patience = self._server.patience
        while True:
            with ClosedAfter(self._stream, patience):
                event = await self._head()
            if not isinstance(event, h11.Request):
                return
            with self._server.answering():
                upgrade = await self._answer(event)
                if upgrade is not None:
                    return await self._upgrade(event, upgrade)
            if self._left or event.http_version != b"1.1":
                return
            patience = self._server.keep_alive

    async def _head(self) -> object:
        self._http = h11.Connection(h11.SERVER)
        if self._received:
            self._http.receive_data(bytes(self._received))
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._stream.read())
        self._received = memoryview(self._http.trailing_data[0])
        return event

    async def _answer(self, event: h11.Request) -> Upgrade | None:
        request = Request(self, event)
        self._continue = request.headers.get("expect", "").lower() == "100-continue"
        try:
            self._left = request.length
            answer = await self._server.handler(request)
        except HttpError as error:
            answer = error.response()
        if isinstance(answer, Upgrade):
            return answer
        await self._respond(answer)
        return None

    async def body_readinto(self, view: memoryview) -> int:
        """Fill a part of ``view`` with the present request's body; 0 where no more of it comes."""
        if self._left <= 0 or not len(view):
            return 0
        if self._continue:
            self._continue = False
            await self._stream.write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
        if self._received:
            count = min(len(view), len(self._received), self._left)
            view[:count] = self._received[:count]
            self._received = self._received[count:]
        else:
            with ClosedAfter(self._stream, self._server.body_patience):
                count = await self._stream.readinto(view[: self._left])
        self._left -= count
        return count

    async def _respond(self, response: Response) -> None:
        length = response.length if response.sender else len(response.body)
        headers = {
            "content-type": "application/json",
            "content-length": str(length),
            **self._server.headers,
            **response.headers,
        }
        if self._left:  # what was not read cannot be told from a next request
            headers["connection"] = "close"
        start = self._http.send(h11.Response(status_code=response.status, headers=list(headers.items())))
        await self._stream.write(start + response.body)
        if response.sender is not None:
            await response.sender(self._stream)

    async def _upgrade(self, event: h11.Request, upgrade: Upgrade) -> None:
        handshake = ws_handshake.H11Handshake(wsproto.ConnectionType.SERVER)
        try:
            handshake.initiate_upgrade_connection(event.headers, event.target)
        except wsproto.utilities.RemoteProtocolError as error:
            refusal = HttpError(400, "bad-websocket", f"That is no WebSocket handshake: {error}")
            return await self._respond(refusal.response())
        headers = [(key.encode(), value.encode()) for key, value in self._server.headers.items()]
        await self._stream.write(handshake.send(ws_events.AcceptConnection(extra_headers=headers)))
        socket_ = WebSocket(self._stream, handshake.connection)
        with contextlib.suppress(ConnectionError):
            await upgrade.serve(socket_)
        await socket_.close()


async def write_all(stream: ByteStream, chunks: Iterable[Buffer]) -> None:
    """Write each of ``chunks``."""
    for chunk in chunks:
        view = memoryview(chunk).cast("B") if len(chunk) else memoryview(b"")
        for start in range(0, len(view), 4 * CHUNK):
            await stream.write(view[start : start + 4 * CHUNK])
