"""How processes end: exit codes and signals in words, and the codes the agent itself ends with."""

from __future__ import annotations

import enum
import signal


class Exit(enum.IntEnum):
    """What the agent's own exit code means. The numbers are those of ``sysexits.h`` where it has a fitting one."""

    USER_ERROR = 64
    """A job's own code failed, or ran out of its time: trying again would end the same."""

    NO_IPYKERNEL = 65
    """The image has no ipykernel, which a session needs."""

    BAD_SEAL = 66
    """The sealed input is missing or is not what was sealed."""

    BARRIER = 67
    """Not all ranks came within the start time limit."""

    NO_DASK = 68
    """The image has no Dask, which a Dask cluster needs."""

    INTERNAL = 70
    """The agent itself failed."""


_WORDS: dict[int, str] = {
    0: "ended well",
    Exit.USER_ERROR: "the run's own code failed",
    Exit.NO_IPYKERNEL: "the image has no ipykernel",
    Exit.BAD_SEAL: "the sealed input is missing or was changed",
    Exit.NO_DASK: "the image has no Dask",
    Exit.BARRIER: "not all ranks came in time",
    Exit.INTERNAL: "the agent itself failed",
    126: "the command cannot be executed",
    127: "the command was not found",
}
_SIGNAL_WORDS = {
    "SIGKILL": "killed",
    "SIGTERM": "asked to end",
    "SIGINT": "interrupted",
    "SIGSEGV": "crashed on a wrong memory address",
    "SIGBUS": "crashed on a wrong memory access",
    "SIGABRT": "aborted itself",
    "SIGILL": "crashed on an instruction this processor does not have",
    "SIGFPE": "crashed on an impossible calculation",
}


def signal_of(code: int) -> str:
    """Name of the signal behind an exit code (``137`` or ``-9``: ``SIGKILL``); empty where there is none."""
    number = -code if code < 0 else code - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


def exit_in_words(code: int) -> str:
    """``killed (SIGKILL)`` for 137, ``the image has no ipykernel (exit code 65)``, ``exit code 3``."""
    name = signal_of(code)
    if name:
        return f"{_SIGNAL_WORDS.get(name, 'ended by a signal')} ({name})"
    words = _WORDS.get(code)
    return f"{words} (exit code {code})" if words else f"exit code {code}"
