"""A workload's output from its very beginning, by a subscription of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from gpu_workbench.app.subscriptions import END, Subscription
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.core.errors import WorkbenchError
from gpu_workbench.core.events import OutputWritten
from gpu_workbench.core.spec import Handle

_QUIET = 0.2
_PATIENCE = 5.0


class Replay:
    """Reads a journal from the start. Make it with :meth:`begin`, in the portal.

    Args:
        subscription: A subscription of its own.
        run: The run whose output is wanted; empty for that of all.
    """

    def __init__(self, subscription: Subscription, run: str = "") -> None:
        self.subscription = subscription
        self._run = run
        self._context = subscription.feed()
        self._feed = self._context.__enter__()

    @classmethod
    async def begin(cls, backend: Backend, handle: Handle, run: str = "") -> Replay:
        """Begin to read the journal of a workload."""
        return cls(Subscription(backend, handle), run)

    async def outputs(self, *, follow: bool) -> AsyncIterator[list[OutputWritten]]:
        """The output of its runs in batches, in order; with ``follow``, until it is over.

        A session is followed until no run executes or waits in it.
        """
        waited = 0.0
        while True:
            try:
                batch = await self._feed.take(_QUIET)
            except asyncio.TimeoutError:
                waited += _QUIET
                if self._done(follow=follow, waited=waited):
                    return
                yield []
                continue
            if batch is END:
                if not self.subscription.heard:
                    yield await self._from_the_log()
                return
            written = [entry.event for entry in batch if isinstance(entry.event, OutputWritten)]
            yield [event for event in written if self._run in ("", event.run)]
            if not follow and batch and self.subscription.at_end(batch[-1].cursor):
                return  # a run that prints without a pause would never be done

    async def _from_the_log(self) -> list[OutputWritten]:
        """What the container printed: all that is left where the journal went with its agent."""
        subscription = self.subscription
        try:
            text = await subscription.backend.logs(subscription.handle)
        except WorkbenchError:
            return []
        return [OutputWritten(subscription.handle.id, "stream", {"name": "stdout", "text": text})]

    def _done(self, *, follow: bool, waited: float) -> bool:
        """Nothing came for a moment: whether that was the end."""
        subscription = self.subscription
        if subscription.over:
            return False  # the end itself is on its way
        if not subscription.caught_up:
            return not follow and waited > _PATIENCE
        runs = subscription.workload.runs.values()
        return not follow or all(run.phase.ended for run in runs if self._run in ("", run.id))

    async def close(self) -> None:
        """Stop reading."""
        self._context.__exit__(None, None, None)
        await self.subscription.close()
