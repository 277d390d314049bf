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


class PodStream:
    """One connection to a port of a pod, over a WebSocket that was opened for it."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self._websocket = websocket
        self._begun: set[int] = set()

    async def send(self, frame: memoryview) -> None:
        """Send bytes; the first one of the frame is not among them, and is overwritten."""
        frame[0] = _DATA
        await self._websocket.send_bytes(frame)  # type: ignore[arg-type]  # masked into a copy at once

    async def receive(self) -> memoryview | None:
        """The next bytes; ``None`` when there are no more."""
        with suppress(aiohttp.ClientError, OSError):
            async for message in self._websocket:
                if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                    continue
                channel = message.data[0]
                if channel not in self._begun:
                    self._begun.add(channel)
                elif channel == _DATA:
                    return memoryview(message.data)[1:]
                elif channel == _ERROR:
                    why = message.data[1:].decode("utf-8", "replace").strip()
                    log.info("port-forward ended: %s", why)
                    return None
        return None

    async def close(self) -> None:
        """Close it; the pod sees the end of its connection."""
        with suppress(aiohttp.ClientError, OSError):
            await self._websocket.close()


async def open_stream(client: ApiClient, *, namespace: str, pod: str, port: int) -> PodStream:
    """Open a connection to ``port`` of a pod.

    Raises:
        NotFound, PermissionDenied, Unreachable: the API server or the node does not open the way. That nothing listens on
            the port is seen later: the stream ends.
    """
    path = PODS.path(namespace=namespace, name=pod, sub="portforward") + f"?ports={port}"
    call = Call("get", "pods/portforward", namespace, pod)
    return PodStream(await client.websocket(path, call=call, protocols=(PROTOCOL,)))


async def connect_forwarded(client: ApiClient, *, namespace: str, pod: str, port: int) -> socket.socket:
    """Open a connection to ``port`` of a pod.

    Returns:
        One end of a socket pair, non-blocking. Bytes are relayed as fast as the slower side takes them, in both directions.

    Raises:
        NotFound, PermissionDenied, Unreachable: as :func:`open_stream`.
    """
    stream = await open_stream(client, namespace=namespace, pod=pod, port=port)
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    task = asyncio.create_task(relay(stream, theirs), name=f"port-forward {pod}:{port}")
    _running.add(task)
    task.add_done_callback(_running.discard)
    return ours


async def relay(stream: PodStream, end: socket.socket) -> None:
    """Copy both ways until one of them is over, then close both."""
    directions = (
        asyncio.create_task(_to_pod(stream, end)),
        asyncio.create_task(_from_pod(stream, end)),
    )
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
        end.close()
        await stream.close()


async def _to_pod(stream: PodStream, end: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    view = memoryview(bytearray(1 + CHUNK))
    with suppress(aiohttp.ClientError, OSError):
        while count := await loop.sock_recv_into(end, view[1:]):
            await stream.send(view[: 1 + count])


async def _from_pod(stream: PodStream, end: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while (data := await stream.receive()) is not None:
            await loop.sock_sendall(end, data)
