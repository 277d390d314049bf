"""The *script* payload: one plain Python process, its output read from pipes."""

from __future__ import annotations

import asyncio
import codecs
import os
import platform
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from gpu_workbench.agent.children import Child, Children
from gpu_workbench.agent.conductor import Conductor
from gpu_workbench.agent.exits import describe_death
from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.payload import WithoutKernel
from gpu_workbench.agent.progress import newest_progress
from gpu_workbench.agent.runs import Run, Runs
from gpu_workbench.core import events as e
from gpu_workbench.core.model import Cause, Failure, Phase
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.core.wire import JsonObject

_READ = 256 * 1024
_LEFT_OPEN = 2.0
"""Seconds for which output of processes that outlived the script, and even its process group, is still read."""

_TAIL = 4000


class Script(WithoutKernel):
    """Runs a script and journals what happens.

    Args:
        command: The interpreter, and what follows it.
        work_dir: Working directory.
        env: Environment.
        journal: Where events go.
        runs: Knows the one run there will be.
        children: Starts the process.
        generation: How often it was started before.
        conductor: Has other ranks take part; ``None`` where there are none.
        up: Called when it can take the run.
    """

    def __init__(
        self,
        *,
        command: list[str],
        work_dir: Path,
        env: Mapping[str, str],
        journal: Journal,
        runs: Runs,
        children: Children,
        generation: int = 0,
        conductor: Conductor | None = None,
        up: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(runs, generation=generation)
        self._conductor = conductor or Conductor()
        self._up = up
        self._command = command
        self._work_dir = work_dir
        self._env = env
        self._journal = journal
        self._children = children
        self._process: Child | None = None
        self._work_task: asyncio.Task[None] | None = None
        self._tail = ""
        self._stopped: tuple[Phase, Failure] | None = None

    @property
    def python(self) -> str:
        """The agent's own; the script's is not known without running it."""
        return platform.python_version()

    async def start(self) -> None:
        """Be ready for the run; its process starts with it."""
        if self._up is not None:
            self._up()
        self._work_task = asyncio.create_task(self._work())

    async def stop(self, phase: Phase, failure: Failure, *, patience: float) -> None:
        """End the process, which is given ``patience`` seconds for that; its last output is still read."""
        if self._work_task is None or self.runs.current is None:
            self.runs.end_all(phase, failure)
            return
        self._stopped = phase, failure
        self._conductor.leave()
        if self._process is not None:
            self._process.signal(signal.SIGTERM)
        await asyncio.wait({self._work_task}, timeout=patience)
        if self._process is not None:
            self._process.signal(signal.SIGKILL)
        await asyncio.wait({self._work_task})

    def submit(self, spec: RunSpec) -> tuple[JsonObject, bool]:
        """Queue the run."""
        return self.runs.submit(spec)

    def interrupt(self, run_id: str, *, grade: int) -> JsonObject:
        """Ctrl-C for the script and all it started, or their end.

        Raises:
            HttpError: 404, no such run; 409, it is over.
        """
        run = self.runs.living(run_id)
        if run is not self.runs.current:
            self.runs.withdraw(run)
            return {"was": "queued"}
        another = run.interrupt()
        self._conductor.interrupt(run_id, grade=grade)
        run.restart = run.restart or grade >= 2
        if self._process is not None and (another or run.restart):
            self._process.signal(signal.SIGKILL if run.restart else signal.SIGINT)
        return {"was": "running"}

    async def _work(self) -> None:
        while True:
            await self._conductor.ready()
            run = await self.runs.next()
            failure = self._conductor.begin(run)
            phase, failure = (Phase.FAILED, failure) if failure else await self._attempt(run)
            phase, failure = await self._conductor.settle(phase, failure)
            reason = self._conductor.again()
            if not reason or self._stopped is not None:
                break
            self.generation += 1
            self._journal.append(e.PayloadRestarted(generation=self.generation, reason=reason))
            self.runs.again(run)
            if self._up is not None:
                self._up()
        self.runs.end(run, phase, failure, others=self._conductor.receipts())

    async def _attempt(self, run: Run) -> tuple[Phase, Failure | None]:
        try:
            return self._outcome(run, await self._execute(run))
        except OSError as error:
            return Phase.FAILED, Failure(Cause.NOT_STARTED, f"Python cannot be started: {error}")

    async def _execute(self, run: Run) -> int:
        if run.interrupted:
            return -signal.SIGINT
        pipes = {name: os.pipe() for name in ("stdout", "stderr")}
        readers = {asyncio.create_task(self._read(pipe[0], name, run.id)) for name, pipe in pipes.items()}
        try:
            process = self._process = self._children.spawn(
                self._command,
                cwd=self._work_dir,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=pipes["stdout"][1],
                stderr=pipes["stderr"][1],
            )
        finally:
            for _, end in pipes.values():
                os.close(end)
        self._journal.append(e.RankStarted(python=self.python))
        code = await self._children.wait(process)
        process.signal(signal.SIGKILL)  # what it left behind would hold its devices
        _, open_ = await asyncio.wait(readers, timeout=_LEFT_OPEN)
        for reader in open_:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        return code

    async def _read(self, pipe: int, name: str, run: str) -> None:
        """Journal what comes out of a pipe until nobody can write to it any more."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", 0)
        )
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        try:
            while data := await reader.read(_READ):
                self._written(name, decoder.decode(data), run)
            self._written(name, decoder.decode(b"", final=True), run)
        finally:
            transport.close()

    def _written(self, name: str, text: str, run: str) -> None:
        if not text:
            return
        event = e.OutputWritten(run, "stream", {"name": name, "text": text})
        self._journal.extend([event, *newest_progress([event])])
        if name == "stderr":
            self._tail = (self._tail + text)[-_TAIL:]

    def _outcome(self, run: Run, code: int) -> tuple[Phase, Failure | None]:
        if self._stopped is not None:
            return self._stopped
        if code == 0:
            return Phase.SUCCEEDED, None
        if run.interrupted:
            return Phase.STOPPED, Failure(Cause.INTERRUPTED, "It was interrupted", self._tail)
        if code > 0:
            what = f"The script ended with exit code {code}"
            return Phase.FAILED, Failure(Cause.USER_ERROR, what, self._tail, exit_code=code)
        return Phase.FAILED, describe_death(code, tail=self._tail, who="The script's process")
