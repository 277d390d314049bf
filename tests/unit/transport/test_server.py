"""What a client can do to a server: little, slowly, or a lot at once; and nothing is lost on the way."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gpu_workbench.backends.channel import Channel
from gpu_workbench.backends.kubernetes.credentials import make_credentials
from gpu_workbench.core.errors import ProtocolError, Unreachable
from gpu_workbench.transport.client import Client
from gpu_workbench.transport.server import HttpError, Request, Response, Server, Upgrade
from gpu_workbench.transport.streams import ByteStream
from gpu_workbench.transport.unix import connect_unix
from gpu_workbench.transport.websocket import WebSocket


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


@contextlib.asynccontextmanager
async def serving(tmp_path: Path, **options: object) -> AsyncIterator[Callable[[], object]]:
    server = Server(_handler, **options)  # type: ignore[arg-type]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen(16)
    server.start([listener])

    async def connect() -> socket.socket:
        return await connect_unix(str(tmp_path / "s"))

    try:
        yield connect
    finally:
        await server.close()


async def test_requests_one_after_the_other_share_a_connection(tmp_path: Path) -> None:
    made = 0
    async with serving(tmp_path) as connect:

        async def counted() -> socket.socket:
            nonlocal made
            made += 1
            return await connect()  # type: ignore[misc, no-any-return]

        client = Client(connect=counted, token="t")
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
        client.close()


async def test_a_kept_connection_that_died_is_replaced(tmp_path: Path) -> None:
    async with serving(tmp_path, keep_alive=0.05) as connect:
        client = Client(connect=connect, token="t")  # type: ignore[arg-type]
        await (await client.request("GET", "/1")).body()
        await asyncio.sleep(0.2)
        assert (await (await client.request("GET", "/2")).json())["path"] == "/2"
        client.close()


async def test_a_head_that_comes_too_slowly_is_cut_off(tmp_path: Path) -> None:
    async with serving(tmp_path, patience=0.2) as connect:
        sock = await connect()  # type: ignore[misc]
        loop = asyncio.get_running_loop()
        with sock:
            with contextlib.suppress(OSError):
                for byte in b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 100:
                    await loop.sock_sendall(sock, bytes([byte]))
                    await asyncio.sleep(0.01)
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(loop.sock_recv(sock, 100), 5) == b""


async def test_a_crowd_of_silent_connections_gives_way_to_one_that_speaks(tmp_path: Path) -> None:
    async with serving(tmp_path, connections=8) as connect:
        held = [await connect() for _ in range(50)]  # type: ignore[misc]
        client = Client(connect=connect, token="t")  # type: ignore[arg-type]
        assert (await client.request("GET", "/1")).status == 200
        for sock in held:
            sock.close()
        client.close()


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
async def test_bad_requests_harm_nobody_else(tmp_path: Path, request_: bytes) -> None:
    async with serving(tmp_path, patience=0.3) as connect:
        sock = await connect()  # type: ignore[misc]
        with sock:
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().sock_sendall(sock, request_)
                await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 100), 5)
            client = Client(connect=connect, token="t")  # type: ignore[arg-type]
            assert (await client.request("GET", "/1")).status == 200
            client.close()


async def test_messages_before_the_end_of_a_websocket_are_all_received(tmp_path: Path) -> None:
    async with serving(tmp_path) as connect:
        client = Client(connect=connect, token="t")  # type: ignore[arg-type]
        socket_ = await client.websocket("/socket")
        await asyncio.sleep(0.1)  # the end lies in the buffer, right behind the messages
        received = b""
        while (message := await socket_.receive()) is not None:
            received += message
        assert received == b"".join(b"%d\n" % number for number in range(1000))
        await socket_.close()
        client.close()


async def test_a_connection_that_ends_within_a_body_is_an_error(tmp_path: Path) -> None:
    async with serving(tmp_path) as connect:
        client = Client(connect=connect, token="t")  # type: ignore[arg-type]
        reply = await client.request("GET", "/large")
        await reply.readinto(memoryview(bytearray(1000)))
        reply._stream.close()
        with pytest.raises(Unreachable):
            await reply.body()
        client.close()


async def test_only_the_pinned_certificate_is_spoken_to(tmp_path: Path) -> None:
    ours, other = await make_credentials("w1"), await make_credentials("w1")
    (tmp_path / "c").write_bytes(ours["tls.crt"])
    (tmp_path / "k").write_bytes(ours["tls.key"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c", tmp_path / "k")
    async with serving(tmp_path, tls=context, headers={"gpu-workbench-version": "1"}) as connect:
        good = Channel(connect=connect, token="t", certificate=ours["tls.crt"].decode())  # type: ignore[arg-type]
        assert (await good.state())["path"] == "/v1/state"
        bad = Channel(connect=connect, token="t", certificate=other["tls.crt"].decode())  # type: ignore[arg-type]
        with pytest.raises(ProtocolError, match="in the agent's place"):
            await bad.state()
        good.close()
        bad.close()
