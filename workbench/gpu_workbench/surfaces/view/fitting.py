"""A snapshot within its limit: made smaller step by step, first what is drawn, last what is said. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from gpu_workbench.surfaces.view import clean, dask
from gpu_workbench.surfaces.view.model import LIMIT, Chart, Shown, Snapshot

_RESULTS = 12


def size(found: Snapshot) -> int:
    """Bytes of JSON that ``found`` takes, counted in its longest spelling."""
    return len(json.dumps(found.to_json()))


def fit(found: Snapshot) -> Snapshot:
    """``found``, made smaller step by step until it keeps to the limit: first what is drawn, last what is said."""
    for smaller in _STEPS:
        if size(found) <= LIMIT:
            break
        found = replace(found, snapshot=smaller(found.snapshot))
    return found


def _thin(chart: Chart | None) -> Chart | None:
    if chart is None:
        return None
    gpus = tuple(
        replace(one, utilisation=one.utilisation[1::2], memory=one.memory[1::2]) for one in chart.gpus
    )
    return replace(chart, gpus=gpus)


def _short_details(shown: Shown) -> Shown:
    failure = clean.failure(shown.failure, detail=500)
    ranks = tuple(replace(one, failure=clean.failure(one.failure, detail=0)) for one in shown.ranks[:8])
    return replace(
        shown, failure=failure, ranks=ranks, results=shown.results[:_RESULTS], notes=shown.notes[:2]
    )


def _fewer_workers(limit: int, *, groups: int) -> Callable[[Shown], Shown]:
    """Without what is drawn of a Dask cluster, and with so many workers and functions at most."""

    def smaller(shown: Shown) -> Shown:
        found = shown.dask
        if found is None:
            return shown
        found = replace(found, tasks=replace(found.tasks, groups=found.tasks.groups[:groups]), past=None)
        return replace(shown, dask=dask.fewer(found, limit))

    return smaller


def _short_names(shown: Shown) -> Shown:
    found = shown.dask
    if found is None:
        return shown
    return replace(shown, dask=replace(found, workers=tuple(replace(one, whole="") for one in found.workers)))


_STEPS: tuple[Callable[[Shown], Shown], ...] = (
    lambda shown: replace(shown, results=shown.results[: 4 * _RESULTS]),
    lambda shown: replace(shown, chart=_thin(shown.chart)),
    _short_names,
    _short_details,
    _fewer_workers(32, groups=4),
    lambda shown: replace(shown, chart=_thin(shown.chart)),
    lambda shown: replace(
        shown, chart=replace(shown.chart, gpus=()) if shown.chart else None, ranks=shown.ranks[:2]
    ),
    _fewer_workers(8, groups=0),
    lambda shown: replace(shown, chart=None, ranks=(), results=(), notes=(), moments=()),
)
