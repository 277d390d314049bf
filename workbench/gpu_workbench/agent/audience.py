"""Who listens to an agent: whether a client is connected, since when none is, and how far the journal was read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


class Audience:
    """The clients of one agent.

    Args:
        clock: Seconds since the agent started.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.clients = 0
        """Clients that read the journal now."""
        self.alone_since: float | None = 0.0
        """When the last client left or asked something; ``None`` while one is connected."""
        self.read_to = 0
        """The last event that a client was sent."""

    def heard(self) -> None:
        """A client asked something."""
        if self.alone_since is not None:
            self.alone_since = self._clock()

    @contextlib.contextmanager
    def client(self) -> Iterator[None]:
        """While a client reads the journal."""
        self.clients += 1
        self.alone_since = None
        try:
            yield
        finally:
            self.clients -= 1
            if not self.clients:
                self.alone_since = self._clock()

    def was_read(self, number: int) -> None:
        """A client was sent the journal up to this event."""
        self.read_to = max(self.read_to, number)
