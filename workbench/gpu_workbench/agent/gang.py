"""The head's view of the other ranks: who is there, how far each has come, and what they are told.

A run of a gang is over when every rank's part of it is. When one rank fails, the others are interrupted: they would wait
for it in their next collective operation until that times out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import replace

from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.part import Part
from gpu_workbench.agent.peer import LOST, Peer, client_of
from gpu_workbench.core import events as e
from gpu_workbench.core.agent_config import AgentConfig
from gpu_workbench.core.gang import first_failure, follows_another
from gpu_workbench.core.model import Cause, Failure, Kind, Phase
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.core.wire import Json, JsonObject, encode
from gpu_workbench.transport.websocket import WebSocket

GRACE = 3.0
"""Seconds that the other ranks are given to end by themselves when one has failed; then to heed an interrupt."""

SUSPICION = 45.0
"""Seconds for a rank to be missed of which others say that it is gone."""

PING = 5.0
"""Seconds between two signs of life; after three without one a connection is gone."""

FAREWELL = 10.0
"""Seconds that the other ranks are given to end when the head does."""


class Gang:
    """All ranks but the head's own.

    Args:
        config: The head's agent's.
        journal: The workload's: what the others report is written there under their ranks.
        restarted: Called when the payload of another rank was restarted unasked.
    """

    def __init__(
        self, config: AgentConfig, *, journal: Journal, restarted: Callable[[int], None] = lambda _: None
    ) -> None:
        self._config = config
        self._journal = journal
        self._restarted = restarted
        self._peers: dict[int, Peer] = {}
        self._up: set[int] = set()
        self._restarting: set[int] = set()
        self._changed = asyncio.Event()
        self._found = asyncio.Event()
        self._former: int | None = None
        self._disrupted: Callable[[], None] = lambda: None
        self._replaced = config.kind is Kind.JOB and bool(config.gang.node_env)
        self.generation = 0
        self.part: Part | None = None
        self.lost: Failure | None = None
        """Why it will never be complete again; ``None`` while it may be."""

    @property
    def world_size(self) -> int:
        """Ranks in all."""
        return self._config.gang.world_size

    @property
    def missing(self) -> list[int]:
        """Ranks that are not there, or not ready."""
        return [rank for rank in range(1, self.world_size) if not self._is_ready(rank)]

    def _is_ready(self, rank: int) -> bool:
        peer = self._peers.get(rank)
        return peer is not None and peer.ready and rank not in self._restarting

    async def complete(self, disrupted: str = "") -> None:
        """Wait until every rank is ready, or one is lost for good.

        Args:
            disrupted: How one was lost in whose place another has to come in time; empty where all come for the first time.
        """
        limit = self._config.gang.start_limit
        loop = asyncio.get_running_loop()
        end = loop.time() + limit
        while self.missing and self.lost is None:
            self._changed.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(
                    self._changed.wait(), max(0.0, end - loop.time()) if disrupted else None
                )
            if disrupted and loop.time() >= end and self.missing:
                what = (
                    f"{disrupted[:1].upper()}{disrupted[1:]}, and none came in its place within {limit:.0f} s"
                )
                self.lost = Failure(Cause.LOST, what, rank=self.missing[0])

    def take_former(self) -> int | None:
        """The generation that the others have run with another head, once; ``None`` where there was none."""
        former, self._former = self._former, None
        if former is not None:
            self.generation = former + 1
        return former

    def leaders(self) -> list[Peer]:
        """The first rank of every node but the head's own."""
        procs = self._config.gang.procs
        if not self._config.gang.node_env:  # all nodes are this machine, and its files are the head's
            return []
        return [self._peers[rank] for rank in range(procs, self.world_size, procs) if rank in self._peers]

    def peer(self, rank: int) -> Peer | None:
        """That rank, if it is there."""
        return self._peers.get(rank)

    def peers(self) -> list[Peer]:
        """All that are there, by rank."""
        return [self._peers[rank] for rank in sorted(self._peers)]

    def order(self, form: JsonObject, *, ranks: set[int] | None = None) -> None:
        """Tell the others, or some of them, to do something."""
        for peer in self._peers.values():
            if ranks is None or peer.rank in ranks:
                peer.order(form)

    # their connections

    async def serve(self, socket: WebSocket) -> None:
        """Hear one of the others, and tell it what to do, until its connection is gone."""
        first = await socket.receive()
        peer = self._greeted(json.loads(first)) if first else None
        if peer is None:
            return
        before, peer.socket = peer.socket, socket
        if before is not None:  # it came again before it was noticed that it had gone
            await before.close()
        tasks = [asyncio.create_task(_send(socket, peer.orders)), asyncio.create_task(_ping(socket))]
        try:
            while (line := await socket.receive()) is not None:
                self._heard(peer, line)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if peer.socket is socket:
                peer.socket = None
                self._gone(peer)

    def _greeted(self, form: JsonObject) -> Peer | None:
        """Who is connected now; ``None`` for nobody of this gang."""
        rank, epoch, address = form.get("rank"), str(form.get("epoch")), str(form.get("address"))
        if not isinstance(rank, int) or not 0 < rank < self.world_size:
            return None
        known = self._peers.get(rank)
        if known is not None and known.losing is not None:
            known.losing.cancel()
        if known is None or known.epoch != epoch:
            former = form.get("generation")
            if known is None and isinstance(former, int) and former >= 0:
                self._former = max(former, self._former or 0)
            if known is not None:
                known.client.close()
                self._up.discard(rank)
                if self._replaced:
                    self._disrupt(known, f"rank {rank} was replaced")
                elif self.part is not None and rank in self.part.open:
                    self._part_lost(rank, f"The agent of rank {rank} was started again")
            known = self._peers[rank] = Peer(
                rank, epoch=epoch, client=client_of(self._config, address=address)
            )
        known.losing = None
        known.order({"order": "hello", "epoch": self._journal.epoch})
        return known

    def _heard(self, peer: Peer, line: bytes) -> None:
        form = json.loads(line)
        if form.get("ready"):
            peer.ready = True
            self._restarting.discard(peer.rank)
            self._changed.set()
            return
        entry = e.decode_entry(line)
        if entry is None:
            return
        event = entry.event
        if isinstance(event, e.StopBegan):  # its own, and nobody else's
            if self._replaced and not peer.asked_to_end:
                self._disrupt(peer, f"rank {peer.rank} was told to end")
            return
        self._journal.append(event, rank=peer.rank)
        if isinstance(event, e.RankStarted):
            again = peer.rank in self._up and peer.rank not in self._restarting
            self._up.add(peer.rank)
            if again:
                self._restarted(peer.rank)
        elif isinstance(event, e.RankReported):
            part = self.part
            if part is not None and event.run == part.run and event.phase.ended:
                part.ended(peer.rank, event.phase, event.failure)
                part.receipts += [event.receipt] if event.receipt is not None else []
        elif isinstance(event, e.RankEnded):
            peer.ended = True
            self._changed.set()
            if event.phase is Phase.STOPPED and self._replaced and not peer.asked_to_end:
                return self._disrupt(peer, f"rank {peer.rank} was told to end")
            reason = event.failure.what if event.failure else "it was stopped"
            self._lose(peer, f"Rank {peer.rank} has ended: {reason}")

    def _gone(self, peer: Peer) -> None:
        loop = asyncio.get_running_loop()
        if self._peers.get(peer.rank) is peer and not peer.ended:
            peer.losing = loop.call_later(LOST, self._miss, peer)
        self._changed.set()

    def _miss(self, peer: Peer) -> None:
        """A rank was not heard for too long."""
        if self._replaced:
            self._disrupt(peer, f"rank {peer.rank} is gone")
        else:
            self._lose(peer, f"Rank {peer.rank} is gone: its agent has not been heard for {LOST:.0f} s")

    def _disrupt(self, peer: Peer, reason: str) -> None:
        """A rank of a detached run is being replaced: the run begins again when all are there."""
        peer.ready = False
        self._changed.set()
        part = self.part
        if part is not None and all(map(follows_another, part.failures)) and not part.disrupted:
            part.disrupted = reason
            executes = 0 in part.open
            part.close()
            if executes:
                part.open.add(0)
                self._disrupted()
            self._found.set()

    def _lose(self, peer: Peer, what: str) -> None:
        peer.ready = False
        failure = Failure(Cause.LOST, what, rank=peer.rank)
        if not peer.ended:
            self._journal.append(e.RankEnded(phase=Phase.LOST, failure=failure), rank=peer.rank)
        self.lost = self.lost or failure
        self._changed.set()
        if self.part is not None and peer.rank in self.part.open:
            self._part_lost(peer.rank, what)

    def _part_lost(self, rank: int, what: str) -> None:
        assert self.part is not None
        self.part.ended(rank, Phase.LOST, Failure(Cause.LOST, what, rank=rank))

    async def suspect(self) -> None:
        """All failures say that another rank is gone: wait for that one to be missed."""
        if self._replaced:
            self._found.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._found.wait(), SUSPICION)

    # a run

    def begin(self, spec: RunSpec, *, ordered: bool, disrupted: Callable[[], None]) -> Part:
        """A run begins.

        Args:
            spec: Which.
            ordered: The others are told what it is; they know it already where it is detached.
            disrupted: Ends the head's own part of it, to begin again.
        """
        self._disrupted = disrupted
        ranks = frozenset(spec.ranks) or frozenset(range(self.world_size))
        self.part = Part(spec.id, ranks | {0})
        if ordered:
            form: Json = encode(replace(spec, generation=-1, out=()))
            for rank in sorted(ranks - {0}):
                self.order({"order": "run", "spec": form, "shown": rank == min(ranks)}, ranks={rank})
        else:
            self.order({"order": "go", "generation": self.generation})
        return self.part

    async def fail_together(self, part: Part, interrupt: Callable[[int], None]) -> None:
        """When one rank has failed, see to it that no other waits for it for ever.

        Args:
            part: The run's.
            interrupt: Interrupts all that is open of it, by grade.
        """
        await part.failed()
        for grade in (1, 2):
            if await part.until(GRACE):
                return
            interrupt(grade)

    def interrupt(self, run: str, *, grade: int) -> None:
        """Interrupt what the others do of a run."""
        part = self.part
        if part is not None and part.run == run:
            if grade >= 2:  # each restart is the one asked for
                self._restarting |= part.open - {0}
            self.order({"order": "interrupt", "run": run, "grade": grade}, ranks=part.open)

    def verdict(self, phase: Phase, failure: Failure | None) -> tuple[Phase, Failure | None]:
        """How the run ended, of which every part is over.

        Args:
            phase: How the head's own part did.
            failure: And why.
        """
        part, self.part = self.part, None
        assert part is not None
        if part.disrupted:
            self.generation += 1
            self._restarting |= set(self._peers)
            self.order({"order": "again", "reason": part.disrupted})
            return Phase.STOPPED, None
        self.order({"order": "over"})
        if part.failures:
            return Phase.FAILED, first_failure(part.failures)
        if part.stopped is not None and phase is Phase.SUCCEEDED:
            return Phase.STOPPED, part.stopped
        return phase, failure

    # the end

    def restart(self) -> None:
        """Have every other rank start its payload anew, unless it is just doing so."""
        self._restarting |= set(self._peers)
        self.order({"order": "restart"})

    async def end(self, reason: str) -> None:
        """Have all others end, and wait until they have."""
        for peer in self._peers.values():
            peer.asked_to_end = True
        self.order({"order": "stop", "reason": reason})
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._all_gone(), FAREWELL)
        for peer in self._peers.values():
            if peer.losing is not None:
                peer.losing.cancel()
            peer.client.close()

    async def _all_gone(self) -> None:
        while not all(peer.ended or peer.losing for peer in self._peers.values()):
            self._changed.clear()
            await self._changed.wait()


async def _send(socket: WebSocket, orders: asyncio.Queue[bytes]) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await socket.send(await orders.get())


async def _ping(socket: WebSocket) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while loop.time() - socket.last_heard < 3 * PING:
            await asyncio.sleep(PING)
            await socket.ping()
        await socket.close()
