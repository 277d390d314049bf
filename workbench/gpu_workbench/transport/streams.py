"""Byte streams over a connected socket, plain or inside TLS, for asyncio.

They call the event loop's socket functions directly: large values pass without a copy of ours, and TLS runs over any
socket, one end of a socket pair included, which the standard library's own transports do not offer on every Python here.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

CHUNK = 256 * 1024
"""Bytes asked of a socket at once."""

UNIX_BUFFER = 2**20
"""Bytes a Unix socket holds on their way: with the usual 208 KiB, a large value is mostly processes waking each other."""

Buffer = bytes | bytearray | memoryview


class ByteStream(Protocol):
    """A connected, ordered, two-way stream of bytes."""

    async def read(self, limit: int = CHUNK) -> bytes:
        """Some bytes, at most ``limit``; empty at the end."""
        ...

    async def readinto(self, view: memoryview) -> int:
        """Fill a part of ``view``; 0 at the end."""
        ...

    async def write(self, data: Buffer) -> None:
        """Send all of ``data``; waits while the other side does not read."""
        ...

    def close(self) -> None:
        """End both directions at once."""
        ...


class PlainStream:
    """A stream over a non-blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNIX_BUFFER)
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.Future[None]] = set()

    async def read(self, limit: int = CHUNK) -> bytes:
        """Some bytes, at most ``limit``; empty at the end."""
        while True:
            try:
                return self._socket.recv(limit)
            except BlockingIOError:
                await self._until(self._loop.add_reader, self._loop.remove_reader)
            except OSError:  # cut, or closed at this end
                return b""

    async def readinto(self, view: memoryview) -> int:
        """Fill a part of ``view``; 0 at the end."""
        while True:
            try:
                return self._socket.recv_into(view)
            except BlockingIOError:
                await self._until(self._loop.add_reader, self._loop.remove_reader)
            except OSError:  # cut, or closed at this end
                return 0

    async def write(self, data: Buffer) -> None:
        """Send all of ``data``.

        Raises:
            ConnectionError: the other side is gone.
        """
        rest = memoryview(data).cast("B") if len(data) else memoryview(b"")
        while rest:
            if self._socket.fileno() < 0:
                raise ConnectionResetError("the stream is closed")
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                await self._until(self._loop.add_writer, self._loop.remove_writer)

    async def _until(
        self, add: Callable[[int, Callable[[], None]], None], remove: Callable[[int], bool]
    ) -> None:
        """Wait until the socket can be read or written, or is closed at this end."""
        descriptor, waiter = self._socket.fileno(), self._loop.create_future()

        def let_go() -> None:
            if not waiter.done():
                waiter.set_result(None)

        self._waiting.add(waiter)
        add(descriptor, let_go)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)
            if self._socket.fileno() >= 0:
                remove(descriptor)

    def close(self) -> None:
        """End both directions at once; whoever reads gets the end."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
            for waiter in self._waiting:
                if not waiter.done():
                    waiter.set_result(None)


class TlsStream:
    """TLS over another stream, by the standard library's memory BIOs. Reads and writes may run side by side."""

    def __init__(self, inner: ByteStream, context: ssl.SSLContext, *, server_side: bool) -> None:
        self._inner = inner
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        self._sending = asyncio.Lock()
        self._receiving = asyncio.Lock()

    async def handshake(self) -> None:
        """Agree on keys.

        Raises:
            ConnectionError: the other side does not speak TLS, or is not who it should be.
        """
        while True:
            try:
                self._tls.do_handshake()
                return await self._flush()
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._feed():
                    raise ConnectionResetError("the connection ended within the TLS handshake") from None
            except ssl.SSLError as error:
                raise ConnectionRefusedError(f"TLS: {error.reason or error}") from None

    @property
    def peer_certificate(self) -> bytes | None:
        """The other side's certificate, DER."""
        return self._tls.getpeercert(binary_form=True)

    async def read(self, limit: int = CHUNK) -> bytes:
        """Some bytes, at most ``limit``; empty at the end."""
        buffer = bytearray(min(limit, CHUNK))
        count = await self.readinto(memoryview(buffer))
        return bytes(memoryview(buffer)[:count])

    async def readinto(self, view: memoryview) -> int:
        """Fill a part of ``view``; 0 at the end."""
        while True:
            try:
                return self._fill(view)
            except ssl.SSLWantReadError:
                if not await self._feed():
                    return 0
            except ssl.SSLError:
                return 0

    def _fill(self, view: memoryview) -> int:
        """As many decrypted bytes as there are: a record of TLS holds 16 KiB only."""
        filled = 0
        while filled < len(view):
            try:
                count = self._tls.read(len(view) - filled, view[filled:])
            except ssl.SSLWantReadError:
                if filled:
                    break
                raise
            if not count:
                break
            filled += int(count)
        return filled

    async def write(self, data: Buffer) -> None:
        """Send all of ``data``.

        Raises:
            ConnectionError: the other side is gone.
        """
        rest = memoryview(data).cast("B") if len(data) else memoryview(b"")
        while rest:
            sent = self._tls.write(rest[:CHUNK])
            rest = rest[sent:]
            await self._flush()

    async def _flush(self) -> None:
        async with self._sending:
            while pending := self._outgoing.read():
                await self._inner.write(pending)

    async def _feed(self) -> bool:
        async with self._receiving:
            received = await self._inner.read()
        if not received:
            self._incoming.write_eof()
            return False
        self._incoming.write(received)
        return True

    def close(self) -> None:
        """End both directions at once."""
        self._inner.close()
