"""``image/png`` of a finished run: what its GPUs or Dask workers did over time, for exports that show nothing else (PDF)."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpu_workbench.surfaces.view import lines, text
from gpu_workbench.surfaces.view.model import Band, Chart, DaskPast, Shown, Snapshot
from gpu_workbench.surfaces.view.style import LIGHT
from gpu_workbench.surfaces.view.svg import Values

WIDTH, HEIGHT = 720, 220
"""Size at which it is meant to be shown, in CSS pixels; it is drawn at twice that."""

_GREY = "#6b6b6b"
_DPI = 144
_LINE = 110
_COLOURS = 48


def png(found: Snapshot) -> bytes | None:
    """The picture, at most 40 kB; ``None`` without anything to draw or without matplotlib.

    Drawn on white, so that it reads on any page, and through the Agg canvas alone: pyplot and its state are the user's.
    """
    panels = _panels(found.snapshot)
    if not panels:
        return None
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure: Any = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=_DPI, facecolor="white")
    canvas: Any = FigureCanvasAgg(figure)
    for axes, panel in zip(figure.subplots(1, 2), panels, strict=True):
        _draw(axes, panel)
    first, *others = text.text(found, bar=False).splitlines()
    _write(figure, first, y=0.965, size=10, colour="black")
    _write(figure, others[0] if others else "", y=0.875, size=8.5, colour=_GREY)
    figure.subplots_adjust(left=0.055, right=0.985, top=0.72, bottom=0.14, wspace=0.13)
    canvas.draw()
    return _small(canvas)


@dataclass(frozen=True)
class _Panel:
    """Curves on one axis of time.

    Args:
        title: What they show, with their unit.
        seconds: How far they look back.
        band: The spread of those that are not drawn.
        top: Where the axis ends; ``None`` where that follows from the curves.
        missing: Why there are none.
    """

    title: str
    seconds: float
    curves: Sequence[Values]
    band: Band | None = None
    top: float | None = 100.0
    missing: str = ""


def _panels(shown: Shown) -> list[_Panel]:
    """The two that belong to a run's GPUs or to a Dask cluster; none where there is nothing to draw."""
    if shown.dask is not None:
        past = shown.dask.past
        return _of_dask(past) if past is not None else []
    if shown.chart is None or not _anything(shown.chart):
        return []
    return [_of_gpus(shown.chart, "utilisation", "GPU busy"), _of_gpus(shown.chart, "memory", "memory")]


def _of_dask(past: DaskPast) -> list[_Panel]:
    busy = _Panel("threads busy, %", past.seconds, [past.busy])
    if past.utilisation:
        return [busy, _Panel("GPUs busy, %", past.seconds, [past.utilisation])]
    return [busy, _Panel("tasks a second", past.seconds, [past.rate], top=None)]


def _of_gpus(chart: Chart, field: str, title: str) -> _Panel:
    is_busy = field == "utilisation"
    curves = [values for one in chart.gpus if (values := one.utilisation if is_busy else one.memory)]
    missing = chart.missing.get("utilisation" if is_busy else "memory_used", "")
    band = chart.utilisation if is_busy else chart.memory
    return _Panel(f"{title}, %", chart.seconds, curves, band=band, missing=missing)


def _small(canvas: Any) -> bytes:
    """The drawing as PNG with a palette: a few lines on white need no more colours."""
    from PIL import Image  # comes with matplotlib

    picture = Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB")
    target = io.BytesIO()
    picture.quantize(_COLOURS).save(target, format="png", optimize=True)
    return target.getvalue()


def _anything(chart: Chart) -> bool:
    if chart.utilisation is not None:
        return any(value is not None for value in chart.utilisation.p50)
    return any(one.utilisation or one.memory for one in chart.gpus)


def _write(figure: Any, written: str, *, y: float, size: float, colour: str) -> None:
    """One line of text, cut where it would leave the picture; the user's ``$`` begins no formula."""
    shown = textwrap.shorten(written, _LINE, placeholder="…").replace("$", r"\$")
    figure.text(0.012, y, shown, fontsize=size, color=colour, va="top")


def _draw(axes: Any, panel: _Panel) -> None:
    axes.set_title(
        f"{panel.title}  ({lines.window(panel.seconds)})", fontsize=8, color=_GREY, loc="left", pad=4
    )
    axes.set_xlim(-panel.seconds, 0)
    axes.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:.0f} s")
    axes.tick_params(labelsize=7, colors=_GREY, length=2)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#c8c8c8")
    band = panel.band
    if band is not None:
        times = _times(panel, band.p50)
        axes.fill_between(times, _gaps(band.p10), _gaps(band.p90), color=LIGHT["run"], alpha=0.2, linewidth=0)
        axes.plot(times, _gaps(band.p50), color=LIGHT["run"], linewidth=1.2)
    for values in panel.curves:
        colour = LIGHT["run" if band is None else "wait"]
        axes.plot(_times(panel, values), _gaps(values), color=colour, linewidth=1.0, alpha=0.85)
    if not panel.curves and band is None:
        why = f"n/a ({panel.missing})" if panel.missing else "n/a"
        axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", fontsize=8, color=_GREY)
    axes.set_ylim(0, panel.top)
    if panel.top is not None:
        axes.set_yticks([0, panel.top / 2, panel.top])


def _times(panel: _Panel, values: Values) -> list[float]:
    step = panel.seconds / max(len(values) - 1, 1)
    return [-panel.seconds + step * place for place in range(len(values))]


def _gaps(values: Values) -> list[float]:
    return [float("nan") if value is None else value for value in values]
