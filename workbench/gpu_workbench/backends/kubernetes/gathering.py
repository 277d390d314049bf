"""Changes that belong together, told at once: a pod and its Job, a pod and its events, many pods of one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Gathering:
    """Calls listeners a moment later than it is told to, each once however often it was.

    Args:
        seconds: The moment, from the first of what is gathered.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[Callable[[], None], None] = {}

    def tell(self, *listeners: Callable[[], None]) -> None:
        """Have these called."""
        if listeners and not self._waiting:
            asyncio.get_running_loop().call_later(self._seconds, self._call)
        self._waiting.update(dict.fromkeys(listeners))

    def _call(self) -> None:
        listeners, self._waiting = self._waiting, {}
        for listener in listeners:
            listener()
