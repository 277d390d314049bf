"""Another agent of the same workload: how it is reached, and what is known of it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from gpu_workbench.core.agent_config import AgentConfig
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.transport.client import Client
from gpu_workbench.transport.pinned import pinned_context
from gpu_workbench.transport.unix import connect_unix
from gpu_workbench.transport.websocket import WebSocket

LOST = 20.0
"""Seconds without the other side after which a rank, or its head, counts as gone."""


class Peer:
    """Another rank. Its connection comes and goes.

    Args:
        rank: Which.
        epoch: The life of its agent.
        client: Speaks to that.
    """

    def __init__(self, rank: int, *, epoch: str, client: Client) -> None:
        self.rank = rank
        self.epoch = epoch
        self.client = client
        self.orders: asyncio.Queue[bytes] = asyncio.Queue()
        self.ready = False
        self.ended = False
        self.asked_to_end = False
        self.losing: asyncio.TimerHandle | None = None
        self.socket: WebSocket | None = None

    def order(self, form: JsonObject) -> None:
        """Tell it to do something."""
        self.orders.put_nowait(json.dumps(form).encode())


def client_of(
    config: AgentConfig,
    *,
    address: str,
    patience: float = 30.0,
    connected: Callable[[str], None] = lambda _: None,
) -> Client:
    """Speaks to another agent of the same workload, which has the same token and the same certificate.

    Args:
        config: Of the agent that asks.
        address: ``host:port``, or the path of a Unix socket.
        patience: Seconds for a connection and for the head of a response.
        connected: Called with this end's own IP address when a connection was made.
    """
    token = Path(config.token_file).read_text().strip()
    if address.startswith("/"):
        return Client(connect=lambda: connect_unix(address), token=token, patience=patience)
    pinned = ssl.PEM_cert_to_DER_cert(Path(config.cert_file).read_text())
    host, _, port = address.rpartition(":")

    async def connect() -> socket.socket:
        made = await _connect(host.strip("[]"), int(port))
        connected(made.getsockname()[0])
        return made

    return Client(
        connect=connect,
        token=token,
        tls=pinned_context(),
        pinned=pinned,
        patience=patience,
    )


async def _connect(host: str, port: int) -> socket.socket:
    """A connected socket; every address the name has is tried.

    Raises:
        OSError: none of them answers, or the name is not known yet.
    """
    loop = asyncio.get_running_loop()
    wrong = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        try:
            await loop.sock_connect(made, address)
        except OSError as error:
            made.close()
            wrong = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise wrong
