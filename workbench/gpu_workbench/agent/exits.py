"""How a payload's process ended, in words."""

from __future__ import annotations

import signal
from pathlib import Path

from gpu_workbench.agent.inkernel.launcher import NO_IPYKERNEL
from gpu_workbench.core.model import Cause, Failure


def describe_death(code: int, *, tail: str = "") -> Failure:
    """The failure of a process that ended with ``code``, negative for a signal."""
    tail = tail.strip()[-4000:]
    if code == NO_IPYKERNEL:
        what = "This image has no ipykernel: add it to the image, or choose another one with --image"
        return Failure(Cause.NOT_STARTED, what, tail, exit_code=code)
    if code >= 0:
        return Failure(
            Cause.EXITED, f"The cell ended its own process with exit code {code}", tail, exit_code=code
        )
    name = _signal_name(-code)
    if name == "SIGKILL" and out_of_memory():
        limit = memory_limit()
        shown = f" ({limit / 2**30:.1f} GiB)" if limit else ""
        what = f"The session ran out of memory{shown}: its process was killed. Ask for more with --memory"
        return Failure(Cause.OUT_OF_MEMORY, what, tail, signal=name)
    return Failure(Cause.SIGNALLED, f"The session's process was killed by {name}", tail, signal=name)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


_CGROUPS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory"))


def out_of_memory() -> bool:
    """Whether the kernel's out-of-memory killer struck in this container."""
    return _count(("memory.events", "memory.oom_control"), "oom_kill") > 0


def memory_limit() -> int | None:
    """Bytes this container may use, where it has a limit."""
    for folder in _CGROUPS:
        for name in ("memory.max", "memory.limit_in_bytes"):
            try:
                text = (folder / name).read_text().strip()
            except OSError:
                continue
            if text.isdecimal() and int(text) < 2**60:
                return int(text)
    return None


def _count(names: tuple[str, ...], key: str) -> int:
    for folder in _CGROUPS:
        for name in names:
            try:
                lines = (folder / name).read_text().splitlines()
            except OSError:
                continue
            for line in lines:
                word, _, value = line.partition(" ")
                if word == key and value.isdecimal():
                    return int(value)
    return 0
