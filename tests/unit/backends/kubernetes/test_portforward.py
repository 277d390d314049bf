"""A port-forward is a socket: what goes in at one end comes out at the other, and when it is cut it ends."""

import asyncio
import os
import struct

import pytest
from aiohttp import web

from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.portforward import connect_forwarded
from gpu_workbench.core.errors import NotFound, PermissionDenied
from tests.unit.backends.kubernetes.conftest import access_to


class Node:
    """Speaks the node's side of the protocol; ``serve`` is what listens on the pod's port."""

    def __init__(self):
        self.serve = self.echo
        self.refuse = 0
        self.closed = asyncio.Event()

    async def handle(self, http):
        if self.refuse:
            return web.Response(status=self.refuse)
        websocket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",), max_msg_size=0)
        await websocket.prepare(http)
        assert websocket.ws_protocol == "v4.channel.k8s.io"
        for channel in (b"\0", b"\1"):
            await websocket.send_bytes(channel + struct.pack("<H", int(http.query["ports"])))
        await self.serve(websocket)
        await websocket.close()
        self.closed.set()
        return websocket

    async def echo(self, websocket):
        async for message in websocket:
            assert message.data[0] == 0
            await websocket.send_bytes(message.data)


@pytest.fixture
async def node():
    node = Node()
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/ns/pods/p/portforward", node.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    node.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield node
    await runner.cleanup()


@pytest.fixture
async def connect(node):
    client = ApiClient(access_to(node.url))

    async def connect():
        return await connect_forwarded(client, namespace="ns", pod="p", port=7777)

    yield connect
    await client.close()


async def receive(end, count):
    loop, got = asyncio.get_running_loop(), b""
    while len(got) < count and (chunk := await loop.sock_recv(end, 1 << 20)):
        got += chunk
    return got


async def test_bytes_arrive_whole_and_in_order_both_ways(connect):
    loop, end = asyncio.get_running_loop(), await connect()
    sent = os.urandom(5_000_000)
    _, got = await asyncio.gather(loop.sock_sendall(end, sent), receive(end, len(sent)))
    assert got == sent
    end.close()


async def test_the_port_that_begins_each_channel_is_not_data(connect):
    loop, end = asyncio.get_running_loop(), await connect()
    await loop.sock_sendall(end, b"x")
    assert await receive(end, 1) == b"x"
    end.close()


async def test_closing_our_end_closes_the_way(connect, node):
    end = await connect()
    end.close()
    await asyncio.wait_for(node.closed.wait(), 5)


async def test_when_it_is_cut_the_socket_ends(connect, node):
    async def cut(websocket):
        await websocket.send_bytes(b"\0last words")

    node.serve = cut
    end = await connect()
    assert await asyncio.wait_for(receive(end, 1000), 5) == b"last words"
    end.close()


async def test_when_nothing_listens_the_socket_ends(connect, node):
    async def refused(websocket):
        await websocket.send_bytes(b"\1connection refused")
        await websocket.receive()

    node.serve = refused
    end = await connect()
    assert await asyncio.wait_for(receive(end, 1), 5) == b""
    end.close()


async def test_a_reader_that_sleeps_holds_the_sender_back(connect, node):
    taken = 0

    async def flood(websocket):
        nonlocal taken
        chunk = b"\0" + bytes(1 << 16)
        while not websocket.closed and taken < 2**30:
            await websocket.send_bytes(chunk)
            taken += len(chunk)

    node.serve = flood
    end = await connect()
    previous = -1
    while taken != previous:  # until nobody takes any more
        previous = taken
        await asyncio.sleep(0.3)
    assert taken < 32 * 2**20
    end.close()


@pytest.mark.parametrize(("code", "error"), [(404, NotFound), (403, PermissionDenied)])
async def test_what_the_api_server_refuses_is_said_at_once(connect, node, code, error):
    node.refuse = code
    with pytest.raises(error, match="pods/portforward"):
        await connect()
