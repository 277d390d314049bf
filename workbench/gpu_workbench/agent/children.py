"""The processes this agent started, and, where it is the first process of its container, those that were left to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_RETRY = 0.2
"""Seconds until a dead child that somebody else is to wait for is looked at again."""


class Children:
    """Starts processes, and buries the dead that nobody else waits for.

    Those it started belong to the event loop, which waits for each by its pid; a wait for any child would steal them.
    """

    def __init__(self) -> None:
        self._own: set[int] = set()
        self._starting = 0
        self._again: asyncio.TimerHandle | None = None

    async def spawn(
        self, *command: str, cwd: Path, env: Mapping[str, str], stdin: int, stdout: Any, stderr: Any
    ) -> asyncio.subprocess.Process:
        """Start a process in a session, and so a process group, of its own."""
        self._starting += 1
        try:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
            )
            self._own.add(process.pid)
        finally:
            self._starting -= 1
        return process

    async def wait(self, process: asyncio.subprocess.Process) -> int:
        """Return the exit code once the process is gone; negative for a signal."""
        code = await process.wait()
        self._own.discard(process.pid)
        return code

    def adopt(self) -> None:
        """Bury orphans from now on, if this is the first process of its container: only that one is given them."""
        if os.getpid() == 1 and hasattr(os, "waitid"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._bury)

    def _bury(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while not self._starting:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if dead is None:
                    return
                if dead.si_pid in self._own:  # the loop is about to take it, and others may lie behind it
                    break
                os.waitpid(dead.si_pid, os.WNOHANG)
            if self._again is None or self._again.when() <= asyncio.get_running_loop().time():
                self._again = asyncio.get_running_loop().call_later(_RETRY, self._bury)


def signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to a process that :meth:`Children.spawn` started, and to what it started in turn."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


class Tail:
    """The last of what a process writes to a pipe; all before it is forgotten. For the thread of one event loop."""

    def __init__(self, size: int = 8000) -> None:
        self._size = size
        self._kept = b""
        self._reading, self.end = os.pipe()
        os.set_blocking(self._reading, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._reading, self._read)

    def given(self) -> None:
        """The process has its end of the pipe now."""
        os.close(self.end)

    def _read(self) -> bool:
        try:
            data = os.read(self._reading, 2**16)
        except (BlockingIOError, ValueError, OSError):
            return False
        if not data:
            self._loop.remove_reader(self._reading)
        self._kept = (self._kept + data)[-self._size :]
        return bool(data)

    def text(self) -> str:
        """What is there by now."""
        if self._reading >= 0:
            while self._read():
                pass
        return self._kept.decode("utf-8", "replace")

    def close(self) -> None:
        """Read no more; what was read stays."""
        if self._reading >= 0:
            self.text()
            self._loop.remove_reader(self._reading)
            os.close(self._reading)
            self._reading = -1
