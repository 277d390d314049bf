"""When a workload ends by itself: nobody runs anything, nobody looks, or its time is up.

A running cell is never an orphan.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpu_workbench.core.spec import ORPHAN_LIMIT


@dataclass
class Limits:
    """The clocks of one workload, in its agent's seconds.

    Args:
        idle: Seconds without a running cell.
        orphan: Seconds without a client, and without a running cell.
        time: Seconds in all; ``None`` for no such limit.
    """

    idle: float
    orphan: float = ORPHAN_LIMIT
    time: float | None = None
    kept_until: float = 0.0
    what: str = "cell"
    """What it would do if it did anything, for people."""

    def keep(self, *, now: float, seconds: float) -> None:
        """Do not end for idleness before ``seconds`` from now."""
        self.kept_until = now + seconds

    def deadline(self, *, idle_since: float | None, alone_since: float | None) -> tuple[str, float] | None:
        """Which limit ends the workload next, and when.

        Args:
            idle_since: When the last run ended; ``None`` while one executes or waits.
            alone_since: When the last client left; ``None`` while there is one.
        """
        ends: list[tuple[float, str]] = []
        if self.time is not None:
            ends.append((self.time, "time"))
        if idle_since is not None:
            ends.append((max(idle_since + self.idle, self.kept_until), "idle"))
            if alone_since is not None:
                ends.append((max(max(idle_since, alone_since) + self.orphan, self.kept_until), "orphan"))
        if not ends:
            return None
        end, name = min(ends)
        return name, end

    def reason(self, name: str) -> str:
        """Why it ended, in words."""
        minutes = {"idle": self.idle, "orphan": self.orphan, "time": self.time or 0.0}[name] / 60
        shown = f"{minutes:.0f} min" if minutes >= 1 else f"{minutes * 60:.0f} s"
        return {
            "idle": f"no {self.what} ran for {shown} (idle limit)",
            "orphan": f"no notebook was connected and no {self.what} ran for {shown} (orphan limit)",
            "time": f"its time limit of {shown} was reached",
        }[name]
