"""What ties this rank to the others: to all of them where it is the head, to the head where it is not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from gpu_workbench.agent.conductor import Conductor, Follower, Leader
from gpu_workbench.agent.files import Mirror
from gpu_workbench.agent.gang import Gang
from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.member import Member
from gpu_workbench.agent.payload import Payload
from gpu_workbench.agent.ranks import Place
from gpu_workbench.agent.session import Session
from gpu_workbench.agent.together import Together
from gpu_workbench.core.agent_config import AgentConfig
from gpu_workbench.core.model import Kind, Receipt
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.core.wire import JsonObject, decode
from gpu_workbench.transport.server import HttpError


class Tie:
    """Nothing where there is one rank.

    Args:
        config: This agent's.
        place: This rank's.
        journal: Its events.
        mirror: The project's files here.
        stop: Begins to end this agent, with a reason.
        receipt: What this rank has used for the run that executes.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        place: Place,
        journal: Journal,
        mirror: Mirror,
        stop: Callable[[str], None],
        receipt: Callable[[], Receipt | None],
    ) -> None:
        self._config = config
        self._mirror = mirror
        self._stop = stop
        self._own: Payload | None = None
        self._head = ""
        self.gang: Gang | None = None
        self.conductor = Conductor()
        self._member: Member | None = None
        detached = config.kind is Kind.JOB
        if place.world_size == 1:
            return
        if place.rank == 0:
            self.gang = Gang(config, journal=journal, restarted=self._restarted)
            self.conductor = Leader(self.gang, journal=journal, detached=detached)
        else:
            self._member = Member(
                config, rank=place.rank, journal=journal, ordered=self._ordered, lost=self._lost
            )
            if detached:
                self.conductor = Follower(self._member, receipt=receipt)

    def bind(self, own: Payload) -> Payload:
        """The payload that is asked in place of this rank's own."""
        self._own = own
        if self.gang is None or not isinstance(self.conductor, Leader):
            return own
        self.conductor.interrupt_all = lambda run, grade: own.interrupt(run, grade=grade)
        return Together(own, self.gang, self._mirror)

    def up(self) -> None:
        """This rank's payload can take a run."""
        if self._member is not None:
            self._member.ready()

    async def run(self) -> None:
        """Keep the tie, until cancelled."""
        if self._member is not None:
            await self._member.run()
        elif self.gang is not None:
            await self._gather(self.gang)

    async def _gather(self, gang: Gang) -> None:
        """All ranks have to come in time: those that are there hold devices, and can do nothing with them."""
        limit = self._config.gang.start_limit
        try:
            await asyncio.wait_for(gang.complete(), limit)
        except asyncio.TimeoutError:
            missing, there = gang.missing, gang.world_size - len(gang.missing)
            names = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
            self._stop(
                f"only {there} of {gang.world_size} ranks came up within {limit:.0f} s; missing: rank {names}"
            )

    def _restarted(self, rank: int) -> None:
        """Another rank's process is a new one: so is this one's in a session, and all others' with it."""
        if isinstance(self._own, Session) and self._config.kind is Kind.SESSION:
            self._own.restart()

    def _ordered(self, order: JsonObject) -> None:
        """The head says what to do."""
        own, what, run = self._own, order.get("order"), str(order.get("run", ""))
        assert own is not None
        with contextlib.suppress(HttpError):  # it is over already
            if what == "run" and isinstance(spec := order.get("spec"), dict):
                if order.get("shown") and self._member is not None:
                    self._member.show(str(spec.get("id")))
                own.submit(decode(RunSpec, spec))
            elif isinstance(self.conductor, Follower) and what in ("hello", "go", "over", "again"):
                self._told(self.conductor, order)
            elif what == "interrupt":
                own.interrupt(run, grade=2 if order.get("grade") == 2 else 1)
            elif what == "restart" and isinstance(own, Session):
                own.restart()
            elif what == "stop":
                self._stop(str(order.get("reason")))

    def _told(self, follower: Follower, order: JsonObject) -> None:
        """The head speaks of the one run there is; another head than before has it begin again."""
        assert self._member is not None
        what, head, generation = order["order"], str(order.get("epoch", "")), order.get("generation")
        if what == "go":
            self._member.generation = generation if isinstance(generation, int) else 0
            follower.go()
        elif what == "over":
            follower.over()
        elif what == "again":
            self._begin_again(follower, str(order.get("reason")))
        else:
            if self._head not in ("", head):
                self._begin_again(follower, "rank 0 was lost and started again")
            self._head = head

    def _begin_again(self, follower: Follower, reason: str) -> None:
        follower.restart(reason)
        current = self._own.runs.current if self._own is not None else None
        if current is not None and self._own is not None:
            self._own.interrupt(current.id, grade=2)

    def _lost(self, reason: str) -> None:
        self._stop(reason)
