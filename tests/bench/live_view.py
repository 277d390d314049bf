"""What a live view costs a browser: time of the page's main thread for each update, layout and painting included."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from playwright.sync_api import CDPSession

from gpu_workbench.surfaces.view import Snapshot, snapshot
from gpu_workbench.surfaces.view.model import Band, Chart
from tests.bench.harness import Figure, Target
from tests.bench.place import Place
from tests.e2e import browser
from tests.e2e.live_gallery import Gallery, gallery
from tests.unit.surfaces.view.states import State
from tests.unit.surfaces.view.workloads import CLUSTER, TQDM, gpu, many, rank, running, session, wave

TITLE = "A live view in the browser"

LIMIT = 8.0
"""Milliseconds of main thread that an update of 8 GPUs may take."""

_WINDOW = 250
"""Milliseconds in which a page has dealt with an update, and drawn it."""

_COUNTS = (1, 8, 16, 64, 512)


def measure(place: Place) -> Iterator[Figure]:
    """Updates of one view at a time, in a real JupyterLab and a real browser, against the same time without one."""
    if browser.chromium() is None:
        return
    repetitions = 3 if place.quick else 30
    views = [State(f"{count} GPUs", "%%gpu", _view(count)) for count in _COUNTS]
    with gallery(place.folder, views) as shown:
        counter = shown.page.context.new_cdp_session(shown.page)
        # what the thread computes: what else the machine does has no part in it
        counter.send("Performance.enable", {"timeDomain": "threadTicks"})
        for count, state in zip(_COUNTS, shown.shown, strict=True):
            shown.card(state.title).scroll_into_view_if_needed()
            shown.page.wait_for_timeout(1000)
            found, without = _updates(shown, counter, state.found, repetitions)
            target = Target(LIMIT, of="extra") if count == 8 else None
            yield _figure(
                f"update of a view of {count} GPU{'s' if count > 1 else ''}", found, without, target
            )
        hidden = shown.shown[0]
        found, without = _updates(shown, counter, hidden.found, repetitions)
        yield _figure("update of a view that is not on the screen", found, without, Target(0.5, of="extra"))


def _figure(name: str, found: Sequence[float], without: Sequence[float], target: Target | None) -> Figure:
    net = sorted(max(0.0, one - statistics.median(without)) for one in found)
    p95 = net[min(len(net) - 1, int(0.95 * len(net)))]
    note = f"Of the update alone: mean {statistics.fmean(net):.1f} ms, p95 {p95:.1f} ms."
    return Figure(name, "ms", found, without, "no update", target=target, note=note)


def _updates(
    shown: Gallery, counter: CDPSession, found: Snapshot, repetitions: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of the main thread with an update and without one, in turn."""
    with_one, without = [], []
    for number in range(1, repetitions + 2):
        without.append(_busy(shown, counter))
        shown.said.run(_later(found, number))
        with_one.append(_busy(shown, counter))
    return with_one[1:], without[1:]  # the first compiles what the others run


def _busy(shown: Gallery, counter: CDPSession) -> float:
    before = _tasks(counter)
    shown.page.wait_for_timeout(_WINDOW)
    return max(0.01, 1000 * (_tasks(counter) - before))


def _tasks(counter: CDPSession) -> float:
    metrics = counter.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


def _view(count: int) -> Snapshot:
    if count <= 8:
        work = session(running(TQDM), rank(0, *(gpu(n, busy=wave(90, 4, shift=n)) for n in range(count))))
    else:
        work = many(count)
    return snapshot(work, "a1b2c3d4e5f6", where=CLUSTER, saved="full")


def _later(found: Snapshot, by: int) -> Snapshot:
    """The same run, by so many points later."""
    shown = found.snapshot
    assert shown.progress is not None
    assert shown.chart is not None
    done = replace(shown.progress, done=shown.progress.done + by)
    chart = _moved(shown.chart, by)
    ran = (shown.ran or 0.0) + by
    return replace(found, snapshot=replace(shown, progress=done, ran=ran, chart=chart))


def _moved(chart: Chart, by: int) -> Chart:
    gpus = tuple(
        replace(
            one,
            utilisation=_turned(one.utilisation, by),
            memory=_turned(one.memory, by),
            busy=_turned(one.utilisation, by)[-1],
        )
        for one in chart.gpus
    )
    busy = None if chart.busy is None else float(int(chart.busy) - by % 5)
    bands = (None if band is None else _moved_band(band, by) for band in (chart.utilisation, chart.memory))
    utilisation, memory = bands
    return replace(chart, gpus=gpus, busy=busy, utilisation=utilisation, memory=memory)


def _moved_band(band: Band, by: int) -> Band:
    return Band(p10=_turned(band.p10, by), p50=_turned(band.p50, by), p90=_turned(band.p90, by))


_T = TypeVar("_T")


def _turned(values: tuple[_T, ...], by: int) -> tuple[_T, ...]:
    by %= max(1, len(values))
    return values[by:] + values[:by]
