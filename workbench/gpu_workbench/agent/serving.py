"""One agent's process: its service, its one port, and its last words."""

from __future__ import annotations

import asyncio
import functools
import signal
import socket
import ssl
import subprocess
import traceback
from collections.abc import Sequence
from pathlib import Path

from gpu_workbench.agent.endings import Outcome
from gpu_workbench.agent.launch import LaunchedKernel, LaunchedScheduler
from gpu_workbench.agent.ranks import Place
from gpu_workbench.agent.record import write_record
from gpu_workbench.agent.routes import VERSION, Routes
from gpu_workbench.agent.service import Service
from gpu_workbench.core.agent_config import AgentConfig, load_agent_config
from gpu_workbench.core.exits import Exit
from gpu_workbench.core.model import Cause, Failure, Phase
from gpu_workbench.transport.server import Server

CLIENTS = 256
"""Connections that are held at once, beside one of each rank."""

READERS_PATIENCE = 5.0
"""Seconds that clients are given to take the journal's end."""


def serve(
    text: str,
    *,
    command: list[str],
    place: Place,
    listener: socket.socket,
    launched: LaunchedKernel | LaunchedScheduler | None,
    others: Sequence[subprocess.Popen[bytes]] = (),
) -> int:
    """Serve one workload until it ends.

    Args:
        text: The configuration, as a backend wrote it.
        command: How to start Python with this agent: interpreter and archive, or interpreter and module.
        place: The rank of this agent.
        listener: Where clients connect.
        launched: The payload's process, if it is under way already.
        others: The agents of other ranks that this one started.
    """
    config = load_agent_config(text)
    return asyncio.run(
        _serve(config, command=command, place=place, listener=listener, launched=launched, others=others)
    )


async def _serve(
    config: AgentConfig,
    *,
    command: list[str],
    place: Place,
    listener: socket.socket,
    launched: LaunchedKernel | LaunchedScheduler | None,
    others: Sequence[subprocess.Popen[bytes]],
) -> int:
    service = Service(config, command=command, place=place, launched=launched, others=others)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, functools.partial(_told_to_end, service, number))
    routes = Routes(service, token=_token(config))
    server = Server(
        routes,
        headers={"gpu-workbench-version": VERSION},
        tls=_tls(config),
        connections=CLIENTS + place.world_size,
    )
    server.start([listener])
    try:
        outcome = await service.run()
    except Exception as error:
        traceback.print_exc()
        failure = Failure(Cause.NOT_STARTED, f"The agent itself failed: {type(error).__name__}: {error}")
        outcome = Outcome(Phase.FAILED, code=Exit.INTERNAL, failure=failure)
    write_record(config, outcome, seconds=service.clock())
    await service.others.end()
    await server.close(patience=READERS_PATIENCE)
    service.forget()
    return int(outcome.code)


def _told_to_end(service: Service, number: signal.Signals) -> None:
    reason = service.told_to_end or f"it was told to end from outside ({number.name})"
    service.others.signal(number)
    service.stop(reason, told=True)


def _token(config: AgentConfig) -> str:
    return Path(config.token_file).read_text().strip()


def _tls(config: AgentConfig) -> ssl.SSLContext | None:
    if not config.cert_file:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(config.cert_file, config.key_file)
    return context
