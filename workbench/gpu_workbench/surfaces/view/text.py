"""``text/plain`` of a view: the same first two lines, for terminals, logs and notebooks opened elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_workbench.core.model import Phase
from gpu_workbench.core.quantities import show_seconds
from gpu_workbench.surfaces.view import dask_lines, lines
from gpu_workbench.surfaces.view.model import Shown, Snapshot

_BAR = 20


def text(found: Snapshot, *, bar: bool = True) -> str:
    """The view in two lines, three where something needs saying besides.

    Args:
        bar: Draw the progress with block characters, too.
    """
    shown = found.snapshot
    second = lines.joined(_second(shown, bar=bar))
    rest = [shown.hint if shown.hint not in second else "", *(f"! {note}" for note in shown.notes[:2])]
    return "\n".join([run_line(found), *(f"  {one}" for one in (second, *rest) if one)])


def run_line(found: Snapshot) -> str:
    """The first line: mark, phase, name, where."""
    shown = found.snapshot
    parts = lines.joined([shown.name, *lines.place(found), lines.seen_first(shown)])
    tag = "  [SIMULATED]" if shown.simulated else ""
    return f"{lines.MARKS[shown.phase]} {shown.word}" + (f"  {parts}" if parts else "") + tag


def _second(shown: Shown, *, bar: bool) -> list[str]:
    if shown.phase is Phase.RUNNING and shown.progress:
        share = lines.share(shown.progress)
        drawn = f" {blocks(share)}" if bar and share is not None else ""
        done = f"{lines.progress_text(shown.progress)}{drawn}" + (
            "" if share is None else f" {lines.percent(share)}"
        )
        return [done, lines.left(shown), *_gpu(shown), *_spent(shown)]
    if shown.phase is Phase.RUNNING:
        ends = lines.ending(shown) if shown.dask else ""
        return [shown.answer, *_gpu(shown), *_spent(shown), ends]
    bill = lines.pairs(lines.receipt(shown)) if shown.phase.ended else []
    return [shown.answer, *bill]


def _gpu(shown: Shown) -> list[str]:
    if shown.dask is not None:
        return lines.pairs(dask_lines.short_figures(shown.dask))
    return lines.pairs(lines.gpu_figures(shown.chart)) if shown.chart else []


def _spent(shown: Shown) -> list[str]:
    return [f"{shown.cost} so far"] if shown.cost else []


def blocks(share: float) -> str:
    """``█████░░░░░`` for 0 to 100 per cent."""
    full = round(_BAR * share / 100)
    return "█" * full + "░" * (_BAR - full)


def columns(rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> str:
    """Rows with their columns under each other, two spaces between; those in ``right`` are aligned to the right."""
    if not rows:
        return ""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    shown = (
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in shown)


RUN_TITLES = ("", "id", "name", "phase", "where", "time", "what")


def run_cells(found: Snapshot) -> tuple[str, ...]:
    """One run as a row of ``%gpu ls``: mark, id, name, phase, where, time, and the one thing to know."""
    shown = found.snapshot
    spent = shown.waited if lines.waiting(shown.phase) else shown.ran
    place = [part for part in lines.place(found) if part != f"session {found.where.session}" or shown.name]
    where = lines.joined(place) + (" [SIMULATED]" if shown.simulated else "")
    what = shown.answer
    if shown.phase is Phase.RUNNING and shown.progress and (share := lines.share(shown.progress)) is not None:
        what = lines.joined(
            [f"{lines.progress_text(shown.progress)}, {lines.percent(share)}", lines.left(shown)]
        )
    if shown.phase.ended:
        what = lines.joined([what, *(said for word, said in lines.receipt(shown) if not word)])
    identity = (found.run or found.id)[:8]
    return (
        lines.MARKS[shown.phase],
        identity,
        shown.name or found.where.session or "–",
        shown.word,
        where,
        "" if spent is None else show_seconds(spent),
        what,
    )


def runs_table(found: Sequence[Snapshot]) -> str:
    """Runs as a table for a terminal."""
    if not found:
        return "No runs"
    return columns([RUN_TITLES, *(run_cells(one) for one in found)], right=frozenset({5}))
