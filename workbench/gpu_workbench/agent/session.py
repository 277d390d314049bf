"""The *session* payload: runs, one at a time, in one warm kernel."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TypeVar

from gpu_workbench.agent.conductor import Conductor
from gpu_workbench.agent.dialogue import Dialogue
from gpu_workbench.agent.exits import describe_death, failure_of_reply, not_started
from gpu_workbench.agent.inkernel.names import CELL
from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.kernel import Kernel, KernelDied
from gpu_workbench.agent.runs import Run, Runs
from gpu_workbench.agent.values import KernelValues, ReadInto
from gpu_workbench.core import events as e
from gpu_workbench.core.model import Cause, Failure, NameInfo, Phase, StoredValue
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.core.wire import Json, JsonObject, decode
from gpu_workbench.transport.server import HttpError, Sender
from gpu_workbench.transport.timing import within

_DEATH_THROES = 1.0
_BIND = "__import__('sys').modules['_gwb_session'].bind({run!r})"

T = TypeVar("T")

Keep = Callable[[str, JsonObject, Sender], Awaitable[StoredValue]]
"""Stores a result: given its name, its description, and what writes its bytes."""


class Session:
    """Runs cells in a kernel and journals what happens.

    Args:
        make_kernel: Makes a kernel that has not been started.
        journal: Where events go.
        runs: The runs it is asked for.
        generation: Of the kernel that is started first.
        keep: Stores each result as soon as its run is done; ``None`` leaves them in the kernel until they are fetched.
        lost: Called when the kernel is gone and no other comes up; ``None`` where no other is tried.
        conductor: Has other ranks take part; ``None`` where there are none.
        up: Called when the kernel can take a run, each time anew.
    """

    def __init__(
        self,
        *,
        make_kernel: Callable[[], Kernel],
        journal: Journal,
        runs: Runs,
        generation: int = 0,
        keep: Keep | None = None,
        lost: Callable[[Failure], None] | None = None,
        conductor: Conductor | None = None,
        up: Callable[[], None] | None = None,
    ) -> None:
        self._conductor = conductor or Conductor()
        self._up = up
        self._make_kernel = make_kernel
        self._journal = journal
        self.runs = runs
        self.generation = generation
        self._keep = keep
        self._lost = lost
        self.kernel = make_kernel()
        self._values = KernelValues(self.kernel.values_socket)
        self._dialogue: Dialogue | None = None
        self._one_at_a_time = asyncio.Lock()
        self._work_task: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._stopping = False
        self._executing = False
        self.reload: Callable[[], Awaitable[None]] = _nothing
        """Gives a new kernel what the run that begins again had been given."""
        self.names: dict[str, JsonObject] = {}
        self._sent: dict[str, dict[str, str]] = {}
        self._forgetting: asyncio.Task[None] | None = None

    @property
    def python(self) -> str:
        """The kernel's version; empty before it has said so."""
        return self.kernel.python

    # life

    async def start(self) -> None:
        """Start the kernel and begin to take runs.

        Raises:
            KernelDied: it did not come up.
        """
        await self._start_kernel()
        self.runs.ready()
        self._work_task = asyncio.create_task(self._work())

    async def _start_kernel(self) -> None:
        await self.kernel.start()
        self._dialogue = Dialogue(
            self.kernel, journal=self._journal, runs=self.runs, hold=self._conductor.hold
        )
        self._journal.append(e.RankStarted(python=self.kernel.python))
        self._watching = asyncio.create_task(self.kernel.died())
        self._watching.add_done_callback(lambda _: self.runs.wake())
        if self._up is not None:
            self._up()

    async def _drop_kernel(self) -> None:
        if self._dialogue is not None:
            await self._dialogue.close()
            self._dialogue = None
        self._values.close()
        await self.kernel.kill()

    async def _replace_kernel(self, reason: str) -> None:
        await self._drop_kernel()
        self.generation += 1
        self.names.clear()
        self._sent.clear()
        self._journal.append(e.PayloadRestarted(generation=self.generation, reason=reason))
        self._conductor.restarted()
        self.kernel = self._make_kernel()
        self._values = KernelValues(self.kernel.values_socket)
        await self._start_kernel()

    async def stop(self, phase: Phase, failure: Failure, *, patience: float) -> None:
        """End the kernel, which is given ``patience`` seconds for that, and what ran and waited in it."""
        self._stopping = True
        if self._work_task is not None:
            self._work_task.cancel()
            await asyncio.gather(self._work_task, return_exceptions=True)
        if self.kernel.alive:
            await self.kernel.end(patience=patience)
        if self._dialogue is not None:
            await self._dialogue.last_words()
        self.runs.end_all(phase, failure)
        await self._drop_kernel()

    # asked from outside

    def submit(self, spec: RunSpec) -> tuple[JsonObject, bool]:
        """Queue a run. Returns its place and whether it is new; the same id again changes nothing.

        Raises:
            HttpError: 409, its values were sent to a payload that is gone.
        """
        alive = self._dialogue is not None and self.kernel.alive
        expected = spec.generation in (-1, self.generation) and (alive or spec.generation < 0)
        if not expected and not self.runs.knows(spec.id):
            raise HttpError(409, "generation", "The session's process was restarted meanwhile")
        answer, new = self.runs.submit(spec)
        return {**answer, "generation": self.generation}, new

    def interrupt(self, run_id: str, *, grade: int) -> JsonObject:
        """Interrupt that run and no other.

        Raises:
            HttpError: 404, no such run; 409, it is over.
        """
        run = self.runs.living(run_id)
        if run is not self.runs.current:
            self.runs.withdraw(run)
            if self._sent.pop(run_id, None) is not None:
                self._forgetting = asyncio.create_task(self._forget(run_id))
            return {"was": "queued"}
        another = run.interrupt()
        self._conductor.interrupt(run_id, grade=grade)
        if grade >= 2:
            self.restart(run)
            return {"was": "running", "restarting": True}
        if another and self._executing and self._dialogue is not None:
            self._dialogue.interrupt()
        return {"was": "running"}

    def restart(self, run: Run | None = None) -> None:
        """End the kernel, for another one to take its place; not one that is just coming up."""
        if self._dialogue is None:
            return
        run = run or self.runs.current
        if run is not None:
            run.restart = True
        self.kernel.signal(signal.SIGKILL)

    async def _forget(self, run_id: str) -> None:
        """What was sent for a run that never starts must not stay in the kernel's memory."""
        with contextlib.suppress(HttpError, OSError):
            await self._values.ask(op="forget", run=run_id)

    def answer(self, run_id: str, *, request: str, value: str) -> None:
        """Pass a line of input on; the first answer wins.

        Raises:
            HttpError: 409, it was answered already or the run is over.
        """
        if self._dialogue is None or not self._dialogue.answer(run_id, request=request, value=value):
            raise HttpError(409, "over", "That question is answered already")
        self._journal.append(e.InputAnswered(run=run_id, request=request))

    async def put_value(
        self, *, name: str, codec: str, length: int, run: str, digest: str, readinto: ReadInto
    ) -> None:
        """Stage a value for a run that has not started; without a run, bind it at once.

        Raises:
            HttpError: 409, a cell runs, or that run has started.
        """
        if run and self.runs.begun(run):
            raise HttpError(409, "over", "That run has started already")
        if not run and self.runs.current:
            raise HttpError(409, "busy", "A cell is running in the session", "Push when it is done")
        staging = run or f"push-{name}"
        await self._values.put(name=name, codec=codec, length=length, run=staging, readinto=readinto)
        names = name.split(",")
        digests = dict(zip(names, digest.split(","), strict=False))
        self._sent.setdefault(staging, {}).update({one: digests.get(one, "") for one in names})
        if not run:
            async with self._one_at_a_time:
                failure = await self._unless_it_dies(self._bind(staging))
            if failure is not None:
                raise HttpError(409, "failed", failure.what)

    async def get_value(self, name: str, *, run: str) -> tuple[JsonObject, Sender]:
        """A variable, or a run's result, as it can be sent."""
        return await self._values.get(name=name, run=run)

    async def ask(self, **question: object) -> JsonObject:
        """A question to the kernel's values server."""
        return await self._values.ask(**question)

    # the work

    async def _work(self) -> None:
        while True:
            if not self.kernel.alive:
                await self._come_back(await self._death_between_runs())
            await self._conductor.ready()
            run = self.runs.take()
            if run is None:
                await self.runs.news()
                continue
            async with self._one_at_a_time:
                failure = await self._run(run)
            if reason := self._conductor.again():
                await self._begin_again(run, reason)
                continue
            if run.restart:  # it was killed, and that is heard of a moment later
                await self.kernel.died()
            if not self.kernel.alive:
                await self._come_back(failure)
            elif run.interrupted:
                await self._settle()

    async def _death_between_runs(self) -> Failure:
        if self._dialogue is not None:
            await self._dialogue.last_words()
        return describe_death(self.kernel.exit_code, tail=self.kernel.tail())

    async def _run(self, run: Run) -> Failure | None:
        phase, failure = Phase.SUCCEEDED, None
        try:
            failure = self._conductor.begin(run) or await self._unless_it_dies(self._execute(run))
        except KernelDied as death:
            failure = _death(run, death)
        except (HttpError, OSError) as error:
            failure = Failure(Cause.NOT_STARTED, str(error))
        finally:
            self._executing = False
        if failure is not None:
            phase = Phase.STOPPED if failure.cause is Cause.INTERRUPTED else Phase.FAILED
        phase, failure = await self._conductor.settle(phase, failure)
        if not self._conductor.is_again:
            self.runs.end(run, phase, failure, others=self._conductor.receipts())
        return failure

    async def _begin_again(self, run: Run, reason: str) -> None:
        """A rank was lost: all begin the run again, from the values it was given."""
        try:
            await self._replace_kernel(reason)
            await self.reload()
        except (KernelDied, HttpError, OSError) as error:
            self.runs.end(run, Phase.FAILED, Failure(Cause.NOT_STARTED, f"It could not begin again: {error}"))
            return
        self.runs.again(run)

    async def _unless_it_dies(self, work: Coroutine[None, None, T]) -> T:
        """The work's result. The calling task itself is interrupted by a death: another one would cost each cell more.

        Raises:
            KernelDied: the kernel's process ended before; all it sent is in the journal.
        """
        task, watching, died = asyncio.current_task(), self._watching, False
        assert task is not None
        assert watching is not None

        def interrupt(_: object) -> None:
            nonlocal died
            died = True
            task.cancel()

        watching.add_done_callback(interrupt)
        try:
            return await work
        except asyncio.CancelledError:
            if not died or self._stopping:
                raise
            if sys.version_info >= (3, 11):
                task.uncancel()
        except OSError:  # its sockets go before it does
            watching.remove_done_callback(interrupt)
            await asyncio.wait({watching}, timeout=_DEATH_THROES)
            if not watching.done():
                raise
        finally:
            watching.remove_done_callback(interrupt)
        if self._dialogue is not None:
            await self._dialogue.last_words()
        raise KernelDied(self.kernel.exit_code, self.kernel.tail())

    async def _execute(self, run: Run) -> Failure | None:
        assert self._dialogue is not None
        spec = run.spec
        if spec.generation not in (-1, self.generation):
            return Failure(
                Cause.LOST,
                "The session's process was restarted before this cell's turn; what was sent for it is gone",
            )
        if not self._conductor.takes_part(spec):
            return None
        self._executing = True
        if spec.id in self._sent and (failure := await self._bind(spec.id)):
            return failure
        if run.interrupted:  # it came before there was a cell to interrupt
            return Failure(Cause.INTERRUPTED, "It was interrupted before it started")
        source = f"#{spec.magic}\n{spec.cell}" if spec.magic else spec.cell
        told: JsonObject = {"run": spec.id, "count": spec.count, "cell": spec.cell, "out": list(spec.out)}
        reply = await self._dialogue.execute(source, run=spec.id, metadata={CELL: told})
        self._executing = False
        not_stored = await self._after(
            spec, reply.metadata.get(CELL) or await self._values.ask(op="after", **told)
        )
        return failure_of_reply(reply.content, interrupted=run.interrupted) or not_stored

    async def _bind(self, run_id: str) -> Failure | None:
        """Make staged values variables, in the kernel's main thread."""
        assert self._dialogue is not None
        reply = await self._dialogue.execute(_BIND.format(run=run_id), run=run_id, silent=True)
        failure = failure_of_reply(reply.content)
        sent = self._sent.pop(run_id, {})
        if failure is None:
            described = (await self._values.ask(op="describe", names=list(sent))).get("names")
            self._bound("", described if isinstance(described, dict) else {}, [], sent=sent)
        if failure is None or failure.cause is Cause.INTERRUPTED:
            return failure
        return Failure(
            Cause.NOT_STARTED, f"A value could not be made in the session: {failure.what}", failure.detail
        )

    async def _after(self, spec: RunSpec, changes: Json) -> Failure | None:
        """Note what the run changed, as the kernel tells with its reply; after a reply that was lost it was asked."""
        answer = changes if isinstance(changes, dict) else {}
        bound, removed, out = (answer.get(key) for key in ("bound", "removed", "out"))
        if isinstance(bound, dict) and isinstance(removed, list) and (bound or removed):
            self._bound(spec.id, bound, [str(name) for name in removed])
        return await self._store(spec, out if isinstance(out, dict) else {})

    async def _store(self, spec: RunSpec, out: Mapping[str, Json]) -> Failure | None:
        """Say which results there are; where they are kept, say what of them could not be."""
        failure = None
        for name in spec.out:
            info = out.get(name)
            try:
                if self._keep is not None:
                    stored = await self._keep(name, *(await self._values.get(name=name, run=spec.id)))
                elif isinstance(info, dict):
                    size = info.get("size")
                    stored = StoredValue(name, size if isinstance(size, int) else 0, digest="", codec="")
                else:
                    continue
            except HttpError as error:
                failure = failure or Failure(Cause.USER_ERROR, f"No result {name}: {error.message}")
                continue
            self._journal.append(e.ResultStored(run=spec.id, value=stored))
        return failure

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
        assert self._dialogue is not None
        for _ in range(5):
            with contextlib.suppress(asyncio.TimeoutError, KernelDied):
                work = within(self._dialogue.execute("None", run="", silent=True), 2.0)
                if failure_of_reply((await self._unless_it_dies(work)).content) is None:
                    return

    async def _come_back(self, failure: Failure | None) -> None:
        """Start a new kernel in the place of one that died."""
        if self._lost is None:
            await asyncio.Event().wait()
            return
        try:
            await self._replace_kernel(failure.what if failure else "its process ended")
        except KernelDied as death:
            self._lost(not_started(death.code, tail=death.tail))
            await asyncio.Event().wait()


async def _nothing() -> None:
    pass


def _death(run: Run, death: KernelDied) -> Failure:
    if run.restart:
        what = "It was interrupted and the session's process restarted; its variables are gone"
        return Failure(Cause.INTERRUPTED, what)
    return describe_death(death.code, tail=death.tail)
