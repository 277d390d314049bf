"""A line for what takes its time to travel."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from gpu_workbench.core.quantities import show_bytes

SEND_SHOWN_AFTER = 0.5
"""Seconds after which what is on its way gets a line."""

_REFRESH = 0.2
_WIDTH = 78


class Moving:
    """A progress bar for what is on its way, shown once that has taken over half a second; as a context, until its end.

    Args:
        does: What happens to it, after its name: ``is going``.
        what: What moves, where that has a better name than each value's own.
        clock: Seconds on a monotonic clock.
    """

    def __init__(self, does: str, *, what: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._does = does
        self._what = what
        self._clock = clock
        self._began: float | None = None
        self._shown = 0.0
        self._line = ""

    def __enter__(self) -> Moving:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __call__(self, name: str, done: int, length: int) -> None:
        """So many bytes have passed."""
        now = self._clock()
        if self._began is None:
            self._began = now
        over = done >= length
        if now - self._began < SEND_SHOWN_AFTER or (now - self._shown < _REFRESH and not over):
            return
        share = done / length if length else 1.0
        bar = "█" * round(20 * share)
        line = f"{self._what or name} {self._does}: {bar:<20} {show_bytes(done)} of {show_bytes(length)}"
        if line != self._line:
            self._shown, self._line = now, line
            sys.stderr.write(f"\r{line:<{_WIDTH}}")
            sys.stderr.flush()

    def close(self) -> None:
        """Take the bar away."""
        if self._line:
            self._line = ""
            sys.stderr.write("\r" + " " * _WIDTH + "\r")
            sys.stderr.flush()
