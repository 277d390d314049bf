"""How a payload's runs go together with those of other ranks. Where there are none, they go by themselves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from gpu_workbench.agent.gang import Gang
from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.member import Member
from gpu_workbench.agent.part import Part
from gpu_workbench.agent.runs import Run
from gpu_workbench.core import events as e
from gpu_workbench.core.gang import follows_another
from gpu_workbench.core.model import Cause, Failure, Phase, Receipt
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.core.wire import Json, JsonObject
from gpu_workbench.transport.server import HttpError

_RAISED = (Cause.USER_ERROR, Cause.SYNTAX_ERROR, Cause.CUDA_OUT_OF_MEMORY, Cause.OUT_OF_MEMORY)
"""What may be an exception, whose traceback is the failure's detail."""


class Conductor:
    """What a payload asks before, in and after each run. This one is of a rank that is alone."""

    def __init__(self) -> None:
        self._again = ""

    async def ready(self) -> None:
        """Wait until a run may begin, or none ever will."""

    def begin(self, run: Run) -> Failure | None:
        """A run begins; why it cannot, where it cannot."""
        return None

    def takes_part(self, spec: RunSpec) -> bool:
        """Whether this rank executes that run."""
        return True

    def hold(self, event: e.OutputWritten) -> bool:
        """Whether an output is kept back; then it is journaled later, or not at all."""
        return False

    def interrupt(self, run_id: str, *, grade: int) -> None:
        """Somebody interrupts that run."""

    async def settle(self, phase: Phase, failure: Failure | None) -> tuple[Phase, Failure | None]:
        """This rank's part is over: wait for what else there is of the run. Returns how the run ended."""
        return phase, failure

    def again(self) -> str:
        """Why the run that was settled last is to begin again, said once; empty where it is over."""
        again, self._again = self._again, ""
        return again

    @property
    def is_again(self) -> bool:
        """Whether :meth:`again` would give a reason."""
        return bool(self._again)

    def leave(self) -> None:
        """This rank is to end: whatever is waited for is not coming."""

    def receipts(self) -> Sequence[Receipt]:
        """What other ranks used for the run that was settled last."""
        return ()

    def restarted(self) -> None:
        """This rank's process was started anew."""


class Follower(Conductor):
    """Of a rank in a detached run: it begins, ends and begins again when the head says so.

    Args:
        member: The tie to the head.
        receipt: What this rank has used for the run so far.
    """

    def __init__(self, member: Member, *, receipt: Callable[[], Receipt | None]) -> None:
        super().__init__()
        self._member = member
        self._receipt = receipt
        self._go = asyncio.Event()
        self._verdict = asyncio.Event()

    async def ready(self) -> None:
        """Wait for the head's word."""
        await self._go.wait()

    def go(self) -> None:
        """The head has said that it begins."""
        self._member.busy()
        self._verdict.clear()
        self._go.set()

    async def settle(self, phase: Phase, failure: Failure | None) -> tuple[Phase, Failure | None]:
        """Say that this rank's part is over, and wait for the others'."""
        self._member.part_over(phase, failure, self._receipt())
        await self._verdict.wait()
        return phase, failure

    def over(self) -> None:
        """The head has said that the run is over."""
        self._verdict.set()

    def restart(self, reason: str) -> None:
        """The head has said that it is to begin again."""
        if self._go.is_set():
            self._go.clear()
            self._again = reason
            self._verdict.set()

    def leave(self) -> None:
        """The head will not be heard any more."""
        self._again = ""
        self._verdict.set()


class Leader(Conductor):
    """Of the head: has all ranks take part in each run.

    Args:
        gang: The other ranks.
        journal: The workload's.
        detached: Whether they know the one run there is from its seal, and only wait for it to begin.
    """

    def __init__(self, gang: Gang, *, journal: Journal, detached: bool) -> None:
        super().__init__()
        self._gang = gang
        self._journal = journal
        self._detached = detached
        self._held: e.OutputWritten | None = None
        self._receipts: Sequence[Receipt] = ()
        self._disrupted = ""
        """How a rank was lost in whose place another has to come; empty before that."""
        self._watching: asyncio.Task[None] | None = None
        self._part: Part | None = None
        self.interrupt_all: Callable[[str, int], object] = _nobody
        """Interrupts a run on every rank, by grade: asked of the head's own payload, which tells the others."""

    async def ready(self) -> None:
        """Wait until every rank is ready to take a run, or one will never be."""
        await self._gang.complete(self._disrupted)
        if (former := self._gang.take_former()) is not None:  # the others have run it with another head
            self._journal.append(e.PayloadRestarted(former + 1, "rank 0 was lost and started again"))
            self._journal.append(e.RankStarted())

    def begin(self, run: Run) -> Failure | None:
        """A run begins."""
        self._receipts = ()
        if (lost := self._gang.lost) is not None:
            after = "" if self._detached else "; stop the session with %gpu stop, and run the cell again"
            return Failure(lost.cause, f"{lost.what}{after}", rank=lost.rank)
        self._held = None

        def interrupt(grade: int) -> None:
            with contextlib.suppress(HttpError):
                self.interrupt_all(run.id, grade)

        self._part = self._gang.begin(run.spec, ordered=not self._detached, disrupted=lambda: interrupt(2))
        self._watching = asyncio.create_task(self._gang.fail_together(self._part, interrupt))
        return None

    def takes_part(self, spec: RunSpec) -> bool:
        """Whether the head's own rank executes that run."""
        return not spec.ranks or 0 in spec.ranks

    def hold(self, event: e.OutputWritten) -> bool:
        """Keep an error back: another rank's may have been first, and this one follow from it."""
        if self._part is None or event.message != "error" or event.run != self._part.run:
            return False
        self._held = event
        return True

    def interrupt(self, run_id: str, *, grade: int) -> None:
        """The others are interrupted, too."""
        self._gang.interrupt(run_id, grade=grade)

    async def settle(self, phase: Phase, failure: Failure | None) -> tuple[Phase, Failure | None]:
        """The head's own part is over: wait for the others'."""
        part = self._part
        if part is None:
            return phase, failure
        part.ended(0, phase, failure)
        await part.until()
        self._part, self._receipts = None, part.receipts
        if self._watching is not None:
            self._watching.cancel()
        if part.failures and not part.disrupted and all(map(follows_another, part.failures)):
            await self._gang.suspect()
        self._again = self._disrupted = part.disrupted
        phase, failure = self._gang.verdict(phase, failure)
        if self._again:
            return phase, failure
        self._show_error(part.run, failure)
        return phase, failure

    def _show_error(self, run: str, failure: Failure | None) -> None:
        """The error that began it, and no other."""
        if failure is None:
            return
        if failure.rank == 0:
            if self._held is not None:
                self._journal.append(self._held)
        elif failure.cause in _RAISED and failure.detail:
            name, _, value = failure.what.partition(": ")
            lines: list[Json] = [f"On rank {failure.rank}:", *failure.detail.split("\n")]
            content: JsonObject = {"ename": name, "evalue": value, "traceback": lines}
            self._journal.append(e.OutputWritten(run, "error", content))

    def leave(self) -> None:
        """Nobody is waited for any more."""
        if self._part is not None:
            self._part.close()

    def receipts(self) -> Sequence[Receipt]:
        """Those that were reported."""
        return self._receipts

    def restarted(self) -> None:
        """All others are started anew as well, so that no two know different things."""
        if not self._detached:  # where they begin again anyway
            self._gang.restart()


def _nobody(run_id: str, grade: int) -> None:
    pass
