"""The agent's entry: ``python agent.pyz --config FILE``.

``python agent.pyz kernel …`` and ``… become …`` are the kernel and the script it starts.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import socket
import ssl
import sys
import traceback
from pathlib import Path

from gpu_workbench.agent.record import write_record
from gpu_workbench.agent.routes import VERSION, Routes
from gpu_workbench.agent.service import Outcome, Service
from gpu_workbench.core.agent_config import AgentConfig, load_agent_config
from gpu_workbench.core.exits import Exit
from gpu_workbench.core.model import Cause, Failure, Phase
from gpu_workbench.transport.server import Server

BACKLOG = 1024

READERS_PATIENCE = 5.0
"""Seconds that clients are given to take the journal's end."""


def main(arguments: list[str]) -> int:
    """Run what the arguments say; returns the exit code."""
    if len(arguments) == 3 and arguments[0] == "kernel":
        from gpu_workbench.agent.inkernel.launcher import main as kernel

        kernel(arguments[1], arguments[2])
        return 0
    if len(arguments) > 1 and arguments[0] == "become":
        from gpu_workbench.agent.script import become

        become(arguments[1:])
    if len(arguments) == 2 and arguments[0] == "--config":
        config = load_agent_config(Path(arguments[1]).read_text())
        prepare(config)
        return asyncio.run(run_agent(config))
    sys.stderr.write("usage: agent.pyz --config FILE\n")
    return 2


def own_command() -> list[str]:
    """How this very agent was started: interpreter and archive, or interpreter and module."""
    archive = Path(sys.argv[0])
    if archive.suffix == ".pyz":
        return [sys.executable, str(archive)]
    return [sys.executable, "-m", "gpu_workbench.agent"]


def prepare(config: AgentConfig) -> None:
    """Make the folders, private from the first moment on."""
    os.umask(0o077)
    Path(config.state_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    Path(config.work_dir).mkdir(parents=True, exist_ok=True)


def _token(config: AgentConfig) -> str:
    return Path(config.token_file).read_text().strip()


async def run_agent(config: AgentConfig) -> int:
    """Serve one workload until it ends."""
    service = Service(config, command=own_command())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(
            number,
            functools.partial(service.stop, f"it was told to end from outside ({number.name})", told=True),
        )
    routes = Routes(service, token=_token(config))
    server = Server(routes, headers={"gpu-workbench-version": VERSION}, tls=_tls(config))
    server.start(_listeners(config))
    try:
        outcome = await service.run()
    except Exception as error:
        traceback.print_exc()
        failure = Failure(Cause.NOT_STARTED, f"The agent itself failed: {type(error).__name__}: {error}")
        outcome = Outcome(Phase.FAILED, code=Exit.INTERNAL, failure=failure)
    write_record(config, outcome, seconds=service.clock())
    await server.close(patience=READERS_PATIENCE)
    service.forget()
    return int(outcome.code)


def _tls(config: AgentConfig) -> ssl.SSLContext | None:
    if not config.cert_file:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(config.cert_file, config.key_file)
    return context


def _listeners(config: AgentConfig) -> list[socket.socket]:
    if config.listen.socket:
        path = Path(config.listen.socket)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        path.chmod(0o600)
    else:
        dual = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual else socket.AF_INET
        listener = socket.create_server(
            (config.listen.host, config.listen.port), family=family, dualstack_ipv6=dual
        )
    listener.listen(BACKLOG)
    return [listener]
