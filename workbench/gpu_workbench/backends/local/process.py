"""A process of this machine that may be somebody else's child."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

POLL = 0.1
"""Seconds between two looks at a process, where the system cannot tell when it ends."""


@dataclass(frozen=True)
class ProcessMark:
    """A process that can be told from a later one with the same pid."""

    pid: int
    started: str

    @property
    def alive(self) -> bool:
        """Whether that very process is there."""
        return process_started(self.pid) == self.started

    async def gone(self) -> None:
        """Wait until it is not there any more: told by the system where that can, else by looking."""
        try:
            watched = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        except (OSError, AttributeError):  # not Linux, an old one, or a sandbox that does not offer it
            while self.alive:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(POLL)
            return
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(watched, ended.set)
        try:
            if self.alive:  # and not another one that has its pid now
                await ended.wait()
        finally:
            loop.remove_reader(watched)
            os.close(watched)


def process_started(pid: int) -> str | None:
    """When a process started, as the system says it; ``None`` for one that is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return _process_started_by_signal(pid)
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]


def _process_started_by_signal(pid: int) -> str | None:
    if Path("/proc/self").exists():
        return None
    try:  # no /proc: macOS
        os.kill(pid, 0)
    except OSError:
        return None
    return "unknown"
