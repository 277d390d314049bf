"""The *session* payload: runs, one at a time, in one warm kernel."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field

from gpu_workbench.agent.exits import describe_death
from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.kernel import Kernel, KernelDied, Message
from gpu_workbench.agent.outputs import output_events
from gpu_workbench.agent.progress import read_progress
from gpu_workbench.agent.receipts import Meter
from gpu_workbench.agent.values import KernelValues, ReadInto
from gpu_workbench.core import events as e
from gpu_workbench.core.model import Cause, Failure, GpuDevice, GpuSample, NameInfo, Phase, StoredValue
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.core.wire import Json, JsonObject, decode
from gpu_workbench.transport.server import HttpError, Sender

_PARENTS_KEPT = 512
_DRAIN_LIMIT = 5.0
_BIND = "__import__('sys').modules['_gwb_session'].bind({run!r})"


@dataclass
class _Run:
    """A run that was accepted and is not over."""

    spec: RunSpec
    queued_at: float
    parent: str = ""
    executing: bool = False
    interrupted: int = 0
    restart: bool = False
    reply: asyncio.Future[JsonObject] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    drained: asyncio.Event = field(default_factory=asyncio.Event)
    inputs: set[str] = field(default_factory=set)


class Session:
    """Runs cells in a kernel and journals what happens.

    Args:
        make_kernel: Makes a kernel that has not been started.
        journal: Where events go.
        clock: The agent's seconds.
        devices: The GPUs of this rank.
        generation: Of the payload that is started first.
    """

    def __init__(
        self,
        *,
        make_kernel: Callable[[], Kernel],
        journal: Journal,
        clock: Callable[[], float],
        devices: Callable[[], tuple[GpuDevice, ...]],
        generation: int = 0,
    ) -> None:
        self._make_kernel = make_kernel
        self._journal = journal
        self._clock = clock
        self._devices = devices
        self.generation = generation
        self.kernel = make_kernel()
        self._values = KernelValues(self.kernel.values_socket)
        self._queue: deque[_Run] = deque()
        self._current: _Run | None = None
        self._over: OrderedDict[str, Phase] = OrderedDict()
        self._parents: OrderedDict[str, str] = OrderedDict()
        self._last_run = ""
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._meter: Meter | None = None
        self.names: dict[str, JsonObject] = {}
        self._sent: dict[str, dict[str, str]] = {}
        self.idle_since: float | None = None
        """When the last run ended, in the agent's seconds; ``None`` while one executes or waits."""

    # life

    async def start(self) -> None:
        """Start the kernel and begin to take runs.

        Raises:
            KernelDied: it did not come up.
        """
        await self._start_kernel()
        self.idle_since = self._clock()
        self._tasks.append(asyncio.create_task(self._work()))

    async def _start_kernel(self) -> None:
        await self.kernel.start()
        self._pumps = [
            asyncio.create_task(pump())
            for pump in (self._pump_outputs, self._pump_replies, self._pump_inputs)
        ]
        self._journal.append(e.RankStarted(python=self.kernel.python))

    async def _stop_kernel(self, *, patience: float) -> None:
        for pump in getattr(self, "_pumps", []):
            pump.cancel()
        await asyncio.gather(*getattr(self, "_pumps", []), return_exceptions=True)
        self._values.close()
        await self.kernel.kill(patience=patience)

    async def _replace_kernel(self, reason: str) -> None:
        await self._stop_kernel(patience=0)
        self.generation += 1
        self.names.clear()
        self._journal.append(e.PayloadRestarted(generation=self.generation, reason=reason))
        self.kernel = self._make_kernel()
        self._values = KernelValues(self.kernel.values_socket)
        await self._start_kernel()

    async def stop(self, reason: str) -> None:
        """End what runs and waits, then the kernel."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        failure = Failure(Cause.STOPPED, reason)
        for run in ([self._current] if self._current else []) + list(self._queue):
            self._end(run, Phase.STOPPED, failure)
        self._queue.clear()
        await self._stop_kernel(patience=2.0)

    # asked from outside

    def submit(self, spec: RunSpec) -> tuple[JsonObject, bool]:
        """Queue a run. Returns its place and whether it is new; the same id again changes nothing."""
        known = self._find(spec.id)
        if known is not None or spec.id in self._over:
            phase = self._over.get(spec.id) or (Phase.RUNNING if known is self._current else Phase.QUEUED)
            return {**self._place(spec.id), "phase": phase.value}, False
        run = _Run(spec, queued_at=self._clock())
        ahead = self._ahead()
        self._queue.append(run)
        self._journal.append(
            e.RunQueued(
                run=spec.id,
                name=spec.name,
                notebook=spec.notebook,
                cell_id=spec.cell_id,
                ahead=tuple(ahead),
            )
        )
        self.idle_since = None
        self._wake.set()
        return {**self._place(spec.id), "phase": Phase.QUEUED.value}, True

    def _ahead(self) -> list[str]:
        current = [self._current] if self._current and self._current.spec.id not in self._over else []
        return [run.spec.id for run in current + list(self._queue)]

    def _place(self, run_id: str) -> JsonObject:
        ahead: list[Json] = []
        for other in self._ahead():
            if other == run_id:
                break
            ahead.append(other)
        return {"place": len(ahead), "ahead": ahead, "generation": self.generation}

    def _find(self, run_id: str) -> _Run | None:
        if self._current is not None and self._current.spec.id == run_id:
            return self._current
        return next((run for run in self._queue if run.spec.id == run_id), None)

    @property
    def busy(self) -> str | None:
        """The run that executes."""
        return self._current.spec.id if self._current else None

    @property
    def queued(self) -> list[str]:
        """The runs that wait, next first."""
        return [run.spec.id for run in self._queue]

    def interrupt(self, run_id: str, *, grade: int) -> JsonObject:
        """Interrupt that run and no other.

        Raises:
            HttpError: 404, no such run; 409, it is over.
        """
        run = self._find(run_id)
        if run is None:
            if run_id in self._over:
                raise HttpError(409, "over", "That run is over already")
            raise HttpError(404, "unknown-run", "There is no such run")
        if run is not self._current:
            self._queue.remove(run)
            self._end(run, Phase.STOPPED, Failure(Cause.INTERRUPTED, "It was interrupted before it started"))
            return {"was": "queued"}
        run.interrupted += 1
        if grade >= 2:
            run.restart = True
            self.kernel.signal(signal.SIGKILL)
            return {"was": "running", "restarting": True}
        if run.executing:
            self.kernel.interrupt()
        return {"was": "running"}

    def answer(self, run_id: str, *, request: str, value: str) -> None:
        """Pass a line of input on; the first answer wins.

        Raises:
            HttpError: 409, it was answered already or the run is over.
        """
        run = self._find(run_id)
        if run is None or request not in run.inputs:
            raise HttpError(409, "over", "That question is answered already")
        run.inputs.discard(request)
        self.kernel.send("stdin", "input_reply", {"value": value})
        self._journal.append(e.InputAnswered(run=run_id, request=request))

    async def put_value(
        self, *, name: str, codec: str, length: int, run: str, digest: str, readinto: ReadInto
    ) -> None:
        """Stage a value for a run that has not started; without a run, bind it at once.

        Raises:
            HttpError: 409, a cell runs, or that run has started.
        """
        if run and (run in self._over or (self._current and self._current.spec.id == run)):
            raise HttpError(409, "over", "That run has started already")
        if not run and self._current:
            raise HttpError(409, "busy", "A cell is running in the session", "Push when it is done")
        staging = run or f"push-{name}"
        await self._values.put(name=name, codec=codec, length=length, run=staging, readinto=readinto)
        self._sent.setdefault(staging, {})[name] = digest
        if not run:
            async with self._one_at_a_time:
                failure = await self._bind(staging)
            if failure is not None:
                raise HttpError(409, "failed", failure.what)

    async def get_value(self, name: str, *, run: str) -> tuple[JsonObject, Sender]:
        """A variable, or a run's result, as it can be sent."""
        return await self._values.get(name=name, run=run)

    async def ask(self, **question: object) -> JsonObject:
        """A question to the kernel's values server."""
        return await self._values.ask(**question)

    def sampled(self, samples: tuple[GpuSample, ...]) -> None:
        """Count a moment's samples into the run that executes."""
        if self._meter is not None:
            self._meter.add(samples)

    # the work

    async def _work(self) -> None:
        while True:
            while not self._queue:
                self._wake.clear()
                await self._wake.wait()
            run = self._current = self._queue.popleft()
            try:
                async with self._one_at_a_time:
                    await self._run(run)
            finally:
                self._current = None
            if not self._queue:
                self.idle_since = self._clock()

    async def _run(self, run: _Run) -> None:
        now = self._clock()
        self._meter = Meter(waited=now - run.queued_at, started=now, devices=self._devices())
        self._last_run = run.spec.id
        self._journal.append(e.RunStarted(run=run.spec.id))
        phase, failure = Phase.SUCCEEDED, None
        try:
            failure = await self._until_death(self._execute(run))
        except KernelDied as death:
            phase, failure = self._death(run, death)
        except (HttpError, OSError) as error:
            failure = Failure(Cause.NOT_STARTED, str(error))
        if failure is not None and phase is Phase.SUCCEEDED:
            phase = Phase.STOPPED if failure.cause is Cause.INTERRUPTED else Phase.FAILED
        self._end(run, phase, failure)
        if not self.kernel.alive:
            await self._come_back(run, failure)
        elif run.interrupted:
            await self._settle()

    async def _until_death(self, work: Coroutine[None, None, Failure | None]) -> Failure | None:
        task = asyncio.create_task(work)
        death = asyncio.create_task(self.kernel.died())
        try:
            await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return await task
            await asyncio.sleep(0.05)  # what it wrote last is still on its way
            raise KernelDied(self.kernel.exit_code, self.kernel.tail())
        finally:
            for pending in (task, death):
                pending.cancel()
            await asyncio.gather(task, death, return_exceptions=True)

    async def _execute(self, run: _Run) -> Failure | None:
        spec = run.spec
        before = await self._values.ask(op="before", run=spec.id, count=spec.count)
        run.executing = True
        if before.get("staged") and (failure := await self._bind(spec.id)):
            run.executing = False
            return failure
        if run.interrupted:  # it came before there was a cell to interrupt
            return Failure(Cause.INTERRUPTED, "It was interrupted before it started")
        source = f"#{spec.magic}\n{spec.cell}" if spec.magic else spec.cell
        run.parent = self._ask_for(run, source)
        reply = await run.reply
        run.executing = False
        await run.idle.wait()
        await self._after(run)
        return _failure_of(reply)

    def _ask_for(self, run: _Run, source: str) -> str:
        parent = self.kernel.execute(source)
        self._parents[parent] = run.spec.id
        while len(self._parents) > _PARENTS_KEPT:
            self._parents.popitem(last=False)
        return parent

    async def _bind(self, run_id: str) -> Failure | None:
        """Make staged values variables, in the kernel's main thread."""
        self._silent: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        self._silent_parent = self.kernel.execute(_BIND.format(run=run_id), silent=True, allow_stdin=False)
        failure = _failure_of(await self._silent)
        sent = self._sent.pop(run_id, {})
        if failure is None:
            described = (await self._values.ask(op="describe", names=list(sent))).get("names")
            self._bound("", described if isinstance(described, dict) else {}, [], sent=sent)
        if failure is None or failure.cause is Cause.INTERRUPTED:
            return failure
        return Failure(
            Cause.NOT_STARTED, f"A value could not be made in the session: {failure.what}", failure.detail
        )

    async def _after(self, run: _Run) -> None:
        """What the run changed; all of its output is in the journal when this returns."""
        answer = await self._values.ask(
            op="after", run=run.spec.id, cell=run.spec.cell, out=list(run.spec.out)
        )
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(run.drained.wait(), _DRAIN_LIMIT)
        bound, removed, out = (answer.get(key) for key in ("bound", "removed", "out"))
        if isinstance(bound, dict) and isinstance(removed, list) and (bound or removed):
            self._bound(run.spec.id, bound, [str(name) for name in removed])
        for name, info in (out if isinstance(out, dict) else {}).items():
            size = info.get("size") if isinstance(info, dict) else None
            stored = StoredValue(name=name, size=size if isinstance(size, int) else 0, digest="", codec="")
            self._journal.append(e.ResultStored(run=run.spec.id, value=stored))

    def _bound(
        self,
        run_id: str,
        bound: Mapping[str, Json],
        removed: list[str],
        *,
        sent: Mapping[str, str] | None = None,
    ) -> None:
        """Note who bound which names; a name's digest is that of what was last sent from a notebook."""
        infos: dict[str, NameInfo] = {}
        for name in removed:
            self.names.pop(name, None)
        for name, info in bound.items():
            if isinstance(info, dict):
                digest = (sent or {}).get(name) or str(self.names.get(name, {}).get("digest") or "")
                infos[name] = decode(NameInfo, {**info, "digest": digest})
                self.names[name] = {**info, "digest": digest, "generation": self.generation, "run": run_id}
        self._journal.append(e.NamesBound(run=run_id, names=infos, removed=tuple(removed)))

    async def _settle(self) -> None:
        """After an interrupt: a signal still on its way must hit nothing else."""
        for _ in range(5):
            self._silent = asyncio.get_running_loop().create_future()
            self._silent_parent = self.kernel.execute("None", silent=True, allow_stdin=False)
            with contextlib.suppress(asyncio.TimeoutError):
                reply = await asyncio.wait_for(asyncio.shield(self._silent), 2.0)
                if reply.get("status") == "ok":
                    return

    def _death(self, run: _Run, death: KernelDied) -> tuple[Phase, Failure]:
        if run.restart:
            return Phase.STOPPED, Failure(
                Cause.INTERRUPTED,
                "It was interrupted and the session's process restarted; its variables are gone",
            )
        return Phase.FAILED, describe_death(death.code, tail=death.tail)

    async def _come_back(self, run: _Run, failure: Failure | None) -> None:
        reason = failure.what if failure is not None else "its process ended"
        try:
            await self._replace_kernel(reason)
        except KernelDied as death:
            lost = describe_death(death.code, tail=death.tail)
            self._journal.append(e.RankEnded(phase=Phase.FAILED, failure=lost))
            for waiting in list(self._queue):
                self._end(waiting, Phase.FAILED, lost)
            self._queue.clear()
            raise

    def _end(self, run: _Run, phase: Phase, failure: Failure | None) -> None:
        receipt = self._meter.receipt(now=self._clock()) if self._meter and run is self._current else None
        self._over[run.spec.id] = phase
        while len(self._over) > 10_000:
            self._over.popitem(last=False)
        if run is self._current:
            self._meter = None
        self._journal.append(e.RunEnded(run=run.spec.id, phase=phase, failure=failure, receipt=receipt))

    # what the kernel says

    async def _pump_outputs(self) -> None:
        while True:
            messages = await self.kernel.receive_all("iopub", 64)
            shown: list[tuple[str, Message]] = []
            for message in messages:
                run_id = self._parents.get(message.parent, "" if message.parent else self._last_run)
                if message.parent == getattr(self, "_silent_parent", None):
                    continue
                shown.append((run_id or self._last_run, message))
            events = list(output_events(shown))
            if events:
                self._journal.extend([*events, *_progress(events)])
            for message in messages:
                self._mark(message)

    def _mark(self, message: Message) -> None:
        run = self._current
        if run is None:
            return
        if message.type == "status" and message.parent == run.parent:
            if message.content.get("execution_state") == "idle":
                run.idle.set()
        elif message.type == "gwb_drained" and message.content.get("run") == run.spec.id:
            run.drained.set()

    async def _pump_replies(self) -> None:
        while True:
            message = await self.kernel.receive("shell")
            if message.type != "execute_reply":
                continue
            run = self._current
            if run is not None and message.parent == run.parent and not run.reply.done():
                run.reply.set_result(message.content)
            elif message.parent == getattr(self, "_silent_parent", None) and not self._silent.done():
                self._silent.set_result(message.content)

    async def _pump_inputs(self) -> None:
        while True:
            message = await self.kernel.receive("stdin")
            run = self._current
            if message.type != "input_request" or run is None:
                continue
            run.inputs.add(message.id)
            self._journal.append(
                e.InputRequested(
                    run=run.spec.id,
                    request=message.id,
                    prompt=str(message.content.get("prompt", "")),
                    password=bool(message.content.get("password")),
                )
            )


def _progress(events: list[e.OutputWritten]) -> list[e.Event]:
    """The newest progress of each run among these outputs."""
    found: dict[str, e.Event] = {}
    for event in events:
        text = event.content.get("text")
        if event.message == "stream" and isinstance(text, str) and (progress := read_progress(text)):
            found[event.run] = e.ProgressMoved(run=event.run, progress=progress)
    return list(found.values())


def _failure_of(reply: JsonObject) -> Failure | None:
    """What an execute_reply says of an error."""
    if reply.get("status") == "ok":
        return None
    name, value = str(reply.get("ename", "")), str(reply.get("evalue", ""))
    lines = reply.get("traceback")
    detail = "\n".join(str(line) for line in lines) if isinstance(lines, list) else ""
    cause = Cause.USER_ERROR
    if name == "KeyboardInterrupt" or reply.get("status") == "aborted":
        cause = Cause.INTERRUPTED
    elif name in ("SyntaxError", "IndentationError", "TabError"):
        cause = Cause.SYNTAX_ERROR
    elif name == "OutOfMemoryError" or (name == "RuntimeError" and "CUDA out of memory" in value):
        cause = Cause.CUDA_OUT_OF_MEMORY
    elif name == "MemoryError":
        cause = Cause.OUT_OF_MEMORY
    return Failure(cause, f"{name}: {value}" if value else name, detail)
