"""A WebSocket whose other side goes away: without a word, or right after it asked for a sign of life."""

from __future__ import annotations

import asyncio
import socket

from gpu_workbench.transport.streams import PlainStream
from gpu_workbench.transport.vendor import ws_events, wsproto
from gpu_workbench.transport.websocket import WebSocket


def ends(*, patience: float | None = None) -> tuple[WebSocket, socket.socket, wsproto.connection.Connection]:
    """The client's end of an open WebSocket, and the server's socket and framing."""
    here, there = socket.socketpair()
    client = wsproto.connection.Connection(wsproto.ConnectionType.CLIENT)
    server = wsproto.connection.Connection(wsproto.ConnectionType.SERVER)
    return WebSocket(PlainStream(here), client, patience=patience), there, server


async def test_silence_is_the_end_where_signs_of_life_are_due() -> None:
    client, server, frames = ends(patience=0.2)
    server.sendall(frames.send(ws_events.BytesMessage(data=b"last words")))
    assert await asyncio.wait_for(client.receive(), 10) == b"last words"
    assert await asyncio.wait_for(client.receive(), 10) is None
    await client.close()
    server.close()


async def test_a_ping_that_cannot_be_answered_is_the_end_and_no_error() -> None:
    client, server, frames = ends()
    server.sendall(frames.send(ws_events.BytesMessage(data=b"last words")))
    server.sendall(frames.send(ws_events.Ping()))
    server.close()
    assert await client.receive() == b"last words"
    assert await asyncio.wait_for(client.receive(), 10) is None
    await client.close()
