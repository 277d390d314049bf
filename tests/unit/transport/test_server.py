"""What a client can do to a server: little, slowly, or a lot at once; and nothing is lost on the way.

On a Unix socket, as on this machine, and over TCP with TLS, as on a cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gpu_workbench.backends.channel import Channel
from gpu_workbench.backends.credentials import make_credentials
from gpu_workbench.core.errors import ProtocolError, Unreachable
from gpu_workbench.transport.client import Client, Connect
from gpu_workbench.transport.server import HttpError, Request, Response, Server, Upgrade
from gpu_workbench.transport.streams import ByteStream, PlainStream
from gpu_workbench.transport.unix import connect_unix
from gpu_workbench.transport.websocket import WebSocket
from tests.tls import client_context, connect_tcp, secured


async def _handler(request: Request) -> Response | Upgrade:
    if request.path == "/socket":
        return Upgrade(_talk)
    if request.path == "/large":

        async def sender(stream: ByteStream) -> None:
            for _ in range(64):
                await stream.write(b"x" * 2**18)

        return Response(length=64 * 2**18, sender=sender)
    if request.path == "/no":
        raise HttpError(409, "no", "Not now", "Later")
    body = await request.body(limit=2**20)
    return Response.of({"path": request.path, "length": len(body)})


async def _talk(socket_: WebSocket) -> None:
    for number in range(1000):
        await socket_.send(b"%d\n" % number)


@dataclass(frozen=True)
class Way:
    """Where a server listens, and how it is spoken to.

    Args:
        listener: Its socket.
        connect: Gives a connected one.
        server_side: For TLS; ``None`` for none.
        client_side: The same at the other end.
    """

    listener: socket.socket
    connect: Connect
    server_side: ssl.SSLContext | None = None
    client_side: ssl.SSLContext | None = None

    @contextlib.asynccontextmanager
    async def serving(self, **options: object) -> AsyncIterator[None]:
        server = Server(_handler, tls=self.server_side, **options)  # type: ignore[arg-type]
        server.start([self.listener])
        try:
            yield
        finally:
            await server.close()

    @contextlib.contextmanager
    def client(self, connect: Connect | None = None) -> Iterator[Client]:
        made = Client(connect=connect or self.connect, token="t", tls=self.client_side)
        try:
            yield made
        finally:
            made.close()

    @contextlib.asynccontextmanager
    async def stream(self) -> AsyncIterator[ByteStream]:
        """A connection on which a request may be written, byte by byte."""
        plain = PlainStream(await self.connect())
        try:
            yield plain if self.client_side is None else await secured(plain)
        finally:
            plain.close()


def _unix(folder: Path) -> Way:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "s"))
    listener.listen(64)
    return Way(listener, lambda: connect_unix(str(folder / "s")))


def _tls(folder: Path, credentials: dict[str, bytes]) -> Way:
    (folder / "c").write_bytes(credentials["tls.crt"])
    (folder / "k").write_bytes(credentials["tls.key"])
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(folder / "c", folder / "k")
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    port = listener.getsockname()[1]
    return Way(listener, lambda: connect_tcp(port), server_side, client_context())


@pytest.fixture
async def tls(tmp_path: Path) -> Way:
    return _tls(tmp_path, await make_credentials("w1"))


@pytest.fixture(params=["unix", "tls"])
async def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    return _unix(tmp_path) if request.param == "unix" else _tls(tmp_path, await make_credentials("w1"))


async def cut_off(stream: ByteStream) -> None:
    """Wait until the other end has closed."""
    with contextlib.suppress(ConnectionError):
        while await asyncio.wait_for(stream.read(), 5):
            pass


async def test_requests_one_after_the_other_share_a_connection(way: Way) -> None:
    made = 0

    async def counted() -> socket.socket:
        nonlocal made
        made += 1
        return await way.connect()

    async with way.serving():
        with way.client(counted) as client:
            for length in (0, 1, 70_000):
                reply = await client.request("PUT", "/a b/ü", form="x" * length)
                assert (await reply.json())["length"] == length + 2
            refused = await client.request("GET", "/no")
            assert (refused.status, await refused.json()) == (
                409,
                {"error": "no", "message": "Not now", "fix": "Later"},
            )
            large = await client.request("GET", "/large")
            assert len(await large.body()) == 64 * 2**18
            assert made == 1


async def test_a_kept_connection_that_died_is_replaced(way: Way) -> None:
    async with way.serving(keep_alive=0.05):
        with way.client() as client:
            await (await client.request("GET", "/1")).body()
            await asyncio.sleep(0.2)
            assert (await (await client.request("GET", "/2")).json())["path"] == "/2"


async def slowly(stream: ByteStream, data: bytes) -> None:
    """A byte now and then, as long as the other end takes them."""
    with contextlib.suppress(ConnectionError):
        for byte in data:
            await stream.write(bytes([byte]))
            await asyncio.sleep(0.01)


async def test_a_head_that_comes_too_slowly_is_cut_off(way: Way) -> None:
    async with way.serving(patience=0.2), way.stream() as stream:
        await slowly(stream, b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 100)
        await cut_off(stream)


async def test_a_tls_handshake_that_comes_too_slowly_is_cut_off(tls: Way) -> None:
    async with tls.serving(patience=0.2):
        plain = PlainStream(await tls.connect())
        await slowly(plain, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"y" * 100)
        await cut_off(plain)
        plain.close()


PUT = b"PUT /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\n"


async def test_a_body_may_come_slowly_and_is_cut_off_only_where_nothing_of_it_comes(way: Way) -> None:
    async with way.serving(body_patience=0.3):
        async with way.stream() as stream:
            await stream.write(PUT)
            await slowly(stream, b"y" * 50)  # longer than that in all
            assert b'"length": 50' in await asyncio.wait_for(stream.read(), 5)
        async with way.stream() as stream:
            await stream.write(PUT)
            await slowly(stream, b"y" * 10)
            await cut_off(stream)
        with way.client() as client:
            assert (await client.request("GET", "/1")).status == 200


async def test_a_crowd_of_silent_connections_gives_way_to_one_that_speaks(way: Way) -> None:
    async with way.serving(connections=8):
        held = [await way.connect() for _ in range(50)]
        with way.client() as client:
            assert (await client.request("GET", "/1")).status == 200
        for sock in held:
            sock.close()


@pytest.mark.parametrize(
    "request_",
    [
        b"rubbish\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET /socket HTTP/1.1\r\nhost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_bad_requests_harm_nobody_else(way: Way, request_: bytes) -> None:
    async with way.serving(patience=0.3):
        async with way.stream() as stream:
            with contextlib.suppress(OSError):
                await stream.write(request_)
                await asyncio.wait_for(stream.read(), 5)
        with way.client() as client:
            assert (await client.request("GET", "/1")).status == 200


async def test_who_does_not_speak_tls_harms_nobody_else(tls: Way) -> None:
    async with tls.serving(patience=0.3):
        plain = PlainStream(await tls.connect())
        await plain.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        answer = await asyncio.wait_for(plain.read(), 5)
        assert b"HTTP" not in answer
        plain.close()
        with tls.client() as client:
            assert (await client.request("GET", "/1")).status == 200


async def test_messages_before_the_end_of_a_websocket_are_all_received(way: Way) -> None:
    async with way.serving():
        with way.client() as client:
            socket_ = await client.websocket("/socket")
            await asyncio.sleep(0.1)  # the end lies in the buffer, right behind the messages
            received = b""
            while (message := await socket_.receive()) is not None:
                received += message
            assert received == b"".join(b"%d\n" % number for number in range(1000))
            await socket_.close()


async def test_a_connection_that_ends_within_a_body_is_an_error(way: Way) -> None:
    async with way.serving():
        with way.client() as client:
            reply = await client.request("GET", "/large")
            await reply.readinto(memoryview(bytearray(1000)))
            reply._stream.close()
            with pytest.raises(Unreachable):
                await reply.body()


async def test_only_the_pinned_certificate_is_spoken_to(tmp_path: Path) -> None:
    ours, other = await make_credentials("w1"), await make_credentials("w1")
    tls = _tls(tmp_path, ours)
    async with tls.serving(headers={"gpu-workbench-version": "1"}):
        good = Channel(connect=tls.connect, token="t", certificate=ours["tls.crt"].decode())
        assert (await good.state())["path"] == "/v1/state"
        bad = Channel(connect=tls.connect, token="t", certificate=other["tls.crt"].decode())
        with pytest.raises(ProtocolError, match="in the agent's place"):
            await bad.state()
        good.close()
        bad.close()
