"""ZeroMQ sockets that are received from on asyncio's loop, several messages at a time and without ever losing one.

``zmq.asyncio`` drops the message of a ``recv`` that is cancelled at the wrong moment; here waiting and taking are apart.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Wire:
    """One socket. Receive from it in one place at a time; sending never waits.

    Args:
        socket: A plain ``zmq.Socket``, connected.
    """

    def __init__(self, socket: Any) -> None:
        import zmq

        self._socket = socket
        self._zmq = zmq
        self._ready = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._descriptor: int = socket.getsockopt(zmq.FD)
        self._loop.add_reader(self._descriptor, self._look)

    def _look(self) -> None:
        """The descriptor tells of a change once, and being asked settles it: so look after whatever may settle it."""
        if self._socket.getsockopt(self._zmq.EVENTS) & self._zmq.POLLIN:
            self._ready.set()

    def send(self, parts: list[bytes]) -> None:
        """Send a message.

        Raises:
            ConnectionError: the other side has not taken messages for long.
        """
        try:
            self._socket.send_multipart(parts, self._zmq.NOBLOCK)
        except self._zmq.Again:
            raise ConnectionError("the kernel takes no messages") from None
        self._look()

    def take(self, limit: int) -> list[list[bytes]]:
        """The messages that are there already, at most ``limit``."""
        taken: list[list[bytes]] = []
        try:
            while len(taken) < limit:
                taken.append(self._socket.recv_multipart(self._zmq.NOBLOCK))
        except self._zmq.Again:
            pass
        return taken

    async def receive(self, limit: int) -> list[list[bytes]]:
        """The next message and those behind it, at most ``limit``."""
        while True:
            self._ready.clear()
            if taken := self.take(limit):
                return taken
            await self._ready.wait()

    def close(self) -> None:
        """Let go of the socket, and of what was not sent."""
        self._loop.remove_reader(self._descriptor)
        self._socket.close(linger=0)


async def hung_up(monitor: Wire) -> None:
    """Return once the other side of the socket that ``monitor`` watches is gone, and all it sent has been received."""
    await monitor.receive(1)
