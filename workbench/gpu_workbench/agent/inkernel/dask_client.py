"""In the kernel that drives a Dask cluster: ``client`` is connected before the first cell, and a bar follows the tasks.

Dask's own configuration, in the environment, says where the scheduler is.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import os
import sys
import time
from typing import Any

from gpu_workbench.core.bars import bar
from gpu_workbench.core.errors import ProtocolError
from gpu_workbench.core.model import DaskTasks
from gpu_workbench.core.wire import decode

DRIVES = "GPU_WORKBENCH_DRIVES"
"""Environment variable with the id of the cluster; not there in other kernels."""

FIRST_BAR = 1.0
"""Seconds that a computation takes before it is worth a bar."""

INTERVAL = 0.5


class Driver:
    """The client of one kernel, and its bar.

    Args:
        shell: IPython's.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._client: Any = None
        self._following: asyncio.Task[None] | None = None
        self._bar: Bar | None = None

    def before(self) -> None:
        """Before a cell: have a client, and look after its tasks."""
        if self._client is None or self._client.status != "running":
            self._connect()
        if self._client is not None:
            self._client.loop.asyncio_loop.call_soon_threadsafe(self._follow)

    def _connect(self) -> None:
        """A client, which is Dask's default, under its usual name unless the user has that for something else."""
        from distributed import Client

        former, space = self._client, self._shell.user_ns
        self._client = Client(set_as_default=True)
        if space.get("client") is former:
            space["client"] = self._client
            self._shell.user_ns_hidden["client"] = self._client

    def _follow(self) -> None:
        self._bar = Bar(self._client)
        self._following = asyncio.ensure_future(self._bar.follow())

    def after(self) -> None:
        """After a cell: its bar is as it will stay."""
        if self._client is None:
            return
        leaving = asyncio.run_coroutine_threadsafe(self._leave(), self._client.loop.asyncio_loop)
        with contextlib.suppress(concurrent.futures.TimeoutError):
            leaving.result(2.0)

    async def _leave(self) -> None:
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        if self._bar is not None:
            await self._bar.finish()


class Bar:
    """Follows the tasks of one cell, on the client's event loop.

    Args:
        client: Of the cluster.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._drawn = ""
        self._began: float | None = None

    async def follow(self) -> None:
        """Draw until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            tasks = await self._ask()
            if tasks is not None and tasks.open:
                self._began = self._began or time.monotonic()
                if time.monotonic() - self._began >= FIRST_BAR:
                    self._draw(tasks)
            else:
                await self.finish(tasks)

    async def finish(self, tasks: DaskTasks | None = None) -> None:
        """The computation, or its cell, is over: the bar is as it was last, and stays."""
        if self._drawn:
            tasks = tasks or await self._ask()
            if tasks is not None:
                self._draw(tasks)
            sys.stderr.write("\n")
            sys.stderr.flush()
        self._drawn, self._began = "", None

    async def _ask(self) -> DaskTasks | None:
        try:
            return decode(DaskTasks, json.loads(await self._client.scheduler.gpu_workbench_tasks()))
        except (OSError, ProtocolError, ValueError, TypeError, AttributeError):
            return None

    def _draw(self, tasks: DaskTasks) -> None:
        line = bar(tasks, elapsed=time.monotonic() - (self._began or time.monotonic()))
        sys.stderr.write(f"\r{line:<{len(self._drawn)}}")
        sys.stderr.flush()
        self._drawn = line


def install(shell: Any) -> None:
    """Have the kernel drive its cluster, where it has one."""
    if not os.environ.get(DRIVES):
        return
    driver = Driver(shell)
    shell.events.register("pre_run_cell", lambda _: driver.before())
    shell.events.register("post_run_cell", lambda _: driver.after())
