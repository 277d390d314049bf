"""What a browser is told of a topic: all of it at first, then what has changed. Pure.

A topic's state is an object whose members are JSON texts already, so that a member is encoded once for all browsers and
compared as it is sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

State = Mapping[str, str]
"""Member's name to its JSON text."""

RUNS = "runs"
"""The topic with a row for each workload."""

TARGETS = "targets"
"""The topic with a member for each backend that is looked at."""

CAPACITY = "capacity"
"""The topic with a member for each backend whose GPUs can be counted; they are while somebody is subscribed to it."""

_ID_LENGTH = 64


@dataclass(frozen=True)
class RunTopic:
    """The topic of one workload, or of one run in a session: ``run/ID`` or ``run/ID/RUN``."""

    workload: str
    run: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in ("run", self.workload, self.run) if part)


def parse_topic(text: object) -> str | RunTopic | None:
    """The topic of that name; ``None`` for what is none."""
    if text in (RUNS, TARGETS, CAPACITY):
        return str(text)
    if not isinstance(text, str):
        return None
    kind, _, rest = text.partition("/")
    workload, _, run = rest.partition("/")
    if kind != "run" or not is_id(workload) or (run and not is_id(run)):
        return None
    return RunTopic(workload, run)


def is_id(text: str) -> bool:
    """Whether it can be a workload's or run's id."""
    return 0 < len(text) <= _ID_LENGTH and text.replace("-", "").replace("_", "").isalnum() and text.isascii()


def message(topic: str, *, seq: int, before: State | None, now: State) -> str | None:
    """The next message of a topic as JSON; ``None`` where there is nothing new.

    ``{"topic", "seq", "state": {…}}`` is all there is. ``{"topic", "seq", "set": {…}, "gone": […]}`` is what became of it
    since the message before.

    Args:
        seq: Its number, from 1; each is one more than the one before.
        before: What the browser has; ``None`` before its first message.
        now: What there is.
    """
    head = f'{{"topic":{json.dumps(topic)},"seq":{seq},'
    if before is None:
        return f'{head}"state":{_members(now)}}}'
    changed = {name: text for name, text in now.items() if before.get(name) != text}
    gone = [name for name in before if name not in now]
    if not changed and not gone:
        return None
    return f'{head}"set":{_members(changed)},"gone":{json.dumps(gone)}}}'


def _members(state: State) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in state.items()) + "}"
