"""A network of the browser's own, with one way out: to the server. Where that way is cut, the page is offline.

Chromium drops every connection whenever an address appears on the machine, and a test cluster beside it makes addresses
all the time; so it runs in a network namespace where that is possible.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

_HOLD = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
socket.send_fds(socket.socket(fileno=int(sys.argv[2])), [b"listening"], [listener.fileno()])
sys.stdin.read()
"""
"""Gives away a socket that listens in its network, and keeps that network until nobody needs it."""


class Way:
    """From a port of the browser's network to one of this machine's.

    Args:
        listener: Where the browser connects.
        port: Where the server listens.
        namespace: A process in the browser's network; ``None`` where that is this machine's.
    """

    def __init__(self, listener: socket.socket, port: int, *, namespace: int | None) -> None:
        self.namespace = namespace
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        self._port = port
        self._listener = listener
        self._is_cut = False
        self._open: set[asyncio.WriteTransport] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def cut(self) -> None:
        """End all connections, and let none come to be."""
        asyncio.run_coroutine_threadsafe(self._set(cut=True), self._loop).result()

    def mend(self) -> None:
        """Let connections through again."""
        asyncio.run_coroutine_threadsafe(self._set(cut=False), self._loop).result()

    @contextlib.contextmanager
    def running(self) -> Iterator[Way]:
        """Carry what goes either way, meanwhile."""
        self._thread.start()
        listening = asyncio.start_server(self._take, sock=self._listener)
        server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(server.close)
            self.cut()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _set(self, *, cut: bool) -> None:
        self._is_cut = cut
        for transport in self._open if cut else ():
            transport.abort()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:  # as the browser would be refused
            writer.transport.abort()
            return
        both = {writer.transport, far_writer.transport}
        self._open |= both
        try:
            await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))
        finally:
            self._open -= both


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


@contextlib.contextmanager
def way_to(port: int, *, isolated: bool) -> Iterator[Way]:
    """A network for a browser, from which the server on ``port`` of this machine can be reached.

    Args:
        port: Of the server.
        isolated: Whether it is a network of its own, where that is possible.
    """
    if not isolated or not _can_isolate():
        listener = socket.create_server(("127.0.0.1", 0))
        with listener, Way(listener, port, namespace=None).running() as way:
            yield way
        return
    ours, theirs = socket.socketpair()
    command = ["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", sys.executable, "-c", _HOLD]
    with ours, theirs:
        given = [str(port), str(theirs.fileno())]
        holder = subprocess.Popen([*command, *given], stdin=subprocess.PIPE, pass_fds=[theirs.fileno()])
        theirs.close()
        _, (listening, *_), _, _ = socket.recv_fds(ours, 16, 1)
    try:
        with (
            socket.socket(fileno=listening) as listener,
            Way(listener, port, namespace=holder.pid).running() as way,
        ):
            yield way
    finally:
        assert holder.stdin is not None
        holder.stdin.close()
        holder.wait()


def _can_isolate() -> bool:
    """Whether a network namespace can be made here."""
    tools = all(shutil.which(tool) for tool in ("unshare", "nsenter", "ip"))
    return (
        tools and os.geteuid() == 0 and subprocess.run(["unshare", "-n", "true"], check=False).returncode == 0
    )
