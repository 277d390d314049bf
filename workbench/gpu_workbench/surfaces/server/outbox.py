"""What one browser tab has been sent and is to be sent next: the newest state of each topic, never a queue. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_workbench.surfaces.server.topics import State, message

INTERVAL = 1.0
"""Seconds between two messages of one topic at least."""

TOPICS = 1000
"""Topics that one tab may be subscribed to."""


@dataclass
class _Sent:
    """One topic of the tab."""

    seq: int = 0
    state: State | None = None
    at: float = float("-inf")
    dirty: bool = True


class Outbox:
    """The topics of one tab.

    Args:
        interval: Seconds between two messages of one topic at least.
        limit: Topics it may have.
    """

    def __init__(self, *, interval: float = INTERVAL, limit: int = TOPICS) -> None:
        self._interval = interval
        self._limit = limit
        self._topics: dict[str, _Sent] = {}

    def __contains__(self, topic: str) -> bool:
        return topic in self._topics

    @property
    def topics(self) -> tuple[str, ...]:
        """Those it is subscribed to."""
        return tuple(self._topics)

    def subscribe(self, topic: str) -> bool:
        """Add a topic, or send all of it again; ``False`` where there are too many."""
        if topic not in self._topics and len(self._topics) >= self._limit:
            return False
        self._topics[topic] = _Sent()
        return True

    def unsubscribe(self, topic: str) -> None:
        """Send no more of it."""
        self._topics.pop(topic, None)

    def changed(self, topic: str) -> None:
        """There may be something new."""
        if topic in self._topics:
            self._topics[topic].dirty = True

    def due(self, now: float) -> list[str]:
        """Topics to be looked at now, those first that have waited longest."""
        found = [(sent.at, topic) for topic, sent in self._topics.items() if sent.dirty]
        return [topic for at, topic in sorted(found) if at + self._interval <= now]

    def wait(self, now: float) -> float | None:
        """Seconds until something is due; ``None`` while nothing is new."""
        waits = [sent.at + self._interval - now for sent in self._topics.values() if sent.dirty]
        return max(0.0, min(waits)) if waits else None

    def take(self, topic: str, state: State, now: float) -> str | None:
        """The message that brings the tab to ``state``; ``None`` where it is there already.

        With or without one, the topic is not due again before the interval is over.
        """
        sent = self._topics[topic]
        sent.dirty, sent.at = False, now
        text = message(topic, seq=sent.seq + 1, before=sent.state, now=state)
        if text is not None:
            sent.seq, sent.state = sent.seq + 1, state
        return text
