"""A client's end of TLS over TCP, for tests of what a server does with anybody who finds its port."""

from __future__ import annotations

import asyncio
import socket
import ssl

from gpu_workbench.transport.streams import ByteStream, TlsStream


async def connect_tcp(port: int) -> socket.socket:
    """A connection to a port of this machine."""
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return sock


def client_context() -> ssl.SSLContext:
    """For a client that does not look at certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def secured(plain: ByteStream) -> ByteStream:
    """TLS inside a connection, past its handshake."""
    secure = TlsStream(plain, client_context(), server_side=False)
    await secure.handshake()
    return secure
