"""``image/png`` of a finished run: GPU utilisation and memory over time, for exports that show nothing else (PDF)."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import Any

from gpu_workbench.surfaces.view import lines, text
from gpu_workbench.surfaces.view.model import Chart, Snapshot
from gpu_workbench.surfaces.view.style import LIGHT

WIDTH, HEIGHT = 720, 220
"""Size at which it is meant to be shown, in CSS pixels; it is drawn at twice that."""

_GREY = "#6b6b6b"
_DPI = 144
_LINE = 110
_COLOURS = 48


def png(found: Snapshot) -> bytes | None:
    """The picture, at most 40 kB; ``None`` without GPU samples or without matplotlib.

    Drawn on white, so that it reads on any page, and through the Agg canvas alone: pyplot and its state are the user's.
    """
    chart = found.snapshot.chart
    if chart is None or not _anything(chart):
        return None
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure: Any = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=_DPI, facecolor="white")
    canvas: Any = FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _draw(left, chart, "utilisation", "GPU busy")
    _draw(right, chart, "memory", "memory")
    first, *others = text.text(found, bar=False).splitlines()
    _write(figure, first, y=0.965, size=10, colour="black")
    _write(figure, others[0] if others else "", y=0.875, size=8.5, colour=_GREY)
    figure.subplots_adjust(left=0.055, right=0.985, top=0.72, bottom=0.14, wspace=0.13)
    canvas.draw()
    return _small(canvas)


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


def _draw(axes: Any, chart: Chart, field: str, title: str) -> None:
    axes.set_title(f"{title}, %  ({lines.window(chart.seconds)})", fontsize=8, color=_GREY, loc="left", pad=4)
    axes.set_xlim(-chart.seconds, 0)
    axes.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:.0f} s")
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 50, 100])
    axes.tick_params(labelsize=7, colors=_GREY, length=2)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#c8c8c8")
    band = chart.utilisation if field == "utilisation" else chart.memory
    if band is not None:
        times = _times(chart, band.p50)
        axes.fill_between(times, _gaps(band.p10), _gaps(band.p90), color=LIGHT["run"], alpha=0.2, linewidth=0)
        axes.plot(times, _gaps(band.p50), color=LIGHT["run"], linewidth=1.2)
    drawn = [
        values for one in chart.gpus if (values := one.utilisation if field == "utilisation" else one.memory)
    ]
    for values in drawn:
        axes.plot(
            _times(chart, values),
            _gaps(values),
            color=LIGHT["run" if band is None else "wait"],
            linewidth=1.0,
            alpha=0.85,
        )
    if not drawn and band is None:
        why = chart.missing.get("utilisation" if field == "utilisation" else "memory_used", "")
        axes.text(
            0.5,
            0.5,
            f"n/a ({why})" if why else "n/a",
            transform=axes.transAxes,
            ha="center",
            fontsize=8,
            color=_GREY,
        )


def _times(chart: Chart, values: Sequence[float | None]) -> list[float]:
    step = chart.seconds / max(len(values) - 1, 1)
    return [-chart.seconds + step * place for place in range(len(values))]


def _gaps(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
