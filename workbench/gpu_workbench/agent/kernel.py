"""One ipykernel as a child process, driven by Jupyter's own messages.

Source: "Messaging in Jupyter", protocol 5.3. ``zmq`` and ``jupyter_client`` come with every ipykernel; of ``jupyter_client``
only ``session.Session`` is used, which has been the same since version 4.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu_workbench.agent.inkernel.outputs import MESSAGES_LIMIT
from gpu_workbench.core.wire import Json, JsonObject

START_LIMIT = 120.0
"""Seconds a kernel may take until it answers."""

_PORTS = ("shell", "iopub", "stdin", "control", "hb")


@dataclass(frozen=True)
class Message:
    """A message of a kernel: its type, what it answers, and what it says."""

    type: str
    parent: str
    content: JsonObject
    metadata: JsonObject = field(default_factory=dict)
    id: str = ""


class KernelDied(Exception):
    """The kernel's process is gone. ``code`` is its exit code, negative for a signal."""

    def __init__(self, code: int, tail: str) -> None:
        super().__init__(f"the kernel's process ended with {code}")
        self.code = code
        self.tail = tail


class Kernel:
    """A kernel process and its channels.

    Args:
        command: How to start it: the interpreter and the agent's archive or module.
        folder: Private folder for connection file and sockets; short, a Unix socket's path has 107 characters at most.
        work_dir: Its working directory.
        env: Its environment.
    """

    def __init__(self, *, command: list[str], folder: Path, work_dir: Path, env: Mapping[str, str]) -> None:
        self._command = command
        self._folder = folder
        self._work_dir = work_dir
        self._env = dict(env)
        self.values_socket = folder / "values"
        self.process: asyncio.subprocess.Process | None = None
        self.python = ""
        self._log = folder / "kernel.log"
        self._sockets: dict[str, Any] = {}
        self._context: Any = None
        self._session: Any = None
        self._dead = asyncio.Event()

    async def start(self) -> None:
        """Start the process and wait until it answers.

        Raises:
            KernelDied: it ended instead, or did not answer in time.
        """
        for name in (*_PORTS, "values"):
            for left in self._folder.glob(f"{name}*"):
                left.unlink()
        connection = self._write_connection()
        with self._log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self._command,
                "kernel",
                str(connection),
                str(self.values_socket),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._work_dir,
                env=self._env,
            )
        self._reaper = asyncio.create_task(self._reap())
        self._connect(connection)
        try:
            await asyncio.wait_for(self._greet(), START_LIMIT)
        except asyncio.TimeoutError:
            await self.kill()
            raise KernelDied(
                -signal.SIGKILL, f"no answer within {START_LIMIT:.0f} s\n{self.tail()}"
            ) from None

    def _write_connection(self) -> Path:
        path = self._folder / "connection.json"
        info: dict[str, Json] = {
            "transport": "ipc",
            "ip": str(self._folder / "k"),
            "key": secrets.token_hex(32),
            "signature_scheme": "hmac-sha256",
            "kernel_name": "",
        }
        info.update({f"{name}_port": number for number, name in enumerate(_PORTS, start=1)})
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(info))
        return path

    def _connect(self, connection: Path) -> None:
        import zmq
        import zmq.asyncio
        from jupyter_client.session import Session

        info = json.loads(connection.read_text())
        self._session = Session(key=info["key"].encode(), username="gpu-workbench")
        self._context = zmq.asyncio.Context()
        kinds = {"shell": zmq.DEALER, "control": zmq.DEALER, "stdin": zmq.DEALER, "iopub": zmq.SUB}
        identity = self._session.bsession
        for name, kind in kinds.items():
            made = self._context.socket(kind)
            made.linger = 0
            if kind == zmq.DEALER:
                made.setsockopt(zmq.IDENTITY, identity)
            else:
                made.setsockopt(zmq.SUBSCRIBE, b"")
                made.setsockopt(zmq.RCVHWM, MESSAGES_LIMIT)
            made.connect(f"ipc://{info['ip']}-{info[name + '_port']}")
            self._sockets[name] = made

    async def _greet(self) -> None:
        """Ask for the kernel's version until IOPub is heard as well: before that, output could pass unseen."""
        while True:
            asked = self.send("shell", "kernel_info_request", {})
            answered = asyncio.create_task(self._hello(asked))
            died = asyncio.create_task(self._dead.wait())
            done, pending = await asyncio.wait(
                {answered, died}, timeout=1.0, return_when=asyncio.FIRST_COMPLETED
            )
            for task in pending:
                task.cancel()
            if died in done:
                raise KernelDied(self.exit_code, self.tail())
            if answered in done:
                answered.result()
                return

    async def _hello(self, asked: str) -> None:
        reply = await self.receive("shell")
        while reply.type != "kernel_info_reply":
            reply = await self.receive("shell")
        info = reply.content.get("language_info")
        self.python = str(info.get("version", "")) if isinstance(info, dict) else ""
        while True:
            heard = await self.receive("iopub")
            if heard.type == "status":
                return

    async def _reap(self) -> None:
        assert self.process is not None
        await self.process.wait()
        self._dead.set()

    @property
    def alive(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and not self._dead.is_set()

    @property
    def exit_code(self) -> int:
        """Of the process that is gone; negative for a signal."""
        code = self.process.returncode if self.process is not None else None
        return 0 if code is None else code

    async def died(self) -> None:
        """Return when the process is gone."""
        await self._dead.wait()

    def tail(self, size: int = 4000) -> str:
        """The last of what the process wrote outside of its channels."""
        with contextlib.suppress(OSError):
            return self._log.read_bytes()[-size:].decode("utf-8", "replace")
        return ""

    def send(self, channel: str, kind: str, content: Mapping[str, Json]) -> str:
        """Send a message and return its id."""
        message = self._session.msg(kind, content=dict(content))
        # the plain socket's own send: a DEALER never blocks here, and the order of calls is the order of messages
        parts = self._session.serialize(message)
        self._sockets[channel].send_multipart(parts)
        return str(message["header"]["msg_id"])

    def execute(self, code: str, *, silent: bool = False, allow_stdin: bool = True) -> str:
        """Ask for ``code`` to be executed; returns the id its output and reply refer to."""
        return self.send(
            "shell",
            "execute_request",
            {
                "code": code,
                "silent": silent,
                "store_history": not silent,
                "user_expressions": {},
                "allow_stdin": allow_stdin,
                "stop_on_error": False,
            },
        )

    async def receive(self, channel: str) -> Message:
        """The next message of a channel."""
        return self._read(await self._sockets[channel].recv_multipart())

    async def receive_all(self, channel: str, limit: int) -> list[Message]:
        """The next message and those that lie behind it already, at most ``limit``."""
        import zmq

        messages = [await self.receive(channel)]
        plain = zmq.Socket.shadow(self._sockets[channel].underlying)
        with contextlib.suppress(zmq.Again):
            while len(messages) < limit:
                messages.append(self._read(plain.recv_multipart(zmq.NOBLOCK)))
        return messages

    def _read(self, parts: list[bytes]) -> Message:
        _, parts = self._session.feed_identities(parts)
        message: dict[str, Any] = self._session.deserialize(parts)
        parent = message.get("parent_header") or {}
        return Message(
            type=message["header"]["msg_type"],
            parent=parent.get("msg_id", ""),
            content=message["content"],
            metadata=message.get("metadata") or {},
            id=message["header"]["msg_id"],
        )

    def interrupt(self) -> None:
        """``KeyboardInterrupt`` in the cell that executes."""
        if self.alive and self.process is not None:
            self.process.send_signal(signal.SIGINT)

    async def kill(self, *, patience: float = 0.0) -> None:
        """End the process and what it started; ask first where ``patience`` seconds are given."""
        if self.process is None:
            return
        if self.alive and patience:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._dead.wait(), patience)
        self.signal(signal.SIGKILL)
        await self._dead.wait()
        self.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and to what it started."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def close(self) -> None:
        """Let go of the channels."""
        for made in self._sockets.values():
            made.close(linger=0)
        self._sockets.clear()
        if self._context is not None:
            self._context.term()
            self._context = None
