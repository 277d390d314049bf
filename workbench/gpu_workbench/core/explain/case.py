"""The facts of one workload as the rules look at them: which pod is spoken of, and what was last said about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from gpu_workbench.core.facts import Facts
from gpu_workbench.core.objects import at, condition, member, members, name_of, text
from gpu_workbench.core.spec import WorkloadSpec
from gpu_workbench.core.wire import JsonObject


@dataclass(frozen=True)
class Case:
    """Facts, what was asked for, and the pod that decides."""

    facts: Facts
    spec: WorkloadSpec

    @cached_property
    def pod(self) -> JsonObject:
        """The pod to speak of: one that lives and does not run, else one that lives, else the one that failed first.

        An empty object where there is none.
        """
        living = [
            pod for pod in self.facts.pods if text(pod, "status", "phase") not in ("Succeeded", "Failed")
        ]
        waiting = [pod for pod in living if not condition(pod, "Ready")]
        failed = [pod for pod in self.facts.pods if text(pod, "status", "phase") == "Failed"]
        failed.sort(key=_finished_at)
        return next(iter((*waiting, *living, *failed, *self.facts.pods)), {})

    @property
    def pod_name(self) -> str:
        """For sources."""
        return name_of(self.pod) or "none"

    @cached_property
    def containers(self) -> tuple[JsonObject, ...]:
        """The statuses of its containers, those that run first first."""
        kinds = ("initContainerStatuses", "containerStatuses")
        return tuple(status for kind in kinds for status in members(self.pod, "status", kind))

    @cached_property
    def pod_events(self) -> tuple[JsonObject, ...]:
        """Events about the pod, oldest first; about all pods of the workload when none is left."""
        name = name_of(self.pod)
        return tuple(
            event
            for event in self.facts.events
            if text(event, "involvedObject", "kind") == "Pod"
            and (not name or text(event, "involvedObject", "name") == name)
        )

    @cached_property
    def node(self) -> JsonObject | None:
        """The node it was given to; ``None`` where that is not known or not visible."""
        name = text(self.pod, "spec", "nodeName")
        return next((node for node in self.facts.nodes or () if name and name_of(node) == name), None)

    def last_event(self, *reasons: str) -> JsonObject | None:
        """The newest event about the pod with one of these reasons."""
        return next((event for event in reversed(self.pod_events) if text(event, "reason") in reasons), None)

    def waiting(self) -> Iterator[tuple[JsonObject, JsonObject]]:
        """Each container that waits: its status and ``state.waiting``."""
        for status in self.containers:
            state = member(status, "state", "waiting")
            if state:
                yield status, state

    def ended(self) -> Iterator[tuple[JsonObject, JsonObject]]:
        """Each container that ended badly, and is not yet started again: its status and how it ended."""
        for status in self.containers:
            state = terminated(status)
            if state and state.get("exitCode") != 0:
                yield status, state

    def image(self, status: JsonObject | None = None) -> str:
        """The image as the pod names it."""
        name = text(status, "name")
        named = [
            text(item, "image")
            for kind in ("initContainers", "containers")
            for item in members(self.pod, "spec", kind)
            if not name or item.get("name") == name
        ]
        return named[-1] if named else self.spec.image

    def source(self, path: str) -> str:
        """``pod NAME: PATH``."""
        return f"pod {self.pod_name}: {path}"


def terminated(status: JsonObject) -> JsonObject:
    """How a container ended that does not run; of one that is started again later, how it ended before."""
    if text(status, "state", "waiting", "reason") == "CrashLoopBackOff":
        return member(status, "lastState", "terminated")
    return member(status, "state", "terminated")


def _finished_at(pod: JsonObject) -> str:
    times = [
        text(status, "state", "terminated", "finishedAt")
        for status in members(pod, "status", "containerStatuses")
    ]
    return max(times, default="") or text(pod, "metadata", "creationTimestamp")


def event_source(event: JsonObject) -> str:
    """``event REASON of KIND NAME``."""
    about = f"{text(event, 'involvedObject', 'kind').lower()} {text(event, 'involvedObject', 'name')}"
    return f"event {text(event, 'reason')} of {about}"


def event_time(event: JsonObject) -> str:
    """When it was last said, RFC 3339."""
    return text(event, "lastTimestamp") or text(event, "eventTime")


def is_leaving(pod: JsonObject) -> bool:
    """Whether the pod is being deleted."""
    return at(pod, "metadata", "deletionTimestamp") is not None


def clock(stamp: str) -> str:
    """``17:18 UTC`` of an RFC 3339 time; empty where it is none."""
    found = re.fullmatch(r"\d{4}-\d\d-\d\dT(\d\d:\d\d):\d\d(\.\d+)?Z", stamp)
    return f"{found[1]} UTC" if found else ""


def seconds_between(earlier: str, later: str) -> float | None:
    """Seconds from one RFC 3339 time to another; ``None`` where one is missing or they are the wrong way round."""
    try:
        begin, end = (datetime.fromisoformat(stamp.replace("Z", "+00:00")) for stamp in (earlier, later))
        passed = (end - begin).total_seconds()
    except (ValueError, TypeError):
        return None
    return passed if passed >= 0 else None


_STRANGERS = (
    re.compile(r'\bUser "[^"]*" '),
    re.compile(r" by (pod|a pod) \S+"),
    re.compile(r"Volume is already used by pod\(s\).*"),
    re.compile(r"\s*\(UID: [^)]*\)"),
    re.compile(r"; preempt(or|ee) path: [^;]*"),
)
_QUOTED = 300


def quote(message: str) -> str:
    """A message of the cluster, on one line, short, and without the names of other users or their objects."""
    for pattern in _STRANGERS:
        message = pattern.sub("", message)
    line = " ".join(message.split()).rstrip(". ")
    return line if len(line) <= _QUOTED else line[: _QUOTED - 1] + "…"
