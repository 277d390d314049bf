"""The capacity of each target, counted anew while somebody looks at it, and forgotten when nobody does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gpu_workbench.app.board import Target
from gpu_workbench.backends.protocol import CountsGpus
from gpu_workbench.core.capacity import Capacity
from gpu_workbench.core.errors import WorkbenchError

INTERVAL = 10.0
"""Seconds between two counts."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Counted:
    """What was counted last.

    Args:
        capacity: ``None`` where it cannot be counted.
        error: Why it cannot; empty where it can.
    """

    capacity: Capacity | None = None
    error: str = ""


class Capacities:
    """The capacity of all targets. Used in one event loop; each is counted by itself, so that none waits for another.

    Args:
        targets: Where to look. One whose backend cannot count has no capacity.
        interval: Seconds between two counts.
    """

    def __init__(self, targets: Sequence[Target], *, interval: float = INTERVAL) -> None:
        self._targets = tuple(target for target in targets if isinstance(target.backend, CountsGpus))
        self._interval = interval
        self._listeners: list[Callable[[], None]] = []
        self._counting: list[asyncio.Task[None]] = []
        self._known: dict[str, Counted] = {}

    @property
    def known(self) -> Mapping[str, Counted]:
        """Backend to what was counted there, as far as that is done; nothing while nobody looks."""
        return self._known

    @contextlib.contextmanager
    def look(self, listener: Callable[[], None]) -> Iterator[None]:
        """While it lasts, all are counted, and ``listener`` is called when one has changed."""
        self._listeners.append(listener)
        if not self._counting:
            self._counting = [asyncio.create_task(self._keep_counting(target)) for target in self._targets]
        try:
            yield
        finally:
            self._listeners.remove(listener)
            if not self._listeners:
                self.close()

    def close(self) -> None:
        """Count no more."""
        for task in self._counting:
            task.cancel()
        self._counting = []
        self._known = {}

    async def _keep_counting(self, target: Target) -> None:
        known = self._known  # of those who look now
        while True:
            found = await _count(target)
            if known.get(target.backend.name) != found:
                known[target.backend.name] = found
                for listener in list(self._listeners):
                    listener()
            await asyncio.sleep(self._interval)


async def _count(target: Target) -> Counted:
    assert isinstance(target.backend, CountsGpus)
    try:
        return Counted(await target.backend.capacity(owner=await target.owner()))
    except WorkbenchError as error:
        return Counted(error=str(error))
    except Exception:
        log.exception("The GPUs of %s cannot be counted", target.backend.name)
        return Counted(error="Something is wrong in the server; its log says what")
