"""One ipykernel as a child process, driven by Jupyter's own messages.

Source: "Messaging in Jupyter", protocol 5.3. ``zmq`` comes with every ipykernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpu_workbench.agent.children import Child, Children, Tail
from gpu_workbench.agent.inkernel.nudge import NUDGE
from gpu_workbench.agent.inkernel.outputs import MESSAGES_LIMIT
from gpu_workbench.agent.launch import LaunchedKernel, launch_kernel
from gpu_workbench.agent.messages import Message, Messages
from gpu_workbench.agent.wires import Wire, hung_up
from gpu_workbench.core.exits import Exit
from gpu_workbench.core.wire import Json
from gpu_workbench.transport.timing import within

START_LIMIT = 120.0
"""Seconds a kernel may take until it answers."""

RECONNECT = 20
"""Milliseconds between two attempts to connect to a kernel that does not listen yet."""


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
        children: Looks after its process.
        launched: The process, where it is under way already.
    """

    def __init__(
        self,
        *,
        command: list[str],
        folder: Path,
        work_dir: Path,
        env: Mapping[str, str],
        children: Children,
        launched: LaunchedKernel | None = None,
    ) -> None:
        self._command = command
        self._children = children
        self._folder = folder
        self._work_dir = work_dir
        self._env = dict(env)
        self.values_socket = folder / "values"
        self._launched = launched
        self._child: Child | None = children.take(launched.process) if launched else None
        self.python = ""
        self._tail: Tail | None = None
        self._wires: dict[str, Wire] = {}
        self._monitor: Wire | None = None
        self._context: Any = None
        self._dead = asyncio.Event()

    async def start(self) -> None:
        """Start the process and wait until it answers.

        Raises:
            KernelDied: it ended instead, or did not answer in time.
        """
        launched = self._launched
        if launched is None:
            launched = launch_kernel(
                self._command, folder=self._folder, work_dir=self._work_dir, env=self._env
            )
            self._child = self._children.take(launched.process)
        self._tail = Tail(launched.tail)
        self._reaper = asyncio.create_task(self._reap())
        try:
            self._connect(launched.connection)
        except ModuleNotFoundError as error:  # pyzmq comes with ipykernel
            await self.kill()
            raise KernelDied(Exit.NO_IPYKERNEL, str(error)) from None
        try:
            await within(self._greet(), START_LIMIT)
        except asyncio.TimeoutError:
            await self.kill()
            raise KernelDied(
                -signal.SIGKILL, f"no answer within {START_LIMIT:.0f} s\n{self.tail()}"
            ) from None

    def _connect(self, connection: Path) -> None:
        import zmq

        info = json.loads(connection.read_text())
        self._messages = Messages(info["key"].encode())
        self._context = zmq.Context()
        kinds = {"shell": zmq.DEALER, "control": zmq.DEALER, "stdin": zmq.DEALER, "iopub": zmq.SUB}
        for name, kind in kinds.items():
            made = self._context.socket(kind)
            made.setsockopt(zmq.RECONNECT_IVL, RECONNECT)
            if kind == zmq.DEALER:
                made.setsockopt(zmq.IDENTITY, self._messages.session.encode())
            else:
                made.setsockopt(zmq.SUBSCRIBE, b"")
                made.setsockopt(zmq.RCVHWM, MESSAGES_LIMIT)
                self._monitor = Wire(made.get_monitor_socket(zmq.EVENT_DISCONNECTED))
            made.connect(f"ipc://{info['ip']}-{info[name + '_port']}")
            self._wires[name] = Wire(made)

    async def _greet(self) -> None:
        """Ask for the kernel's version until IOPub is heard as well: before that, output could pass unseen."""
        talk = asyncio.create_task(self._talk())
        died = asyncio.create_task(self._dead.wait())
        try:
            await asyncio.wait({talk, died}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (talk, died):
                task.cancel()
        if not talk.done():
            raise KernelDied(self.exit_code, self.tail())
        talk.result()

    async def _talk(self) -> None:
        while True:
            asked = self.send("shell", "kernel_info_request", {})
            reply = (await self.receive("shell", 1))[0]
            while reply.parent != asked:
                reply = (await self.receive("shell", 1))[0]
            info = reply.content.get("language_info")
            self.python = str(info.get("version", "")) if isinstance(info, dict) else ""
            with contextlib.suppress(asyncio.TimeoutError):
                return await within(self._hear(asked), 0.5)

    async def _hear(self, asked: str) -> None:
        """Return once IOPub has told that ``asked`` is done with."""
        while True:
            for heard in await self.receive("iopub", 64):
                done = heard.type == "status" and heard.content.get("execution_state") == "idle"
                if done and heard.parent == asked:
                    return

    async def _reap(self) -> None:
        assert self._child is not None
        await self._children.wait(self._child)
        self._dead.set()

    @property
    def alive(self) -> bool:
        """Whether its process is there."""
        return self._child is not None and not self._dead.is_set()

    @property
    def exit_code(self) -> int:
        """Of the process that is gone; negative for a signal."""
        return (self._child.code if self._child is not None else None) or 0

    async def died(self) -> None:
        """Return when the process is gone."""
        await self._dead.wait()

    def tail(self) -> str:
        """The last of what the process wrote outside of its channels."""
        return self._tail.text() if self._tail is not None else ""

    def send(
        self,
        channel: str,
        kind: str,
        content: Mapping[str, Json],
        *,
        metadata: Mapping[str, Json] | None = None,
    ) -> str:
        """Send a message and return its id."""
        wire = self._wires.get(channel)
        if wire is None:
            raise ConnectionError("the kernel is not there")
        asked, frames = self._messages.pack(kind, content, metadata=metadata)
        wire.send(frames)
        return asked

    def execute(
        self,
        code: str,
        *,
        silent: bool = False,
        allow_stdin: bool = True,
        metadata: Mapping[str, Json] | None = None,
    ) -> str:
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
            metadata=metadata,
        )

    async def receive(self, channel: str, limit: int) -> list[Message]:
        """The next message of a channel and those that lie behind it already, at most ``limit``."""
        return [self._messages.unpack(parts) for parts in await self._wires[channel].receive(limit)]

    async def last_words(self, *, patience: float = 2.0) -> list[Message]:
        """What a process that died had still sent on IOPub. Nobody else may be receiving from it then.

        What it started is killed first: a fork would hold the connection open.
        """
        self.signal(signal.SIGKILL)
        messages: list[Message] = []
        assert self._monitor is not None
        ended = asyncio.create_task(hung_up(self._monitor))
        try:
            end = asyncio.get_running_loop().time() + patience
            while not ended.done() and asyncio.get_running_loop().time() < end:
                messages += [
                    self._messages.unpack(parts) for parts in self._wires["iopub"].take(MESSAGES_LIMIT)
                ]
                await asyncio.wait({ended}, timeout=0.01)
        finally:
            ended.cancel()
        while taken := self._wires["iopub"].take(MESSAGES_LIMIT):
            messages += [self._messages.unpack(parts) for parts in taken]
        return messages

    def interrupt(self) -> None:
        """``KeyboardInterrupt`` in the cell that executes, and in the programs it has started."""
        if self.alive:
            self.signal(signal.SIGINT)

    def nudge(self) -> None:
        """Have it look for an interrupt that came just before a call in which it waits now.

        Python notes a signal and looks for it between two steps; a call that begins right then waits all the same. Any
        signal ends that wait, and this one means nothing: the cell hears of one interrupt, and once.
        """
        if self.alive:
            self.signal(NUDGE)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and to what it started."""
        if self._child is not None:
            self._child.signal(number)

    async def end(self, *, patience: float) -> None:
        """Ask the process to end, and wait for that, at most ``patience`` seconds."""
        if self.alive:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(asyncio.TimeoutError):
                await within(self._dead.wait(), patience)

    async def kill(self) -> None:
        """End the process and what it started."""
        if self._child is not None:
            self.signal(signal.SIGKILL)
            await self._dead.wait()
        self.close()

    def close(self) -> None:
        """Let go of the channels."""
        if self._tail is not None:
            self._tail.close()
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
        for wire in self._wires.values():
            wire.close()
        self._wires.clear()
        if self._context is not None:
            self._context.term()
            self._context = None
