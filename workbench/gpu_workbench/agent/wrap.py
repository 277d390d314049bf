"""The *wrap* payload: a server of somebody else's, a Dask scheduler, with the agent around it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpu_workbench.agent.children import Child, Children
from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.kernel import KernelDied
from gpu_workbench.agent.launch import LaunchedScheduler, launch_scheduler
from gpu_workbench.agent.payload import WithoutKernel
from gpu_workbench.agent.runs import Runs
from gpu_workbench.core import events as e
from gpu_workbench.core.errors import ProtocolError
from gpu_workbench.core.model import DaskState, Failure, Phase
from gpu_workbench.core.wire import JsonObject, decode

_TAIL = 4000


class Wrapped(WithoutKernel):
    """Runs a Dask scheduler and journals what it says of its cluster.

    Args:
        command: The interpreter, and what follows it.
        folder: Private folder for the socket on which its preload speaks.
        work_dir: Working directory.
        env: Environment.
        journal: Where events go.
        runs: There will be none.
        children: Starts the process.
        clock: The agent's seconds.
        launched: The process, where it is under way already.
    """

    what = "a Dask cluster"

    def __init__(
        self,
        *,
        command: list[str],
        folder: Path,
        work_dir: Path,
        env: Mapping[str, str],
        journal: Journal,
        runs: Runs,
        children: Children,
        clock: Callable[[], float],
        launched: LaunchedScheduler | None = None,
    ) -> None:
        super().__init__(runs)
        self._command = command
        self._folder = folder
        self._work_dir = work_dir
        self._env = env
        self._journal = journal
        self._children = children
        self._clock = clock
        self._launched = launched
        self._process: Child | None = children.take(launched.process) if launched else None
        self._stdin = -1
        self._output = b""
        self._server: asyncio.Server | None = None
        self._speaking: asyncio.StreamWriter | None = None
        self._heard = asyncio.Event()
        self._told: JsonObject = {}
        self.state = DaskState()
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The exit code of its process, once that is gone."""

    async def start(self) -> None:
        """Start the scheduler, and wait until it speaks.

        Raises:
            KernelDied: its process ended before it did.
        """
        launched = self._launched
        if launched is None:
            launched = launch_scheduler(
                self._command, folder=self._folder, work_dir=self._work_dir, env=self._env
            )
            self._process = self._children.take(launched.process)
        assert self._process is not None
        self._stdin = launched.orders
        self._server = await asyncio.start_unix_server(self._listen, sock=launched.listener, limit=2**22)
        asyncio.get_running_loop().add_reader(launched.output, self._read, launched.output)
        self._waiting = asyncio.create_task(self._wait(self._process))
        heard = asyncio.create_task(self._heard.wait())
        try:
            first: set[asyncio.Future[Any]] = {heard, self.ended}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        finally:
            heard.cancel()
        if self.ended.done():
            raise KernelDied(self.ended.result(), self.tail())
        self._journal.append(e.RankStarted(python=self.python))

    async def _wait(self, process: Child) -> None:
        code = await self._children.wait(process)
        process.signal(signal.SIGKILL)  # workers that it left behind
        await asyncio.sleep(0)  # what it printed last is read first
        self.ended.set_result(code)

    def _read(self, reading: int) -> None:
        """Pass its output on, to where ``kubectl logs`` shows it, and remember the last of it."""
        data = os.read(reading, 2**16)
        if not data:
            asyncio.get_running_loop().remove_reader(reading)
            os.close(reading)
            return
        self._output = (self._output + data)[-_TAIL:]
        with contextlib.suppress(OSError):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def tail(self) -> str:
        """The last of what it printed."""
        return self._output.decode("utf-8", "replace")

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._speaking = writer
        self._say({"idle_since": None, **self._told})
        try:
            while line := await reader.readline():
                self._take(line)
        except (ValueError, ConnectionError):
            pass
        finally:
            writer.close()

    def _take(self, line: bytes) -> None:
        with contextlib.suppress(ValueError, ProtocolError):
            form = json.loads(line)
            if not isinstance(form, dict):
                return
            state = decode(DaskState, form)
            if state.idle_since is not None:  # by the wall clock of the same machine
                since = self._clock() - max(0.0, time.time() - state.idle_since)
                state = replace(state, idle_since=round(since, 1))
            self.state = state
            self._journal.append(e.DaskSampled(state=state))
            self._heard.set()

    def tell(self, **form: object) -> None:
        """Tell the scheduler's preload something; what it is to know is said again to a new one."""
        self._told.update({key: value for key, value in form.items() if key != "shrink"})  # type: ignore[misc]
        self._say(form)

    def of_no_use_since(self, moment: float | None) -> None:
        """Tell who ends idle clusters since when this one is idle, in the agent's seconds; ``None``: it is not."""
        since = None if moment is None else round(time.time() + moment - self._clock())
        if since != self._told.get("idle_since"):
            self.tell(idle_since=since)

    def _say(self, form: Mapping[str, object]) -> None:
        if self._speaking is not None and not self._speaking.is_closing():
            self._speaking.write(json.dumps(form).encode() + b"\n")

    def order(self, **form: object) -> None:
        """Tell the process itself something, on its standard input."""
        with contextlib.suppress(OSError):
            os.write(self._stdin, json.dumps(form).encode() + b"\n")

    @property
    def python(self) -> str:
        """The agent's own, whose interpreter it is."""
        return platform.python_version()

    async def stop(self, phase: Phase, failure: Failure, *, patience: float) -> None:
        """End the process, which is given ``patience`` seconds for that."""
        self.runs.end_all(phase, failure)
        if self._process is not None and not self.ended.done():
            self._process.signal(signal.SIGTERM)
            await asyncio.wait({self.ended}, timeout=patience)
            self._process.signal(signal.SIGKILL)
            await asyncio.wait({self.ended}, timeout=patience)
        if self._server is not None:
            self._server.close()
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1
