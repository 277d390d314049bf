"""Sparklines as inline SVG: fixed axis from 0 to 100, gaps where nothing was measured. No text inside, for sanitizers drop
the drawing and keep its text."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_workbench.surfaces.view.markup import Html, tag
from gpu_workbench.surfaces.view.model import Band

_HEIGHT = 24.0
_PAD = 1.0

Values = Sequence[float | None]


def spark(values: Values, *, label: str, state: str = "run") -> Html:
    """One curve with its area; a dashed base line where there is nothing to draw."""
    if all(value is None for value in values):
        return _frame([_dashed()], width=60, label=label, state=state)
    children = [tag("path", d=_area(part), cls="gwb-area") for part in _parts(values)]
    children.append(tag("path", d=_curve(values), cls="gwb-curve"))
    return _frame(children, width=len(values) - 1, label=label, state=state)


def bands(band: Band, apart: Sequence[Values], *, label: str) -> Html:
    """The spread of many curves: p10 to p90 filled, the median drawn, and those apart as curves of their own."""
    if all(value is None for value in band.p50):
        return _frame([_dashed()], width=60, label=label, state="run")
    children = [tag("path", d=_between(part, band), cls="gwb-area") for part in _parts(band.p50)]
    children.append(tag("path", d=_curve(band.p50), cls="gwb-curve"))
    children.extend(tag("path", d=_curve(values), cls="gwb-curve gwb-wait") for values in apart if values)
    return _frame(children, width=len(band.p50) - 1, label=label, state="run")


def _frame(children: list[Html], *, width: float, label: str, state: str) -> Html:
    width = max(width, 1)
    ground = tag("rect", x=0, y=0, width=width, height=_HEIGHT, cls="gwb-ground")
    return tag(
        "svg",
        ground,
        children,
        cls=f"gwb-spark gwb-{state}",
        viewBox=f"0 0 {width:g} {_HEIGHT:g}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )


def _dashed() -> Html:
    return tag("path", d=f"M0 {_HEIGHT - 2:g}H60", cls="gwb-dashed")


def _y(value: float) -> str:
    return f"{_HEIGHT - _PAD - (_HEIGHT - 2 * _PAD) * value / 100:.1f}".rstrip("0").rstrip(".")


def _parts(values: Values) -> list[list[tuple[int, float]]]:
    """Runs of neighbouring points that have a value."""
    found: list[list[tuple[int, float]]] = [[]]
    for x, value in enumerate(values):
        if value is None:
            found.append([])
        else:
            found[-1].append((x, value))
    return [part for part in found if part]


def _curve(values: Values) -> str:
    drawn = []
    for part in _parts(values):
        points = " ".join(f"{x} {_y(value)}" for x, value in part)
        drawn.append(f"M{points}" + ("h.01" if len(part) == 1 else ""))
    return "".join(drawn)


def _area(part: list[tuple[int, float]]) -> str:
    points = " ".join(f"{x} {_y(value)}" for x, value in part)
    return f"M{part[0][0]} {_HEIGHT:g}L{points} {part[-1][0]} {_HEIGHT:g}Z"


def _between(part: list[tuple[int, float]], band: Band) -> str:
    above = " ".join(f"{x} {_y(band.p90[x] or 0.0)}" for x, _ in part)
    below = " ".join(f"{x} {_y(band.p10[x] or 0.0)}" for x, _ in reversed(part))
    return f"M{above} {below}Z"
