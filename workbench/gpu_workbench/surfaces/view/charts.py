"""The charts of a view: one GPU wide, up to sixteen side by side, more as bands. Text stands beside the drawings, never in
them, so that figures remain where drawings are dropped."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_workbench.surfaces.view import lines, svg
from gpu_workbench.surfaces.view.markup import Html, join, tag
from gpu_workbench.surfaces.view.model import Band, Chart, GpuSeries
from gpu_workbench.surfaces.view.series import slowed

_ROW = 8
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


def _single(chart: Chart, one: GpuSeries, *, live: bool) -> Html:
    cells = []
    state = "wait" if slowed(one) else "run"
    for (label, figure), values in zip(lines.gpu_figures(chart), (one.utilisation, one.memory), strict=True):
        said = figure if live or figure.startswith("n/a") else ""
        drawing = svg.spark(values, label=f"{label} {said}, {lines.window(chart.seconds)}", state=state)
        cells.append(_wide(label, said, chart, drawing))
    return _pair(cells)


def _bands(chart: Chart, utilisation: Band, memory: Band, *, live: bool) -> Html:
    cells = []
    apart = [(one.utilisation, one.memory) for one in chart.gpus]
    for place, (label, band) in enumerate((("GPU busy", utilisation), ("memory", memory))):
        said = _spread(band) if live else "p10 to p90"
        drawing = svg.bands(
            band, [values[place] for values in apart], label=f"{label} of {chart.count} GPUs, {said}"
        )
        cells.append(_wide(label, said, chart, drawing))
    named = [
        f"rank {one.rank} GPU {one.gpu}" + (f" {lines.percent(one.busy)}" if live else "")
        for one in chart.gpus
    ]
    return join(
        _pair(cells),
        tag("div", "▲ apart from the rest: ", lines.joined(named), cls="gwb-note") if named else None,
    )


def _spread(band: Band) -> str:
    """The newest spread: ``p10 88 · p50 93 · p90 97 %``."""
    newest = next((place for place in range(len(band.p50) - 1, -1, -1) if band.p50[place] is not None), None)
    if newest is None:
        return "n/a"
    parts = (("p10", band.p10), ("p50", band.p50), ("p90", band.p90))
    return lines.joined([f"{name} {values[newest]:.0f}" for name, values in parts]) + " %"


def _pair(cells: Sequence[Html]) -> Html:
    return tag("div", join(cells, between=_SEPARATOR), cls="gwb-gpus gwb-wide", style="--gwb-columns:2")


def _wide(label: str, figure: str, chart: Chart, drawing: Html) -> Html:
    said = join(f"{label} ", tag("strong", figure)) if figure else join(label)
    window = tag("span", lines.window(chart.seconds), cls="gwb-quiet gwb-ago")
    top = tag("span", tag("span", said, cls="gwb-quiet"), " ", window, cls="gwb-gpu-top")
    return tag("span", top, drawing, cls="gwb-gpu")


def _gpu(one: GpuSeries, *, several_ranks: bool, live: bool) -> Html:
    label = (
        f"{one.rank}·{one.gpu}" if several_ranks and one.gpu else str(one.rank if several_ranks else one.gpu)
    )
    figure = lines.percent(one.busy) if live or one.busy is None else ""
    top = tag("span", tag("strong", label), " ", tag("span", figure, cls="gwb-quiet"), cls="gwb-gpu-top")
    title = lines.gpu_title(one)
    drawing = svg.spark(one.utilisation, label=title, state="wait" if slowed(one) else "run")
    return tag("span", top, drawing, _bar(one), cls="gwb-gpu", title=title)


def _bar(one: GpuSeries) -> Html | None:
    """How full the device's memory is, as a bar under its curve."""
    if one.memory_used is None or not one.memory_total:
        return None
    share = min(100 * one.memory_used / one.memory_total, 100.0)
    return tag("span", tag("span", style=f"width:{share:.0f}%"), cls="gwb-bar")
