"""The runs that a payload was asked for: one at a time, first come first, and none of them twice."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.receipts import Meter, together
from gpu_workbench.core import events as e
from gpu_workbench.core.model import Cause, Failure, GpuDevice, GpuSample, Phase, Receipt
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.core.wire import Json, JsonObject
from gpu_workbench.transport.server import HttpError

ONE_PRESS = 1.0
"""Seconds within which further interrupts of the same run count as the first."""

QUEUE_LIMIT = 1000
"""Runs that may wait."""

_REMEMBERED = 10_000
"""Runs that are over and still known by their id."""


@dataclass
class Run:
    """A run that was accepted and is not over."""

    spec: RunSpec
    queued_at: float
    interrupted: bool = False
    restart: bool = False
    """Whether the process was killed to end it."""
    restarts: int = 0
    """How often it was begun again."""
    pressed: float = -math.inf

    @property
    def id(self) -> str:
        """The client's id for it."""
        return self.spec.id

    def interrupt(self) -> bool:
        """Note an interrupt; whether it is another one than the last, and not the same hand still on the button."""
        self.interrupted = True
        last, self.pressed = self.pressed, time.monotonic()
        return self.pressed - last >= ONE_PRESS


class Runs:
    """Who runs, who waits, and who is over.

    Args:
        journal: Where their events go.
        clock: The agent's seconds.
        devices: The GPUs of this rank.
    """

    def __init__(
        self, *, journal: Journal, clock: Callable[[], float], devices: Callable[[], tuple[GpuDevice, ...]]
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._devices = devices
        self._waiting: deque[Run] = deque()
        self._over: OrderedDict[str, Phase] = OrderedDict()
        self._wake = asyncio.Event()
        self._meter: Meter | None = None
        self.current: Run | None = None
        self.latest = ""
        """The id of the run that was started last."""
        self.idle_since: float | None = None
        """When the last run ended, in the agent's seconds; ``None`` while one executes or waits."""

    def submit(self, spec: RunSpec) -> tuple[JsonObject, bool]:
        """Queue a run. Returns its place and whether it is new; the same id again changes nothing.

        Raises:
            HttpError: 429, too many wait.
        """
        known = self._find(spec.id)
        if known is not None or spec.id in self._over:
            phase = self._over.get(spec.id) or (Phase.RUNNING if known is self.current else Phase.QUEUED)
            return {**self._place(spec.id), "phase": phase.value}, False
        if len(self._waiting) >= QUEUE_LIMIT:
            raise HttpError(429, "too-many", f"{QUEUE_LIMIT} runs are waiting in this session already")
        ahead = tuple(self._ahead())
        self._waiting.append(Run(spec, queued_at=self._clock()))
        self._journal.append(
            e.RunQueued(
                run=spec.id, name=spec.name, notebook=spec.notebook, cell_id=spec.cell_id, ahead=ahead
            )
        )
        self.idle_since = None
        self.wake()
        return {**self._place(spec.id), "phase": Phase.QUEUED.value}, True

    def ready(self) -> None:
        """The payload takes runs: from now on it is idle, unless one waits already."""
        if not self._waiting:
            self.idle_since = self._clock()

    def knows(self, run_id: str) -> bool:
        """Whether that run was accepted before."""
        return run_id in self._over or self._find(run_id) is not None

    async def next(self) -> Run:
        """Wait for a run, and start its clock."""
        while (run := self.take()) is None:
            await self.news()
        return run

    def take(self) -> Run | None:
        """Start the clock of the run that is next; ``None`` where none waits."""
        if not self._waiting:
            if self.idle_since is None:
                self.idle_since = self._clock()
            return None
        run = self.current = self._waiting.popleft()
        self.latest = run.id
        now = self._clock()
        if not run.restarts:  # what it used before counts
            self._meter = Meter(waited=now - run.queued_at, started=now, devices=self._devices())
        self._journal.append(e.RunStarted(run=run.id))
        return run

    def again(self, run: Run) -> None:
        """The run that executes is to begin again, before any other."""
        run.restarts += 1
        run.interrupted = run.restart = False
        self.current = None
        self._waiting.appendleft(run)
        self.wake()

    def receipt(self) -> Receipt | None:
        """What the run that executes has used so far; ``None`` where none does."""
        return self._meter.receipt(now=self._clock()) if self._meter is not None else None

    async def news(self) -> None:
        """Wait until a run may wait, or something else wants to be looked at."""
        self._wake.clear()
        await self._wake.wait()

    def wake(self) -> None:
        """Let whoever waits for a run look around."""
        self._wake.set()

    def sampled(self, samples: tuple[GpuSample, ...]) -> None:
        """Count a moment's samples into the run that executes."""
        if self._meter is not None:
            self._meter.add(samples)

    def living(self, run_id: str) -> Run:
        """The run of that id.

        Raises:
            HttpError: 404, there is none; 409, it is over.
        """
        run = self._find(run_id)
        if run is None and run_id in self._over:
            raise HttpError(409, "over", "That run is over already")
        if run is None:
            raise HttpError(404, "unknown-run", "There is no such run")
        return run

    def begun(self, run_id: str) -> bool:
        """Whether a run of that id has started, or is over."""
        return run_id in self._over or (self.current is not None and self.current.id == run_id)

    def withdraw(self, run: Run) -> None:
        """End a run that waits."""
        self._waiting.remove(run)
        self.end(run, Phase.STOPPED, Failure(Cause.INTERRUPTED, "It was interrupted before it started"))

    def end(self, run: Run, phase: Phase, failure: Failure | None, *, others: Sequence[Receipt] = ()) -> None:
        """A run is over.

        Args:
            run: Which.
            phase: How.
            failure: Why, where it did not end well.
            others: What other ranks used for it.
        """
        receipt = None
        if run is self.current:
            own = self.receipt()
            receipt = replace(together(own, others), restarts=run.restarts) if own else None
            self._meter = self.current = None
        self._over[run.id] = phase
        while len(self._over) > _REMEMBERED:
            self._over.popitem(last=False)
        self._journal.append(e.RunEnded(run=run.id, phase=phase, failure=failure, receipt=receipt))
        if self.current is None and not self._waiting:
            self.idle_since = self._clock()

    def end_all(self, phase: Phase, failure: Failure) -> None:
        """The run that executes and all that wait are over."""
        for run in ([self.current] if self.current else []) + list(self._waiting):
            self.end(run, phase, failure)
        self._waiting.clear()

    @property
    def waiting(self) -> list[str]:
        """The runs that wait, next first."""
        return [run.id for run in self._waiting]

    def _find(self, run_id: str) -> Run | None:
        if self.current is not None and self.current.id == run_id:
            return self.current
        return next((run for run in self._waiting if run.id == run_id), None)

    def _ahead(self) -> list[str]:
        return ([self.current.id] if self.current else []) + self.waiting

    def _place(self, run_id: str) -> JsonObject:
        ahead: list[Json] = []
        for other in self._ahead():
            if other == run_id:
                break
            ahead.append(other)
        return {"place": len(ahead), "ahead": ahead}
