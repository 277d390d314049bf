"""What is said to one kernel and what it answers: replies find their requests, output finds its run and the journal."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.kernel import Kernel
from gpu_workbench.agent.messages import Message
from gpu_workbench.agent.outputs import output_events
from gpu_workbench.agent.progress import newest_progress
from gpu_workbench.agent.runs import Runs
from gpu_workbench.core import events as e
from gpu_workbench.core.wire import Json
from gpu_workbench.transport.timing import within

_BATCH = 64
_REMEMBERED = 512
_LOST_REPLY = 2.0
"""Seconds after its request is done with that a reply may still take; ipykernel sends none if Ctrl-C hit its own code."""

_NUDGES = (0.05, 0.5, 2.0)
"""Seconds after an interrupt, each after the one before, until it is certain to have been heard."""


@dataclass
class _Exchange:
    """A request that is not done with. ``silent`` ones show nothing."""

    run: str
    silent: bool
    interrupted: bool = False
    begun: bool = False
    nudging: asyncio.Task[None] | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)
    reply: asyncio.Future[Message] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Dialogue:
    """The conversation with a kernel that has been started.

    Args:
        kernel: With whom.
        journal: Where output goes.
        runs: Says whose output it is that no request asked for.
        hold: Asked of each output whether it is to wait for somebody else's word; it is journaled by them then.
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        journal: Journal,
        runs: Runs,
        hold: Callable[[e.OutputWritten], bool] = lambda _: False,
    ) -> None:
        self._hold = hold
        self._kernel = kernel
        self._journal = journal
        self._runs = runs
        self._asked: OrderedDict[str, str | None] = OrderedDict()
        """The id of each request to its run; ``None`` for silent ones."""
        self._exchange: tuple[str, _Exchange] | None = None
        self._inputs: dict[str, str] = {}
        self._over = False
        self._pumps = [
            asyncio.create_task(pump())
            for pump in (self._pump_outputs, self._pump_replies, self._pump_inputs)
        ]

    async def execute(
        self, code: str, *, run: str, silent: bool = False, metadata: Mapping[str, Json] | None = None
    ) -> Message:
        """Have ``code`` executed for a run; returns its ``execute_reply`` once all of its output is in the journal.

        One at a time.

        Args:
            code: To be executed.
            run: The run it is a part of.
            silent: Nothing of it is shown.
            metadata: Of the request.
        """
        exchange = _Exchange(run=run, silent=silent)
        asked = self._kernel.execute(code, silent=silent, allow_stdin=not silent, metadata=metadata)
        self._asked[asked] = None if silent else run
        while len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)
        self._exchange = asked, exchange
        try:
            await exchange.done.wait()
            with contextlib.suppress(asyncio.TimeoutError):
                patience = _LOST_REPLY if exchange.interrupted else None
                return await within(asyncio.shield(exchange.reply), patience)
        finally:
            self._exchange = None
            if exchange.nudging is not None:
                exchange.nudging.cancel()
        return Message(
            "execute_reply",
            asked,
            {"status": "error", "ename": "KeyboardInterrupt", "evalue": "", "traceback": []},
        )

    def interrupt(self) -> None:
        """``KeyboardInterrupt`` in what is executed now: as soon as it has begun, for before that none would come."""
        if self._exchange is None:
            return
        exchange = self._exchange[1]
        exchange.interrupted = True
        if exchange.begun or exchange.silent:
            self._interrupt(exchange)

    def _interrupt(self, exchange: _Exchange) -> None:
        self._kernel.interrupt()
        exchange.nudging = asyncio.create_task(self._nudge())

    async def _nudge(self) -> None:
        for pause in _NUDGES:
            await asyncio.sleep(pause)
            self._kernel.nudge()

    def answer(self, run: str, *, request: str, value: str) -> bool:
        """Answer a request for input; ``False`` where it is not open any more."""
        if self._inputs.get(request) != run:
            return False
        del self._inputs[request]
        self._kernel.send("stdin", "input_reply", {"value": value})
        return True

    async def close(self) -> None:
        """Listen no longer."""
        self._over = True
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def last_words(self) -> None:
        """Journal what a kernel that died had still sent, and close."""
        if not self._over:
            await self.close()
            self._show(await self._kernel.last_words())

    async def _pump_outputs(self) -> None:
        while True:
            messages = await self._kernel.receive("iopub", _BATCH)
            self._show(messages)
            for message in messages:
                self._note(message)

    def _show(self, messages: list[Message]) -> None:
        shown = []
        for message in messages:
            run = self._asked.get(message.parent, "")
            if run is not None:
                shown.append((run or self._runs.latest, message))
        events = [event for event in output_events(shown) if not self._hold(event)]
        if events:
            self._journal.extend([*events, *newest_progress(events)])

    def _note(self, message: Message) -> None:
        """What a message tells of the request that is under way."""
        if self._exchange is None or message.parent != self._exchange[0]:
            return
        exchange = self._exchange[1]
        if message.type == "execute_input" and not exchange.begun:
            exchange.begun = True
            if exchange.interrupted:
                self._interrupt(exchange)
        elif message.type == "status" and message.content.get("execution_state") == "idle":
            self._inputs.clear()
            exchange.done.set()

    async def _pump_replies(self) -> None:
        while True:
            for message in await self._kernel.receive("shell", _BATCH):
                known = self._exchange
                if message.type == "execute_reply" and known is not None and message.parent == known[0]:
                    known[1].reply.set_result(message)

    async def _pump_inputs(self) -> None:
        while True:
            for message in await self._kernel.receive("stdin", _BATCH):
                if message.type == "input_request" and self._runs.current is not None:
                    self._ask_for_input(self._runs.current.id, message)

    def _ask_for_input(self, run: str, message: Message) -> None:
        self._inputs = {message.id: run}  # a kernel asks one thing at a time
        prompt, password = message.content.get("prompt"), bool(message.content.get("password"))
        self._journal.append(
            e.InputRequested(run=run, request=message.id, prompt=str(prompt or ""), password=password)
        )
