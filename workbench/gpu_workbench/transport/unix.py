"""Connections to Unix sockets."""

from __future__ import annotations

import asyncio
import socket

_RETRY = 0.01


async def connect_unix(path: str) -> socket.socket:
    """A non-blocking socket that is connected to ``path``.

    A listener whose queue is full answers "try again", which ``loop.sock_connect`` takes for a connection under way and
    then waits for ever.

    Raises:
        OSError: nobody listens there.
    """
    made = socket.socket(socket.AF_UNIX)
    made.setblocking(False)
    try:
        while True:
            try:
                made.connect(path)
            except BlockingIOError:
                await asyncio.sleep(_RETRY)
            else:
                return made
    except BaseException:
        made.close()
        raise
