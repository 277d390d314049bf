"""Run programs, wait for things, and say what went wrong with the log that tells why."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .paths import LOGS


class ClusterError(Exception):
    """The test cluster could not do something; the message says what, why and where to look."""


def sh(*argv: object, check: bool = True, data: str | None = None, timeout: float | None = None) -> str:
    """Run a program and return its standard output.

    With `check`, a failure raises `ClusterError` with what it said; so does taking longer than `timeout` seconds.
    """
    words = [str(word) for word in argv]
    try:
        ended = subprocess.run(
            words, check=False, input=data, text=True, capture_output=True, timeout=timeout
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"`{' '.join(words[:8])}` did not end within {timeout:.0f} s") from error
    if check and ended.returncode:
        raise ClusterError(
            f"`{' '.join(words[:8])}` ended with {ended.returncode}:\n{ended.stderr.strip() or ended.stdout.strip()}"
        )
    return ended.stdout


def log_of(name: str) -> Path:
    """The log file of a component."""
    return LOGS / f"{name}.log"


def tail(file: Path, lines: int = 15) -> str:
    """The last lines of a file, or a word that there are none."""
    try:
        return "\n".join(file.read_text(errors="replace").splitlines()[-lines:]) or "(empty)"
    except OSError:
        return "(no such file)"


def until(what: str, seconds: float, test: Callable[[], object], *, log: str, every: float = 0.1) -> None:
    """Ask `test` until it is true; after `seconds` raise `ClusterError` with the end of the log of `log`.

    For what another program brings about and has no event that can be awaited. `OSError` and `ValueError` of `test`
    count as "not yet" (a port that is not open, a reply that is not whole).
    """
    end = time.monotonic() + seconds
    while True:
        try:
            if test():
                return
        except (OSError, ValueError):
            pass
        if time.monotonic() > end:
            raise ClusterError(
                f"{what}: not within {seconds:.0f} s. The log is {log_of(log)}; its last lines:\n{tail(log_of(log))}"
            )
        time.sleep(every)
