"""A real jupyter_server with our extension, in a process of its own, and a browser tab's way of speaking to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.ports import free_port

READY = 60.0

USERS = """
from jupyter_server.auth.identity import IdentityProvider, User

class Named(IdentityProvider):
    '''Whoever says a name in a header has it.'''
    def get_user(self, handler):
        name = handler.request.headers.get("x-user", "")
        return User(username=name) if name else None
    def should_check_origin(self, handler):
        return True

c.ServerApp.identity_provider_class = Named
c.ServerApp.disable_check_xsrf = True
"""
"""Configuration of a server with several users."""


@dataclass(frozen=True)
class Server:
    """A running server.

    Args:
        url: Where it answers, without a slash at the end.
        token: Of its owner.
        log: What it wrote.
        pid: Its process.
    """

    url: str
    token: str
    log: Path
    pid: int

    @property
    def headers(self) -> dict[str, str]:
        """What shows that its owner asks."""
        return {"Authorization": f"token {self.token}"}

    @contextlib.asynccontextmanager
    async def client(self, **headers: str) -> AsyncIterator[aiohttp.ClientSession]:
        """An HTTP client; its owner's, or one with other headers in place of the token."""
        async with aiohttp.ClientSession(headers=headers or self.headers) as session:
            yield session


@contextlib.contextmanager
def jupyter_server(
    folder: Path, *, env: Mapping[str, str], config: str = "", prefix: str = ""
) -> Iterator[Server]:
    """Start one that knows nothing of this machine's user.

    Args:
        folder: For its settings and log; notebooks are in it.
        env: Further variables.
        config: Lines of its configuration file.
        prefix: Its base URL, as JupyterHub sets one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places = {
        name: str(folder / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    }
    settings = folder / "jupyter_config_dir"
    settings.mkdir(exist_ok=True)
    lines = ["c = get_config()", "c.ServerApp.jpserver_extensions = {'gpu_workbench': True}", config]
    (settings / "jupyter_server_config.py").write_text("\n".join(lines))
    port = free_port()
    token, log = secrets.token_hex(16), folder / "server.log"
    command = [
        *(sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser", "--ip=127.0.0.1"),
        *(f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"),
        f"--ServerApp.base_url={prefix or '/'}",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={
                **os.environ,
                **places,
                "JUPYTER_TOKEN": token,
                "XDG_CONFIG_HOME": str(folder / "xdg"),
                "GPU_WORKBENCH_DATA_DIR": str(folder / "data"),
                **env,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_listening(port, process, log)
            yield Server(f"http://127.0.0.1:{port}{prefix}", token, log, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def shared_server(folder: Path, *, env: Mapping[str, str]) -> AbstractContextManager[Server]:
    """A server with two users, started for ada as JupyterHub does.

    Args:
        folder: For its settings and log.
        env: Further variables.
    """
    hub = {**env, "JUPYTERHUB_USER": "ada"}
    return jupyter_server(folder, env=hub, config=USERS, prefix="/user/ada")


def _wait_until_listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"the server did not come up:\n{log.read_text()}")


class Tab:
    """A browser tab: what it was sent of each topic, put together as a browser does."""

    def __init__(self, socket_: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket_
        self.states: dict[str, dict[str, Any]] = {}
        self.messages: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []

    async def say(self, form: dict[str, Any]) -> None:
        await self.socket.send_str(json.dumps(form))

    async def subscribe(self, topic: str) -> None:
        await self.say({"subscribe": topic})

    async def unsubscribe(self, topic: str) -> None:
        await self.say({"unsubscribe": topic})

    async def receive(self, seconds: float = 30.0) -> dict[str, Any]:
        """The next message, taken in."""
        answer = await asyncio.wait_for(self.socket.receive(), seconds)
        assert answer.type is aiohttp.WSMsgType.TEXT, answer
        form: dict[str, Any] = json.loads(answer.data)
        self.messages.append(form)
        if "error" in form:
            self.errors.append(form)
        elif "state" in form:
            self.states[form["topic"]] = form["state"]
        else:
            state = self.states[form["topic"]]
            state.update(form["set"])
            for name in form["gone"]:
                del state[name]
        return form

    async def until(self, condition: Any, seconds: float = 60.0) -> None:
        """Receive until ``condition`` of the states holds."""
        end = time.monotonic() + seconds
        while not condition(self.states):
            await self.receive(end - time.monotonic())


@contextlib.asynccontextmanager
async def tab(server: Server, **headers: str) -> AsyncIterator[Tab]:
    """Open a tab's WebSocket."""
    async with (
        server.client(**headers) as client,
        client.ws_connect(f"{server.url}/gpu-workbench/api/live") as socket_,
    ):
        yield Tab(socket_)
