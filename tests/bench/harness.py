"""What all measurements share: repetitions in turn, medians, targets, and where a result is held against its target."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Target:
    """What was promised.

    Args:
        limit: The number.
        of: What it limits: the value, the value over its baseline, or the value minus its baseline.
        at_least: The number is the least and not the most.
    """

    limit: float
    of: Literal["value", "ratio", "extra"] = "value"
    at_least: bool = False

    def met(self, found: float) -> bool:
        """Whether ``found`` keeps the promise."""
        return found >= self.limit if self.at_least else found <= self.limit


@dataclass(frozen=True)
class Sample:
    """Repetitions of one measurement; of a rate the least is the worst."""

    values: tuple[float, ...]
    rate: bool = False

    @property
    def median(self) -> float:
        """Half are less."""
        return statistics.median(self.values)

    @property
    def p99(self) -> float:
        """Of a hundred one is worse; the worst one where there are fewer."""
        return sorted(self.values, reverse=self.rate)[math.ceil(0.99 * len(self.values)) - 1]


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Args:
        name: What was measured.
        unit: ``ms``, ``s``, ``MB/s``, ...
        values: One for each repetition.
        baseline: The same of what it is held against, in the same order: repetition by repetition they belong together.
        against: What that is.
        target: What was promised; ``None`` for a figure that is only reported.
        note: What a reader should know about it.
    """

    name: str
    unit: str
    values: Sequence[float]
    baseline: Sequence[float] = ()
    against: str = ""
    target: Target | None = None
    note: str = ""

    @property
    def value(self) -> Sample:
        """The repetitions."""
        return Sample(tuple(self.values), rate=self.unit.endswith("/s"))

    @property
    def base(self) -> Sample | None:
        """The baseline's repetitions."""
        return Sample(tuple(self.baseline), rate=self.unit.endswith("/s")) if self.baseline else None

    @property
    def ratio(self) -> float | None:
        """Median of the pairs' ratios: what slows both halves of a pair down alike does not count."""
        pairs = self._pairs()
        return statistics.median(mine / other for mine, other in pairs) if pairs else None

    @property
    def extra(self) -> float | None:
        """Median of the pairs' differences."""
        pairs = self._pairs()
        return statistics.median(mine - other for mine, other in pairs) if pairs else None

    def _pairs(self) -> list[tuple[float, float]]:
        if len(self.baseline) == len(self.values):
            return list(zip(self.values, self.baseline, strict=True))
        return [(self.value.median, self.base.median)] if self.base else []

    @property
    def met(self) -> bool | None:
        """Whether the target is met; ``None`` where there is none."""
        if self.target is None:
            return None
        found = {"value": self.value.median, "ratio": self.ratio, "extra": self.extra}[self.target.of]
        return found is not None and self.target.met(found)


def in_turn(
    actions: Mapping[str, Callable[[], float]], *, times: int, warm: int = 1
) -> dict[str, list[float]]:
    """Do each action once, then each again, and so on: what else the machine does hits all of them alike.

    Every second round goes backwards, so that none always follows the same other.

    Args:
        actions: Each returns what it measured of itself.
        times: Rounds that count.
        warm: Rounds before them that do not.
    """
    found: dict[str, list[float]] = {name: [] for name in actions}
    for round_ in range(warm + times):
        names = list(actions) if round_ % 2 else list(reversed(actions))
        for name in names:
            measured = actions[name]()
            if round_ >= warm:
                found[name].append(measured)
    return found
