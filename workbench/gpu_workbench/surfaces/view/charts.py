"""The charts of a view: one GPU wide, up to sixteen side by side, more as bands. Text stands beside the drawings, never in
them, so that figures remain where drawings are dropped."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_workbench.surfaces.view import lines, svg
from gpu_workbench.surfaces.view.markup import Html, join, tag
from gpu_workbench.surfaces.view.model import Band, Chart, GpuSeries

_ROW = 8
_COMMA = Html('<span class="gwb-sep">, </span>')
_SEPARATOR = Html('<span class="gwb-sep"> · </span>')


def draw(chart: Chart, *, several_ranks: bool, live: bool) -> Html | None:
    """The chart as HTML with inline SVG.

    Args:
        chart: What to draw.
        several_ranks: Name GPUs by their rank.
        live: Say the latest figures; after the end they say nothing of the run.
    """
    if chart.utilisation is not None and chart.memory is not None:
        return _bands(chart, chart.utilisation, chart.memory, live=live)
    if chart.count == 1 and chart.gpus:
        return _single(chart, chart.gpus[0], live=live)
    if not chart.gpus:
        return None
    columns = min(len(chart.gpus), _ROW)
    cells = join(
        [_gpu(one, several_ranks=several_ranks, live=live) for one in chart.gpus], between=_SEPARATOR
    )
    many = " gwb-many" if columns > 4 else ""
    return tag("div", cells, cls=f"gwb-gpus{many}", style=f"--gwb-columns:{columns}")


def figure(pair: tuple[str, str]) -> Html:
    """A word and its figure, of which the number alone is set off."""
    word, said = pair
    number, space, unit = said.partition(" ")
    if unit == "%":
        number, space, unit = said, "", ""
    return join(f"{word} " if word else "", tag("strong", number), space, unit)


def _single(chart: Chart, one: GpuSeries, *, live: bool) -> Html:
    cells = []
    state = "wait" if one.slowed else "run"
    for (label, latest), values in zip(lines.gpu_figures(chart), (one.utilisation, one.memory), strict=True):
        said = latest if live or latest.startswith("n/a") else ""
        drawing = svg.spark(values, label=f"{label} {said}, {lines.window(chart.seconds)}", state=state)
        words = figure((label, said)) if said else join(label)
        cells.append(wide(words, lines.window(chart.seconds), drawing))
    return pair(cells)


def _bands(chart: Chart, utilisation: Band, memory: Band, *, live: bool) -> Html:
    cells = []
    busy = [one.utilisation for one in chart.gpus]
    full = [one.memory for one in chart.gpus if _outside(one.memory, memory)]
    for label, band, apart in (("GPU busy", utilisation, busy), ("memory", memory, full)):
        p10, p50, p90 = _spread(band) if live else ("p10", "p50", "p90 %")
        drawing = svg.bands(
            band, apart, label=f"{label} of {chart.count} GPUs: {lines.joined((p10, p50, p90))}"
        )
        words = join(f"{label} {p10} · ", tag("strong", p50), f" · {p90}")
        cells.append(wide(words, lines.window(chart.seconds), drawing))
    named = lines.joined([_apart(one, live=live) for one in chart.gpus])
    note = tag("div", "▲ apart from the rest: ", named, cls="gwb-note") if named else None
    return join(pair(cells), note)


def _apart(one: GpuSeries, *, live: bool) -> str:
    return f"rank {one.rank} GPU {one.gpu}" + (f" {lines.percent(one.busy)}" if live else "")


def _outside(values: Sequence[float | None], band: Band) -> bool:
    """Whether a curve leaves the band by more than ten points somewhere."""
    points = zip(values, band.p10, band.p90, strict=False)
    known = [(value, low, high) for value, low, high in points if None not in (value, low, high)]
    return any(value < low - 10 or value > high + 10 for value, low, high in known)  # type: ignore[operator]


def _spread(band: Band) -> tuple[str, str, str]:
    """The newest spread: ``p10 88``, ``p50 93``, ``p90 97 %``."""
    known = [place for place, value in enumerate(band.p50) if value is not None]
    if not known:
        return "p10 n/a", "p50 n/a", "p90 n/a"
    newest = known[-1]
    return f"p10 {band.p10[newest]:.0f}", f"p50 {band.p50[newest]:.0f}", f"p90 {band.p90[newest]:.0f} %"


def pair(cells: Sequence[Html]) -> Html:
    """Two charts side by side, each made by :func:`wide`."""
    return tag("div", join(cells, between=_SEPARATOR), cls="gwb-gpus gwb-wide", style="--gwb-columns:2")


def wide(words: Html, window: str, drawing: Html) -> Html:
    """A chart with what it shows above it, and how far it looks back."""
    right = tag("span", window, cls="gwb-quiet")
    top = tag("span", tag("span", words, cls="gwb-quiet"), _COMMA, right, cls="gwb-gpu-top")
    return tag("span", top, drawing, cls="gwb-gpu")


def _gpu(one: GpuSeries, *, several_ranks: bool, live: bool) -> Html:
    label = (
        f"{one.rank}·{one.gpu}" if several_ranks and one.gpu else str(one.rank if several_ranks else one.gpu)
    )
    busy = lines.percent(one.busy) if live or one.busy is None else ""
    top = tag("span", tag("strong", label), " ", tag("span", busy, cls="gwb-quiet"), cls="gwb-gpu-top")
    title = lines.gpu_title(one)
    drawing = svg.spark(one.utilisation, label=title, state="wait" if one.slowed else "run")
    return tag("span", top, drawing, _bar(one), cls="gwb-gpu", title=title)


def _bar(one: GpuSeries) -> Html | None:
    """How full the device's memory is, as a bar under its curve."""
    if one.memory_used is None or not one.memory_total:
        return None
    share = min(100 * one.memory_used / one.memory_total, 100.0)
    return tag("span", tag("span", style=f"width:{share:.0f}%"), cls="gwb-bar")
