"""Ports of this machine for servers that tests start."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """A port that nobody listens on, below those that the system itself gives out.

    Jupyter's kernels ask the system for theirs at every moment, and so would take one that it has just named here.
    """
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", random.randrange(15_000, 30_000)))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            return port
