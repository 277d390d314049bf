"""The result as JSON and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.harness import Figure, Target

_HEAD = ("measured", "median", "p99", "baseline", "its median", "compared", "target", "met")


def as_json(figure: Figure) -> dict[str, Any]:
    """One figure with all of its repetitions."""
    base, target = figure.base, figure.target
    return {
        "name": figure.name,
        "unit": figure.unit,
        "median": figure.value.median,
        "p99": figure.value.p99,
        "repetitions": len(figure.values),
        "baseline": base and {"what": figure.against, "median": base.median, "p99": base.p99},
        "ratio": figure.ratio,
        "extra": figure.extra,
        "target": target and {"limit": target.limit, "of": target.of, "at_least": target.at_least},
        "met": figure.met,
        "note": figure.note,
        "values": list(figure.values),
        "baseline_values": list(figure.baseline),
    }


def from_json(form: Mapping[str, Any]) -> Figure:
    """A figure as :func:`as_json` gave it."""
    baseline, target = form["baseline"], form["target"]
    return Figure(
        form["name"],
        form["unit"],
        form["values"],
        form["baseline_values"],
        baseline["what"] if baseline else "",
        Target(target["limit"], target["of"], target["at_least"]) if target else None,
        form["note"],
    )


def page(
    found: Mapping[str, Sequence[Figure]], failed: Mapping[str, str], *, machine: Mapping[str, str], load: str
) -> str:
    """The figures of one run as Markdown."""
    lines = [
        *("| | |", "|---|---|"),
        *(f"| {name} | {value} |" for name, value in machine.items()),
        f"| load average before and after | {load} |",
        "",
        f"| {' | '.join(_HEAD)} |",
        f"|{'---|' * len(_HEAD)}",
    ]
    notes: list[str] = []
    for subject, figures in found.items():
        lines.append(f"| **{subject}** {'|' * len(_HEAD)}")
        lines += [f"| {' | '.join(_row(figure, notes))} |" for figure in figures]
    lines += ["", *(f"{number}. {note}" for number, note in enumerate(notes, start=1))]
    lines += [f"- Not measured: {subject}: {why}" for subject, why in failed.items()]
    return "\n".join(lines).rstrip() + "\n"


def _row(figure: Figure, notes: list[str]) -> tuple[str, ...]:
    base, unit = figure.base, figure.unit
    mark = ""
    if figure.note:
        if figure.note not in notes:
            notes.append(figure.note)
        mark = f" ({notes.index(figure.note) + 1})"
    return (
        figure.name + mark,
        show(figure.value.median, unit),
        show(figure.value.p99, unit) if len(figure.values) > 1 else "",
        figure.against,
        show(base.median, unit) if base else "",
        _compared(figure),
        _target(figure.target, unit) if figure.target else "",
        {True: "yes", False: "**no**", None: ""}[figure.met],
    )


def _compared(figure: Figure) -> str:
    if figure.extra is not None and figure.target and figure.target.of == "extra":
        return f"+{show(figure.extra, figure.unit)}" if figure.extra >= 0 else show(figure.extra, figure.unit)
    return f"{figure.ratio:.2f}×" if figure.ratio is not None else ""


def _target(target: Target, unit: str) -> str:
    sign = "≥" if target.at_least else "≤"
    if target.of == "ratio":
        return f"{sign} {target.limit:g}×"
    return f"{sign} {'+' if target.of == 'extra' else ''}{target.limit:g} {unit}".rstrip()


def show(value: float, unit: str) -> str:
    """A number with three digits that count."""
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()
