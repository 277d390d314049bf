"""A line for what takes its time to travel."""

from __future__ import annotations

import sys
import time

from gpu_workbench.core.quantities import show_bytes

SEND_SHOWN_AFTER = 0.5
"""Seconds after which a value on its way gets a line."""


class Moving:
    """A progress bar for a value on its way, shown only when it takes over half a second."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = time.monotonic()
        self._shown = 0.0
        self._any = False

    def __call__(self, name: str, done: int, length: int) -> None:
        """So many bytes have passed."""
        now = time.monotonic()
        if now - self._began < SEND_SHOWN_AFTER or now - self._shown < 0.2:
            return
        self._shown, self._any = now, True
        share = done / length if length else 1.0
        bar = "█" * round(20 * share)
        sys.stderr.write(f"\r{self._what}: {bar:<20} {show_bytes(done)} of {show_bytes(length)}   ")
        sys.stderr.flush()

    def close(self) -> None:
        """Take the bar away."""
        if self._any:
            sys.stderr.write("\r" + " " * 78 + "\r")
            sys.stderr.flush()
