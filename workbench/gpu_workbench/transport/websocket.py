"""A WebSocket (RFC 6455) over a byte stream, after its handshake. Framing is wsproto's."""

from __future__ import annotations

import asyncio
import contextlib

from gpu_workbench.transport.streams import ByteStream
from gpu_workbench.transport.timing import within
from gpu_workbench.transport.vendor import ws_events, wsproto

MESSAGE_LIMIT = 64 * 2**20
"""Bytes of one message that is accepted."""

PING_INTERVAL = 20.0
"""Seconds between two signs of life of the serving side; after three without one, either side counts the other as gone."""


class WebSocket:
    """One end of an open WebSocket. ``receive`` has one caller at a time; ``send`` may have several.

    Args:
        limit: Bytes of one message that is accepted.
        patience: Seconds of silence after which the other side is gone; ``None`` for no such limit.
    """

    def __init__(
        self,
        stream: ByteStream,
        frames: wsproto.connection.Connection,
        *,
        limit: int = MESSAGE_LIMIT,
        patience: float | None = None,
    ) -> None:
        self._frames = frames
        self._stream = stream
        self._limit = limit
        self._patience = patience
        self._sending = asyncio.Lock()
        self._parts: list[bytes] = []
        self._ready: list[bytes] = []
        self._size = 0
        self._open = True
        self._begun = False
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.TimerHandle | None = None
        self.last_heard = self._loop.time()
        """When the other side was heard last, in the event loop's seconds."""
        if patience is not None:
            self._watch = self._loop.call_later(patience, self._look)

    def _look(self) -> None:
        """A connection that was dropped on its way, without a word to either end: whoever waits is let go.

        One timer for all that is received costs less than a limit on each wait.
        """
        assert self._patience is not None
        left = self.last_heard + self._patience - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look)
        else:
            self._stream.close()

    async def send(self, message: bytes) -> None:
        """Send one binary message.

        Raises:
            ConnectionError: the other side is gone.
        """
        await self._write(ws_events.BytesMessage(data=message))

    async def ping(self) -> None:
        """Ask for a sign of life; ``last_heard`` moves when it comes."""
        await self._write(ws_events.Ping(payload=b""))

    async def receive(self) -> bytes | None:
        """The next message, or ``None`` when the other side is gone."""
        while not self._ready and self._open:
            await self._pump()
        return self._ready.pop(0) if self._ready else None

    async def _pump(self) -> None:
        """Handle what came with the handshake already; from then on, what is read."""
        if self._begun:
            data = await self._stream.read()
            if not data:
                self._open = False
                return
            self.last_heard = self._loop.time()
            self._frames.receive_data(data)
        self._begun = True
        for event in self._frames.events():
            if not await self._handle(event):
                self._open = False
                return

    async def _handle(self, event: object) -> bool:
        if isinstance(event, ws_events.Message):
            data = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
            self._size += len(data)
            if self._size > self._limit:
                return False
            self._parts.append(data)
            if event.message_finished:
                self._ready.append(b"".join(self._parts) if len(self._parts) > 1 else data)
                self._parts, self._size = [], 0
        elif isinstance(event, ws_events.Ping):
            try:
                await self._write(event.response())
            except OSError:  # it asked before it went away
                return False
        elif isinstance(event, ws_events.CloseConnection):
            return False
        return True

    async def _write(self, event: object) -> None:
        async with self._sending:
            if not self._open:
                raise ConnectionResetError("the WebSocket is closed")
            await self._stream.write(self._frames.send(event))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say good-bye where that is still possible, and close."""
        if self._open:
            with contextlib.suppress(OSError, asyncio.TimeoutError, wsproto.utilities.LocalProtocolError):
                await within(self._write(ws_events.CloseConnection(code=code, reason=reason)), 1)
        self._open = False
        if self._watch is not None:
            self._watch.cancel()
        self._stream.close()
