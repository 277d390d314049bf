"""The processes this agent started, and, where it is the first process of its container, those that were left to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_RETRY = 0.2
"""Seconds until a dead child that somebody else is to wait for is looked at again."""


class Child:
    """A process of ours, the leader of a session, and so of a process group, of its own.

    Args:
        process: The process. It may have been started before there was an event loop.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._gone = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.pid = process.pid
        try:
            watched = os.pidfd_open(process.pid)
        except (OSError, AttributeError):  # not Linux, an old one, or a sandbox that does not offer it
            threading.Thread(target=self._wait_in_thread, name=f"wait for {self.pid}", daemon=True).start()
        else:
            self._loop.add_reader(watched, self._ended, watched)

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; ``None`` while it is there."""
        return self._process.returncode

    async def wait(self) -> int:
        """Return the exit code once the process is gone."""
        await self._gone.wait()
        assert self.code is not None
        return self.code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to what it started in turn."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _ended(self, watched: int) -> None:
        self._loop.remove_reader(watched)
        os.close(watched)
        self._process.wait()
        self._gone.set()

    def _wait_in_thread(self) -> None:
        self._process.wait()
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(self._gone.set)


class Children:
    """Starts processes, and buries the dead that nobody else waits for.

    Each :class:`Child` waits for its own pid; a wait for any child would steal their exit codes.
    """

    def __init__(self) -> None:
        self._own: set[int] = set()
        self._again: asyncio.TimerHandle | None = None

    def spawn(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: int,
        stdout: Any,
        stderr: Any,
    ) -> Child:
        """Start a process.

        Raises:
            OSError: there is no such program, or it may not be run.
        """
        return self.take(
            subprocess.Popen(
                command, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
            )
        )

    def take(self, process: subprocess.Popen[bytes]) -> Child:
        """Look after a process that was started in a session of its own."""
        self._own.add(process.pid)
        return Child(process)

    async def wait(self, child: Child) -> int:
        """Return the exit code once the process is gone; negative for a signal."""
        code = await child.wait()
        self._own.discard(child.pid)
        return code

    def adopt(self) -> None:
        """Bury orphans from now on, if this is the first process of its container: only that one is given them."""
        if os.getpid() == 1 and hasattr(os, "waitid"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._bury)

    def _bury(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if dead is None:
                    return
                if dead.si_pid in self._own:  # it is waited for, and others may lie behind it
                    break
                os.waitpid(dead.si_pid, os.WNOHANG)
            if self._again is None or self._again.when() <= asyncio.get_running_loop().time():
                self._again = asyncio.get_running_loop().call_later(_RETRY, self._bury)


class Tail:
    """The last of what a process writes to a pipe; all before it is forgotten. For the thread of one event loop.

    Args:
        reading: The pipe's reading end.
        size: Bytes that are kept.
    """

    def __init__(self, reading: int, *, size: int = 8000) -> None:
        self._size = size
        self._kept = b""
        self._reading = reading
        os.set_blocking(reading, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(reading, self._read)

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
