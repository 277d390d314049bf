"""GPU samples made into charts: few points on one grid, gaps kept, bands where there are too many GPUs to draw each."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import zip_longest

from gpu_workbench.core.model import GpuState, RankState
from gpu_workbench.surfaces.view import clean
from gpu_workbench.surfaces.view.model import Band, Chart, GpuSeries

POINTS = 60
"""Points of a series at most."""

DRAWN = 16
"""GPUs drawn one by one at most; above, their spread is drawn."""

APART = 4
"""GPUs drawn beside the bands at most: those furthest from the rest."""

WINDOW = 120.0
"""Seconds a chart looks back."""

_SHORT = 5.0
_JITTER = 1.5
"""Seconds between two samples taken at 1 Hz at most."""

_FAR = 15.0
"""Points of a per cent that are far from the others, where these are close together."""


def chart(ranks: Mapping[int, RankState], *, seconds: float, points: int = POINTS) -> Chart | None:
    """The chart of the last ``seconds`` of every rank's own clock; ``None`` where there is no GPU.

    Ranks have clocks of their own, so each is aligned by the last moment that was heard of it.
    """
    seconds = min(max(seconds, _SHORT), WINDOW)
    drawn = each(ranks, seconds=seconds, points=points)
    if not drawn:
        return None
    busy = [one.busy for one in drawn if one.busy is not None]
    fullest = max(drawn, key=lambda one: (one.memory_used or 0) / (one.memory_total or math.inf))
    bands = len(drawn) > DRAWN
    return Chart(
        seconds=round(seconds, 1),
        count=len(drawn),
        gpus=tuple(_apart(drawn) if bands else drawn),
        utilisation=_band([one.utilisation for one in drawn]) if bands else None,
        memory=_band([one.memory for one in drawn]) if bands else None,
        busy=clean.number(statistics.fmean(busy), 0) if busy else None,
        memory_used=fullest.memory_used,
        memory_total=fullest.memory_total,
        missing=_missing_everywhere(drawn),
    )


def each(ranks: Mapping[int, RankState], *, seconds: float, points: int = POINTS) -> list[GpuSeries]:
    """Every GPU of every rank, in order, however many there are."""
    count = max(2, min(points, math.ceil(seconds)))
    ordered = sorted(ranks.values(), key=lambda rank: rank.rank)
    return [_series(rank, gpu, seconds=seconds, points=count) for rank in ordered for gpu in rank.gpus]


def slowed_by(throttle: Sequence[str]) -> str:
    """``slowed by heat``; in NVML's own words where there are no better ones.

    Empty where it is not slowed, or because it is idle or was set so by its user.
    """
    words = [
        word for word in throttle if not any(known in word.lower() for known in ("idle", "setting", "none"))
    ]
    known = {"thermal": "by heat", "brake": "by its power supply", "power": "by its power limit"}
    said = [text for word in words for key, text in known.items() if key in word.lower()]
    return f"slowed {said[0] if said else '(' + ', '.join(words) + ')'}" if words else ""


def slowest(drawn: Iterable[GpuSeries]) -> GpuSeries | None:
    """The device whose clock is lowest beside its highest; ``None`` where no clock is known."""
    known = [one for one in drawn if one.clock is not None and one.clock_max]
    return min(known, key=lambda one: (one.clock or 0.0) / (one.clock_max or 1.0), default=None)


def _series(rank: RankState, gpu: GpuState, *, seconds: float, points: int) -> GpuSeries:
    now = max([rank.now, *(timed.t for timed in gpu.samples[-1:])])
    utilisation: list[list[float]] = [[] for _ in range(points)]
    memory: list[list[float]] = [[] for _ in range(points)]
    step = seconds / points
    unsampled = set(range(points)) if step < _JITTER else set()
    for timed in reversed(gpu.samples):
        place = points - 1 - int((now - timed.t) / step)
        if place < 0:
            break
        unsampled.discard(place)
        sample = timed.sample
        used = clean.amount(sample.memory_used)
        total = clean.amount(sample.memory_total or gpu.device.memory_total)
        if (busy := clean.percent(sample.utilisation)) is not None:
            utilisation[place].append(busy)
        if used is not None and total:
            memory[place].append(min(100.0 * used / total, 100.0))
    latest = gpu.latest
    throttle = tuple(clean.line(word, 40) for word in latest.throttle[:4]) if latest else ()
    missing = dict(latest.missing) if latest else {}
    if latest is None:
        missing = {"utilisation": "no sample yet", "memory_used": "no sample yet"}
    return GpuSeries(
        rank=rank.rank,
        gpu=gpu.device.index,
        name=clean.line(gpu.device.name, 60),
        utilisation=_means(utilisation, unsampled),
        memory=_means(memory, unsampled),
        busy=clean.percent(latest.utilisation, 0) if latest else None,
        memory_used=clean.amount(latest.memory_used) if latest else None,
        memory_total=clean.amount((latest.memory_total if latest else None) or gpu.device.memory_total),
        temperature=clean.number(latest.temperature, 0) if latest else None,
        power=clean.number(latest.power, 0) if latest else None,
        clock=clean.number(latest.clock, 0) if latest else None,
        clock_max=clean.number(latest.clock_max, 0) if latest else None,
        throttle=throttle,
        slowed=slowed_by(throttle),
        missing={clean.line(key, 30): clean.line(why, 80) for key, why in list(missing.items())[:8]},
    )


def _means(buckets: Sequence[Sequence[float]], unsampled: AbstractSet[int]) -> tuple[float | None, ...]:
    """One mean a bucket; a gap where the device gave none.

    Where buckets are as fine as the sampling, a late sample leaves one bucket empty: that is no gap, and is bridged.
    """
    means = [float(round(sum(bucket) / len(bucket))) if bucket else None for bucket in buckets]
    for place in sorted(unsampled - {0, len(means) - 1}):
        before, after = means[place - 1], means[place + 1]
        if before is not None and after is not None and place - 1 not in unsampled:
            means[place] = (before + after) / 2
    return tuple(means) if any(mean is not None for mean in means) else ()


def _band(series: Iterable[Sequence[float | None]]) -> Band:
    columns = [[value for value in column if value is not None] for column in zip_longest(*series)]
    return Band(
        p10=tuple(_quantile(column, 0.1) for column in columns),
        p50=tuple(_quantile(column, 0.5) for column in columns),
        p90=tuple(_quantile(column, 0.9) for column in columns),
    )


def _quantile(values: list[float], share: float) -> float | None:
    if not values:
        return None
    values = sorted(values)
    place = share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return round(values[low] + (values[high] - values[low]) * (place - low), 1)


def _apart(drawn: list[GpuSeries]) -> list[GpuSeries]:
    """The GPUs that stand apart: slowed ones, and those far from the others in what they do or hold."""
    busy = _distances([_mean(one.utilisation) for one in drawn])
    full = _distances([_mean(one.memory) for one in drawn])
    far = [max(busy[place], full[place]) + (1000.0 if one.slowed else 0.0) for place, one in enumerate(drawn)]
    places = sorted((place for place in range(len(drawn)) if far[place] > 1), key=lambda place: -far[place])
    return [drawn[place] for place in sorted(places[:APART])]


def _distances(means: Sequence[float | None]) -> list[float]:
    """How far each is from the middle; above 1 it stands apart."""
    known = [mean for mean in means if mean is not None]
    if not known:
        return [0.0] * len(means)
    middle = statistics.median(known)
    spread = statistics.median([abs(mean - middle) for mean in known])
    far = max(_FAR, 4 * spread)
    return [0.0 if mean is None else abs(mean - middle) / far for mean in means]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _missing_everywhere(drawn: list[GpuSeries]) -> dict[str, str]:
    """Reasons why a figure is given by no device at all."""
    found: dict[str, str] = {}
    for key in ("utilisation", "memory_used"):
        field = "busy" if key == "utilisation" else key
        if all(getattr(one, field) is None for one in drawn):
            found[key] = next(
                (one.missing[key] for one in drawn if key in one.missing), "not given by the device"
            )
    return found
