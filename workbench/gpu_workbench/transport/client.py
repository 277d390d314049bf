"""The client's end: requests over a few kept connections, large bodies streamed both ways, and WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import urllib.parse
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping

from gpu_workbench.core.errors import ProtocolError, Unreachable
from gpu_workbench.core.wire import Json, JsonObject
from gpu_workbench.transport.streams import CHUNK, Buffer, ByteStream, PlainStream, TlsStream
from gpu_workbench.transport.timing import ClosedAfter, within
from gpu_workbench.transport.vendor import h11, ws_events, ws_handshake, wsproto
from gpu_workbench.transport.websocket import PING_INTERVAL, WebSocket

Connect = Callable[[], Awaitable[socket.socket]]
"""Gives a connected socket to the other end."""

BODY_LIMIT = 64 * 2**20
"""Bytes of a response that is read whole."""

_KEPT = 4


class Reply:
    """A response whose body is read from the stream: whole, as JSON, or bit by bit.

    Close it, or read it to its end, for its connection to be free again.
    """

    def __init__(self, client: Client, stream: ByteStream, head: h11.Response, received: bytes) -> None:
        self.status: int = head.status_code
        self.headers = {key.decode("ascii"): value.decode("latin-1") for key, value in head.headers}
        self.length = int(self.headers.get("content-length", "0"))
        self._client = client
        self._stream = stream
        self._received = memoryview(received)
        self._left = self.length
        self._done = False
        self._settle()

    async def readinto(self, view: memoryview) -> int:
        """Fill a part of ``view`` with the body; 0 at its end.

        Raises:
            Unreachable: the connection ended before the body did.
        """
        if not self._left or not len(view):
            return 0
        if self._received:
            count = min(len(view), len(self._received), self._left)
            view[:count] = self._received[:count]
            self._received = self._received[count:]
        else:
            count = await self._stream.readinto(view[: self._left])
            if not count:
                self.close()
                raise Unreachable("The connection to the agent was cut", why="within a response")
        self._left -= count
        self._settle()
        return count

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            Unreachable: the connection ended before the body did.
            ProtocolError: it is larger than any response that is read whole.
        """
        if self.length > BODY_LIMIT:
            self.close()
            raise ProtocolError("The agent's answer is too large", why=f"{self.length} bytes")
        content = bytearray(self.length)
        with memoryview(content) as view:
            while self._left:
                await self.readinto(view[self.length - self._left :])
        return bytes(content)

    async def json(self) -> JsonObject:
        """The body as a JSON object."""
        try:
            form = json.loads(await self.body() or b"{}")
        except ValueError as error:
            raise ProtocolError("The agent's answer is not JSON", why=str(error)) from None
        if not isinstance(form, dict):
            raise ProtocolError("The agent's answer is not a JSON object")
        return form

    def _settle(self) -> None:
        if not self._left and not self._done:
            self._done = True
            self._client.give_back(
                self._stream, reusable=self.headers.get("connection", "").lower() != "close"
            )

    def close(self) -> None:
        """Drop the rest of the body, and the connection with it."""
        if not self._done:
            self._done = True
            self._left = 0
            self._client.give_back(self._stream, reusable=False)


class Client:
    """Speaks to one agent.

    Args:
        connect: Gives a connected socket.
        token: Bearer token.
        tls: Client-side context; ``None`` for plain HTTP on a Unix socket.
        pinned: The certificate the other side must show, DER; dates and names in it do not count.
        patience: Seconds for a connection to be made and for the head of a response.
    """

    def __init__(
        self,
        *,
        connect: Connect,
        token: str,
        tls: ssl.SSLContext | None = None,
        pinned: bytes | None = None,
        patience: float = 30.0,
    ) -> None:
        self._connect = connect
        self._token = token
        self._tls = tls
        self._pinned = pinned
        self._patience = patience
        self._idle: list[ByteStream] = []
        self._closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Json = None,
        body: Iterable[Buffer] | AsyncIterable[Buffer] | None = None,
        length: int = 0,
        progress: Callable[[int], None] | None = None,
        patience: float | None = None,
    ) -> Reply:
        """Send a request and read the head of its response.

        A kept connection that turns out to be dead is replaced by a new one; every route of the agent may be asked twice.

        Args:
            method: HTTP method.
            path: Path without query; its parts quoted where they need it.
            query: Query parameters.
            form: A JSON body.
            body: Or a body as chunks; it cannot be sent twice, so a new connection is used for it.
            length: Bytes of ``body``.
            progress: Called with the count of body bytes sent so far.
            patience: Seconds for the head of the response; the client's own by default.

        Raises:
            Unreachable: no connection, or it was cut.
        """
        content = b"" if form is None else json.dumps(form, ensure_ascii=False).encode()
        head = self._head(method, path, query, length if body is not None else len(content))
        while True:
            kept = bool(self._idle) and body is None
            stream = self._idle.pop() if kept else await self._open()
            try:
                await stream.write(head + content)
                if body is not None:
                    with contextlib.suppress(
                        ConnectionError
                    ):  # refused before all of it was read: the answer says why
                        await _send_body(stream, body, progress)
                return await self._head_within(stream, patience or self._patience)
            except (OSError, h11.RemoteProtocolError, asyncio.TimeoutError, EOFError) as error:
                stream.close()
                if kept and not isinstance(error, asyncio.TimeoutError):
                    continue
                raise Unreachable("The agent does not answer", why=_words(error)) from None
            except BaseException:
                stream.close()
                raise

    def _head(self, method: str, path: str, query: Mapping[str, str] | None, length: int) -> bytes:
        """The head of a request. All that is not ours in it is quoted, so nothing has to be checked a second time."""
        target = urllib.parse.quote(path, safe="/.-_~%") + (
            f"?{urllib.parse.urlencode(query)}" if query else ""
        )
        return (
            f"{method} {target} HTTP/1.1\r\nhost: agent\r\nauthorization: Bearer {self._token}\r\n"
            f"content-length: {length}\r\n\r\n"
        ).encode("ascii")

    async def _head_within(self, stream: ByteStream, patience: float) -> Reply:
        with ClosedAfter(stream, patience) as limit:
            try:
                return await self._read_head(stream)
            except EOFError:
                if limit.late:
                    raise asyncio.TimeoutError from None
                raise

    async def _read_head(self, stream: ByteStream) -> Reply:
        http = h11.Connection(h11.CLIENT)
        http.send(h11.Request(method="GET", target="/", headers=[("host", "agent")]))
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                received = await stream.read()
                if not received:
                    raise EOFError("the connection was closed")
                http.receive_data(received)
            elif isinstance(event, h11.Response):
                return Reply(self, stream, event, http.trailing_data[0])
            elif not isinstance(event, h11.InformationalResponse):
                raise EOFError("the connection was closed")

    async def websocket(self, path: str, *, query: Mapping[str, str] | None = None) -> WebSocket:
        """Open a WebSocket on a connection of its own.

        Raises:
            Unreachable: no connection, or the other side refuses.
        """
        stream = await self._open()
        target = path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        handshake = ws_handshake.H11Handshake(wsproto.ConnectionType.CLIENT)
        asked = ws_events.Request(
            host="agent", target=target, extra_headers=[(b"authorization", f"Bearer {self._token}".encode())]
        )
        try:
            await stream.write(handshake.send(asked))
            return await within(self._accepted(stream, handshake), self._patience)
        except (OSError, asyncio.TimeoutError, EOFError, wsproto.utilities.RemoteProtocolError) as error:
            stream.close()
            raise Unreachable("The agent does not answer", why=_words(error)) from None
        except BaseException:
            stream.close()
            raise

    async def _accepted(self, stream: ByteStream, handshake: ws_handshake.H11Handshake) -> WebSocket:
        while True:
            for event in handshake.events():
                if isinstance(event, ws_events.AcceptConnection):
                    return WebSocket(stream, handshake.connection, patience=3 * PING_INTERVAL)
                raise EOFError(f"it refused the stream with status {getattr(event, 'status_code', '?')}")
            received = await stream.read()
            if not received:
                raise EOFError("the connection was closed")
            handshake.receive_data(received)

    async def _open(self) -> ByteStream:
        if self._closed:
            raise Unreachable("The channel is closed")
        try:
            sock = await within(self._connect(), self._patience)
        except (OSError, asyncio.TimeoutError) as error:
            raise Unreachable("The agent cannot be reached", why=_words(error)) from None
        stream = PlainStream(sock)
        if self._tls is None:
            return stream
        secure = TlsStream(stream, self._tls, server_side=False)
        try:
            await within(secure.handshake(), self._patience)
        except (OSError, asyncio.TimeoutError) as error:
            stream.close()
            raise Unreachable("The agent cannot be reached", why=_words(error)) from None
        if self._pinned is not None and secure.peer_certificate != self._pinned:
            stream.close()
            raise ProtocolError(
                "Something else answers in the agent's place", why="its certificate is another one"
            )
        return secure

    def give_back(self, stream: ByteStream, *, reusable: bool) -> None:
        """A reply is done with its connection."""
        if reusable and not self._closed and len(self._idle) < _KEPT:
            self._idle.append(stream)
        else:
            stream.close()

    def close(self) -> None:
        """End all idle connections; those in use end with their replies."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()


async def _send_body(
    stream: ByteStream,
    body: Iterable[Buffer] | AsyncIterable[Buffer],
    progress: Callable[[int], None] | None,
) -> None:
    sent = 0
    async for chunk in _each(body):
        view = memoryview(chunk).cast("B") if len(chunk) else memoryview(b"")
        for start in range(0, len(view), 4 * CHUNK):
            part = view[start : start + 4 * CHUNK]
            await stream.write(part)
            sent += len(part)
            if progress is not None:
                progress(sent)


async def _each(body: Iterable[Buffer] | AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
    if isinstance(body, AsyncIterable):
        async for chunk in body:
            yield chunk
    else:
        for chunk in body:
            yield chunk


def _words(error: BaseException) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return "it took too long"
    return str(error) or type(error).__name__
