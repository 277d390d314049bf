"""Whoever answers in an agent's place: nothing is told to it, nothing of what it says is read, nothing is loaded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from pathlib import Path

import pytest

from gpu_workbench.app.incoming import fetch
from gpu_workbench.backends.channel import Channel
from gpu_workbench.backends.credentials import make_credentials
from gpu_workbench.core.errors import ProtocolError, Unreachable
from gpu_workbench.transport.server import Request, Response, Server
from gpu_workbench.values.codecs import encode


class Hostile:
    """Loading a pickle of it makes a folder."""

    def __init__(self, marker: Path) -> None:
        self._marker = str(marker)

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self._marker,)


def context_of(credentials: dict[str, bytes], folder: Path) -> ssl.SSLContext:
    (folder / "c").write_bytes(credentials["tls.crt"])
    (folder / "k").write_bytes(credentials["tls.key"])
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(folder / "c", folder / "k")
    return made


@pytest.mark.parametrize("who", ["the agent", "an impostor with a certificate", "an impostor without one"])
async def test_a_pickle_is_loaded_from_who_has_the_workloads_own_key_alone(tmp_path: Path, who: str) -> None:
    """It takes any token, and what it gives does harm where it is loaded."""
    ours, other = await make_credentials("w1"), await make_credentials("w1")
    hostile, asked = encode(Hostile(tmp_path / "loaded")), []

    async def answer(request: Request) -> Response:
        asked.append(request.headers["authorization"])
        return Response(body=b"".join(hostile.chunks), headers={"gpu-workbench-codec": hostile.codec})

    shown = {"the agent": ours, "an impostor with a certificate": other}.get(who)
    tls = context_of(shown, tmp_path) if shown else None
    server = Server(answer, tls=tls, headers={"gpu-workbench-version": "1"}, patience=1.0)
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    server.start([listener])

    async def connect() -> socket.socket:
        made = socket.socket()
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, address)
        return made

    channel = Channel(connect=connect, token="t", certificate=ours["tls.crt"].decode())
    believed = who == "the agent"
    with contextlib.nullcontext() if believed else pytest.raises((ProtocolError, Unreachable)):
        await fetch(channel, "x")
    channel.close()
    await server.close()
    assert asked == ["Bearer t"] * believed, "an impostor does not even hear the token"
    assert (tmp_path / "loaded").exists() is believed


def test_without_a_certificate_nobody_is_believed() -> None:
    async def connect() -> socket.socket:
        raise AssertionError("nobody is to be spoken to")

    with pytest.raises(ProtocolError, match="cannot be told from anybody else"):
        Channel(connect=connect, token="t", certificate="")
