"""A rank's tie to the head of its gang: it reports what it does, and takes orders. Its output stays in its own journal.

State changes are reported at once, how far it has come now and then. The connection carries JSON: to the head a greeting and
journal entries, back from it orders.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Callable
from dataclasses import replace

from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.peer import LOST, client_of
from gpu_workbench.core import events as e
from gpu_workbench.core.agent_config import AgentConfig
from gpu_workbench.core.errors import ProtocolError, Unreachable
from gpu_workbench.core.model import Failure, Kind, Phase, Receipt
from gpu_workbench.core.reduce import last_line
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.transport.websocket import WebSocket

AGAIN = 0.2
"""Seconds between two attempts to reach the head; up to ten times as many while it is not there for longer."""

_AT_ONCE = (e.AgentStarted, e.RankStarted, e.RankEnded, e.StopBegan)


class Member:
    """One rank other than the first.

    Args:
        config: Its agent's.
        rank: Which.
        journal: Its own; listened to from now on.
        ordered: Called with each order of the head.
        lost: Called, with the reason, when the head is gone for good.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        rank: int,
        journal: Journal,
        ordered: Callable[[JsonObject], None],
        lost: Callable[[str], None],
    ) -> None:
        self._config = config
        self._rank = rank
        self._journal = journal
        self._ordered = ordered
        self._lost = lost
        replaced = config.kind is Kind.JOB and bool(config.gang.node_env)
        self._patience = config.gang.start_limit if replaced else LOST
        self._interval = min(5.0, max(1.0, config.gang.world_size / 16))
        self._address = config.listen.socket
        self.generation = -1
        """Of the run that it has taken part in, as the head has told; -1 before that."""
        self._ready = False
        self._outbox: asyncio.Queue[bytes] | None = None
        self._standing: dict[type, e.Event] = {}
        self._report: e.RankReported | None = None
        self._sample: e.GpuSampled | None = None
        self._moved = False
        self._shown = ""
        journal.listen(self._entry)

    # what is told

    def ready(self) -> None:
        """Its payload can take a run."""
        self._ready = True
        self._put({"ready": True})

    def busy(self) -> None:
        """It has begun to execute a run."""
        self._ready = False

    def part_over(self, phase: Phase, failure: Failure | None, receipt: Receipt | None) -> None:
        """This rank's part of the run is over, though the run may not be."""
        if self._report is not None:
            failure = failure and replace(failure, rank=self._rank)
            over = replace(self._report, phase=phase, failure=failure, receipt=receipt)
            self._reported(over, at_once=True)

    def show(self, run: str) -> None:
        """All output of that run is reported: no rank before this one executes it."""
        self._shown = run

    def _entry(self, entry: e.Entry) -> None:
        event, report = entry.event, self._report
        if isinstance(event, _AT_ONCE):
            self._standing[type(event)] = event
            self._tell(event)
        elif isinstance(event, e.RunStarted):
            self._reported(e.RankReported(run=event.run, phase=Phase.RUNNING), at_once=True)
        elif isinstance(event, e.GpuSampled):
            self._sample = event
        elif report is None or getattr(event, "run", "") != report.run:
            return
        elif isinstance(event, e.RunEnded):
            failure = event.failure and replace(event.failure, rank=self._rank)
            over = replace(report, phase=event.phase, failure=failure, receipt=event.receipt)
            self._reported(over, at_once=True)
        elif isinstance(event, e.OutputWritten):
            if event.run == self._shown and event.message != "error":  # the head shows errors
                self._tell(event)
            line = last_line(report.line, str(event.content.get("text") or ""))
            self._reported(replace(report, line=line))
        elif isinstance(event, e.ProgressMoved):
            self._reported(replace(report, progress=event.progress))

    def _reported(self, report: e.RankReported, *, at_once: bool = False) -> None:
        self._report, self._moved = report, True
        self._standing[e.RankReported] = report
        if at_once:
            self._say_how_far()

    def _say_how_far(self) -> None:
        if self._moved and self._report is not None:
            self._moved = False
            self._tell(self._report)

    def _tell(self, event: e.Event) -> None:
        entry = e.Entry(rank=self._rank, epoch=self._journal.epoch, n=0, t=0.0, event=event)
        if self._outbox is not None:  # the head numbers it, by its own clock
            self._outbox.put_nowait(e.encode_entry(entry).encode())

    def _put(self, form: JsonObject) -> None:
        if self._outbox is not None:
            self._outbox.put_nowait(json.dumps(form).encode())

    # the connection

    async def run(self) -> None:
        """Be connected, until cancelled or the head is gone for good."""
        loop = asyncio.get_running_loop()
        client = client_of(
            self._config, address=self._config.gang.head, patience=5.0, connected=self._connected
        )
        telling = asyncio.create_task(self._tell_now_and_then())
        since, pause, limit = loop.time(), AGAIN, self._config.gang.start_limit
        why = ""
        try:
            while loop.time() - since < limit:
                try:
                    socket_ = await client.websocket("/v1/gang")
                except (Unreachable, ProtocolError) as error:
                    why = str(error)
                    await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - only spread
                    pause = min(2 * pause, 10 * AGAIN)
                    continue
                await self._speak(socket_)
                since, pause, limit = loop.time(), AGAIN, self._patience
            self._lost(f"rank 0 cannot be reached: {why}" if why else "rank 0 is gone")
        finally:
            telling.cancel()
            client.close()

    def _connected(self, address: str) -> None:
        self._address = f"[{address}]:{self._config.listen.port}"

    async def _speak(self, socket_: WebSocket) -> None:
        """Report and take orders until the connection is gone."""
        outbox = self._outbox = asyncio.Queue()
        greeting: JsonObject = {
            "rank": self._rank,
            "epoch": self._journal.epoch,
            "address": self._address,
            "generation": self.generation,
        }
        self._put(greeting)
        for event in list(self._standing.values()):
            self._tell(event)
        if self._ready:
            self._put({"ready": True})
        sending = asyncio.create_task(_send(socket_, outbox))
        try:
            with contextlib.suppress(ConnectionError):
                while (order := await socket_.receive()) is not None:
                    self._ordered(json.loads(order))
        finally:
            self._outbox = None
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await socket_.close()

    async def _tell_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._interval * random.uniform(0.8, 1.2))  # noqa: S311 - only spread
            self._say_how_far()
            if self._sample is not None:
                self._tell(self._sample)
                self._sample = None


async def _send(socket_: WebSocket, outbox: asyncio.Queue[bytes]) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await socket_.send(await outbox.get())
