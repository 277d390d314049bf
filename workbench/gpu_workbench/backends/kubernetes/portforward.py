"""A connection to a port of a pod through the API server, as a plain socket.

One WebSocket carries one connection. Every message begins with the number of its channel: 0 for data, 1 for what the node
says when it cannot go on; the first message of each channel is the port and carries nothing. A side that closes closes the
WebSocket, so there is no half-open state, and whoever reads the socket sees its end.

Sources: kubelet's streaming server for ``portforward`` (``v4.channel.k8s.io``), KEP-4006.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress

import aiohttp

from gpu_workbench.backends.kubernetes.answers import Call
from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.resources import PODS

log = logging.getLogger(__name__)

PROTOCOL = "v4.channel.k8s.io"
CHUNK = 256 * 1024

_DATA, _ERROR = 0, 1
_running: set[asyncio.Task[None]] = set()  # the event loop itself holds tasks weakly


async def connect_forwarded(client: ApiClient, *, namespace: str, pod: str, port: int) -> socket.socket:
    """Open a connection to ``port`` of a pod.

    Returns:
        One end of a socket pair, non-blocking. Bytes are relayed as fast as the slower side takes them, in both directions.

    Raises:
        NotFound, PermissionDenied, Unreachable: the API server or the node does not open the way. That nothing listens on
            the port is seen later: the socket ends.
    """
    websocket = await open_forward(client, namespace=namespace, pod=pod, port=port)
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    task = asyncio.create_task(relay(websocket, theirs), name=f"port-forward {pod}:{port}")
    _running.add(task)
    task.add_done_callback(_running.discard)
    return ours


async def open_forward(
    client: ApiClient, *, namespace: str, pod: str, port: int
) -> aiohttp.ClientWebSocketResponse[bool]:
    """Open the WebSocket of one connection to ``port`` of a pod, for :func:`relay`.

    Raises:
        NotFound, PermissionDenied, Unreachable: as :func:`connect_forwarded`.
    """
    path = PODS.path(namespace=namespace, name=pod, sub="portforward") + f"?ports={port}"
    call = Call("get", "pods/portforward", namespace, pod)
    return await client.websocket(path, call=call, protocols=(PROTOCOL,))


async def relay(websocket: aiohttp.ClientWebSocketResponse[bool], end: socket.socket) -> None:
    """Copy both ways until one of them is over, then close both."""
    directions = (
        asyncio.create_task(_to_pod(websocket, end)),
        asyncio.create_task(_from_pod(websocket, end)),
    )
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
        end.close()
        with suppress(aiohttp.ClientError, OSError):
            await websocket.close()


async def _to_pod(websocket: aiohttp.ClientWebSocketResponse[bool], end: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    frame = bytearray(1 + CHUNK)
    frame[0] = _DATA
    view = memoryview(frame)
    with suppress(aiohttp.ClientError, OSError):
        while count := await loop.sock_recv_into(end, view[1:]):
            await websocket.send_bytes(view[: 1 + count])  # type: ignore[arg-type]  # masked into a copy at once


async def _from_pod(websocket: aiohttp.ClientWebSocketResponse[bool], end: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    begun: set[int] = set()
    with suppress(aiohttp.ClientError, OSError):
        async for message in websocket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel = message.data[0]
            if channel not in begun:
                begun.add(channel)
            elif channel == _DATA:
                await loop.sock_sendall(end, memoryview(message.data)[1:])
            elif channel == _ERROR:
                log.info("port-forward ended: %s", message.data[1:].decode("utf-8", "replace").strip())
                return
