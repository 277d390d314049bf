"""How a payload's process ended, in words."""

from __future__ import annotations

import signal
from pathlib import Path

from gpu_workbench.core.exits import Exit
from gpu_workbench.core.model import Cause, Failure, Phase
from gpu_workbench.core.wire import JsonObject

_CUDA_MEMORY = ("CUDA out of memory", "CUDA error: out of memory")
"""What torch says where it has no class for it."""


def not_started(code: int, *, tail: str = "") -> Failure:
    """The failure of a kernel that ended before it answered."""
    tail = tail.strip()[-4000:]
    if code == Exit.NO_IPYKERNEL:
        absent = any(f"No module named {name!r}" in tail for name in ("ipykernel", "zmq", "jupyter_client"))
        what = (
            "This image has no ipykernel: add it to the image, or choose another one with --image"
            if absent or not tail
            else "This image's ipykernel cannot be imported: put a newer one into the image, or choose another one"
        )
        return Failure(Cause.NOT_STARTED, what, tail, exit_code=code)
    if code >= 0:
        what = f"The session's process ended with exit code {code} before it was ready"
        return Failure(Cause.NOT_STARTED, what, tail, exit_code=code)
    return describe_death(code, tail=tail)


def no_scheduler(code: int, *, tail: str = "") -> Failure:
    """The failure of a Dask scheduler that ended before it spoke."""
    tail = tail.strip()[-4000:]
    if "No module named" in tail and any(name in tail for name in ("distributed", "dask")):
        what = "This image has no Dask: add `distributed` to the image, or choose another one with --image"
        return Failure(Cause.NOT_STARTED, what, tail, exit_code=Exit.NO_DASK)
    if code >= 0:
        return Failure(
            Cause.NOT_STARTED, f"The Dask scheduler ended with exit code {code}", tail, exit_code=code
        )
    return describe_death(code, tail=tail, who="The Dask scheduler")


def describe_death(code: int, *, tail: str = "", who: str = "The session's process") -> Failure:
    """The failure of a process that ended with ``code`` while it ran something; negative for a signal."""
    tail = tail.strip()[-4000:]
    if code >= 0:
        return Failure(
            Cause.EXITED, f"The cell ended its own process with exit code {code}", tail, exit_code=code
        )
    name = _signal_name(-code)
    if name == "SIGKILL" and out_of_memory():
        limit = memory_limit()
        shown = f" ({limit / 2**30:.1f} GiB)" if limit else ""
        what = f"{who} was killed because the memory{shown} was used up: ask for more with --memory"
        return Failure(Cause.OUT_OF_MEMORY, what, tail, signal=name)
    return Failure(Cause.SIGNALLED, f"{who} was killed by {name}", tail, signal=name)


def failure_of_reply(reply: JsonObject, *, interrupted: bool = False) -> Failure | None:
    """What an ``execute_reply`` says of an error.

    Args:
        reply: Its content.
        interrupted: Whether the run was interrupted: ipykernel cancels a cell that awaits.
    """
    if reply.get("status") == "ok":
        return None
    name, value = str(reply.get("ename", "")), str(reply.get("evalue", ""))
    lines = reply.get("traceback")
    detail = "\n".join(str(line) for line in lines) if isinstance(lines, list) else ""
    cause = Cause.USER_ERROR
    cancelled = interrupted and name == "CancelledError"
    if name == "KeyboardInterrupt" or cancelled or reply.get("status") == "aborted":
        cause = Cause.INTERRUPTED
    elif name in ("SyntaxError", "IndentationError", "TabError"):
        cause = Cause.SYNTAX_ERROR
    elif name == "OutOfMemoryError" or (
        name == "RuntimeError" and any(said in value for said in _CUDA_MEMORY)
    ):
        cause = Cause.CUDA_OUT_OF_MEMORY
    elif name == "MemoryError":
        cause = Cause.OUT_OF_MEMORY
    return Failure(cause, f"{name}: {value}" if value else name, detail)


def exit_code(phase: Phase, failure: Failure | None, *, told: bool = False) -> int:
    """What a job's agent ends with: whether it is any use to try again is read from it.

    Args:
        phase: How the run ended.
        failure: Why.
        told: Whether it was SIGTERM that ended it: then the run is neither good nor bad, and is started again elsewhere.
    """
    if phase is Phase.SUCCEEDED:
        return 0
    if told:
        return 128 + signal.SIGTERM
    if failure is not None and failure.signal and failure.cause is not Cause.STOPPED:
        return 128 + getattr(signal.Signals, failure.signal, signal.SIGKILL)
    return Exit.USER_ERROR


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
