"""One cell on its way: waiting for its session, sent, running, over; as a stream of steps that a surface draws."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

from gpu_workbench.app.endings import why_ended
from gpu_workbench.app.subscriptions import END, Feed, Subscription
from gpu_workbench.core.errors import Conflict, NotFound, SessionLost, StartFailed, Throttled, Unreachable
from gpu_workbench.core.events import Entry, InputRequested, OutputWritten, RunEnded
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import RunState, Workload
from gpu_workbench.core.spec import RunSpec

TICK = 1.0
"""Seconds between two steps while nothing happens, so that clocks on the screen move."""

SENDING_TICK = 0.25
"""The same while something is on its way that the run needs."""

_RETRY = 0.25


@dataclass(frozen=True)
class Step:
    """What is new since the step before, and the whole picture with it.

    Args:
        outputs: New output of this run, in order.
        question: The run asks for a line of input.
        run: The run as far as it is known; ``None`` before it was accepted.
        explanation: Why it waits, while it waits.
        sending: (name, bytes sent, bytes in all) of a value on its way.
        notes: What the user should read, about what was sent.
        over: The run is over; nothing follows.
    """

    workload: Workload
    outputs: tuple[OutputWritten, ...] = ()
    question: InputRequested | None = None
    run: RunState | None = None
    explanation: Explanation | None = None
    sending: tuple[str, int, int] | None = None
    notes: tuple[str, ...] = ()
    over: bool = False

    @property
    def news(self) -> bool:
        """Whether it is more than another look at the picture."""
        return bool(self.outputs or self.question or self.notes or self.over)


@dataclass
class Sending:
    """What is being sent right now, and what there is to say of it; written by the sender, read by the steps."""

    now: tuple[str, int, int] | None = None
    notes: list[str] = field(default_factory=list)

    def moved(self, name: str, sent: int, length: int) -> None:
        """Note progress."""
        self.now = (name, sent, length)


Prepare = Callable[[Subscription, Sending], Awaitable[None]]


@dataclass
class Execution:
    """Runs a cell in a session. Made and used in the portal's event loop.

    Args:
        session: Where.
        spec: What.
        prepare: Sends what the cell needs; called when the session is ready, before the run is queued.
    """

    session: Subscription
    spec: RunSpec
    prepare: Prepare
    accepted: bool = False
    _sending: Sending = field(default_factory=Sending)

    @property
    def run(self) -> RunState | None:
        """The run as far as the journal tells."""
        return self.session.workload.runs.get(self.spec.id)

    async def steps(self) -> AsyncIterator[Step]:
        """Everything from waiting to the end.

        Raises:
            StartFailed: the session never came up.
            SessionLost: it ended before the run did.
        """
        async for step in self._waiting():
            yield step
        with self.session.feed() as feed:
            work, told = asyncio.create_task(self._submit()), False
            try:
                while not work.done():
                    await asyncio.wait({work}, timeout=SENDING_TICK)
                    if not work.done():
                        yield self._step(sending=self._sending.now)
                        told = True
                await work
                if told:
                    yield self._step()  # nothing is on its way any more
                async for step in self._following(feed):
                    yield step
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    async def _waiting(self) -> AsyncIterator[Step]:
        while not self.session.ready:
            if self.session.over:
                raise self._never_started()
            yield self._step(explanation=self.session.explanation)
            await self.session.changed(TICK)

    def _never_started(self) -> StartFailed:
        explanation = self.session.explanation
        failure = self.session.workload.failure
        name = self.session.handle.spec.name
        if failure is not None:
            return StartFailed(f"The session {name!r} did not start", why=failure.what)
        return StartFailed(
            f"The session {name!r} did not start",
            why=self.session.stop_reason or (explanation.sentence if explanation else "its process ended"),
            fix=explanation.fix if explanation else "",
        )

    async def _submit(self) -> None:
        """Send what it needs and queue it; again where a reply was lost, or where the payload changed meanwhile."""
        while True:
            generation = self.session.workload.generation
            try:
                await self.prepare(self.session, self._sending)
                await (await self.session.channel()).put_run(replace(self.spec, generation=generation))
            except (Unreachable, Throttled):
                if self.run is not None:
                    break
                if self.session.over:
                    raise self._lost() from None
                await asyncio.sleep(_RETRY)
                await self.session.until(lambda: self.session.ready or self.session.over)
            except Conflict:
                if self.run is None:
                    raise
                break
            else:
                break
        self.accepted = True

    async def _following(self, feed: Feed) -> AsyncIterator[Step]:
        clock = asyncio.get_running_loop().time
        due = clock() + TICK
        while True:
            try:
                batch = await feed.take(max(0.0, due - clock()))
            except asyncio.TimeoutError:
                yield self._step()
                due = clock() + TICK
                continue
            if batch is END:
                if self.run is None or not self.run.phase.ended:
                    raise self._lost()
                return
            step = self._of(batch, last=feed.empty)
            if step.news or clock() >= due:  # each step wakes another thread
                yield step
                due = clock() + TICK
            if step.over:
                return

    def _of(self, batch: list[Entry], *, last: bool) -> Step:
        """The step of one batch. The picture may be ahead of it: the end counts once its own batch, or the last, is here."""
        mine = [entry.event for entry in batch if getattr(entry.event, "run", None) == self.spec.id]
        outputs = tuple(event for event in mine if isinstance(event, OutputWritten))
        questions = [event for event in mine if isinstance(event, InputRequested)]
        ended = last or any(isinstance(event, RunEnded) for event in mine)
        return self._step(outputs=outputs, question=questions[-1] if questions else None, may_end=ended)

    def _step(
        self,
        *,
        outputs: tuple[OutputWritten, ...] = (),
        question: InputRequested | None = None,
        explanation: Explanation | None = None,
        sending: tuple[str, int, int] | None = None,
        may_end: bool = False,
    ) -> Step:
        run, notes = self.run, tuple(self._sending.notes)
        self._sending.notes.clear()
        return Step(
            workload=self.session.workload,
            outputs=outputs,
            question=question,
            run=run,
            explanation=explanation,
            sending=sending,
            notes=notes,
            over=may_end and run is not None and run.phase.ended,
        )

    def _lost(self) -> SessionLost:
        reason = why_ended(self.session) or "its process is gone"
        return SessionLost(
            f"The session {self.session.handle.spec.name!r} ended while the cell ran",
            why=reason,
            fix="Run the cell again: a new session is started; what lived in this one is gone",
        )

    async def interrupt(self, *, grade: int) -> bool:
        """Interrupt this run and no other; ``False`` where it was over already.

        Args:
            grade: 1 raises KeyboardInterrupt in it, 2 restarts the session's process.
        """
        try:
            await (await self.session.channel()).interrupt(self.spec.id, grade=grade)
        except (Conflict, NotFound):
            return False
        return True

    async def answer(self, question: InputRequested, value: str) -> None:
        """Answer a request for input; somebody else's earlier answer counts."""
        try:
            await (await self.session.channel()).answer(self.spec.id, request=question.request, value=value)
        except Conflict:
            return
