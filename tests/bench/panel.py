"""The side panel with 1,000 runs, of which 50 change each second, in a real JupyterLab and Chromium."""

from __future__ import annotations

import time
from collections.abc import Iterator

from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Page

from tests.bench.harness import Figure, Target
from tests.bench.place import Place
from tests.e2e import browser
from tests.e2e.lab import jupyterlab
from tests.e2e.rows import Feed, many

TITLE = "The panel with 1,000 runs"

ROWS = 1000
CHANGING = 50

_WATCH = """() => {
  window.longest = 0;
  new PerformanceObserver(list => {
    for (const one of list.getEntries()) window.longest = Math.max(window.longest, one.duration);
  }).observe({type: 'longtask'});
}"""

_PAINTED = """([panel, part]) => new Promise(resolve => {
  const begin = performance.now();
  window.jupyterapp.shell.activateById(panel);
  const look = () => document.querySelector(part)?.offsetHeight > 0
    ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - begin)))
    : requestAnimationFrame(look);
  look();
})"""

_TYPE = """async word => {
  const search = document.querySelector('.gpuw-Panel input');
  for (let end = 1; end <= word.length; end++) {
    search.value = word.slice(0, end);
    search.dispatchEvent(new Event('input'));
    await new Promise(requestAnimationFrame);
  }
  search.value = '';
  search.dispatchEvent(new Event('input'));
}"""

_SCROLL = """async () => {
  const list = document.querySelector('.gpuw-List');
  for (let step = 0; step < 120; step++) {
    list.scrollTop += 250;
    await new Promise(requestAnimationFrame);
  }
  list.scrollTop = 0;
}"""

_UPDATES = """async ([rows, times]) => {
  for (let time = 0; time < times; time++) {
    const changed = Object.entries(rows).map(([id, row]) => [id, {...row, busy: time % 100}]);
    window.gpuwFeed.change(Object.fromEntries(changed));
    await new Promise(requestAnimationFrame);
  }
}"""

_NONE = "the browser tells of tasks of 50 ms and more: 0 is none"


def measure(place: Place) -> Iterator[Figure]:
    """A page whose list is written in the server's place; what it costs the page's main thread."""
    seconds = 2 if place.quick else 10
    with (
        jupyterlab(place.folder / "lab") as lab,
        browser.browser(lab, place.folder) as chromium,
        browser.page(chromium) as page,
    ):
        lab.write("empty.ipynb", new_notebook(cells=[new_code_cell("1")]), trusted=True)
        feed = Feed(page, many(ROWS))
        browser.open_notebook(page, lab, "empty.ipynb", kernel=False)
        page.wait_for_selector("#jupyterlab-splash", state="detached")
        others = page.evaluate(_PAINTED, ["jp-running-sessions", ".jp-RunningSessions-section"])
        ours = page.evaluate(_PAINTED, ["gpu-workbench-runs", ".gpuw-Row"])
        yield Figure(
            "first paint",
            "ms",
            [ours],
            baseline=[others],
            against="JupyterLab's own list of kernels, a few rows",
            target=Target(1000),
        )
        page.evaluate(_WATCH)
        page.evaluate(_SCROLL)
        yield _longest(page, "while it is scrolled from end to end")
        page.evaluate(_TYPE, "run-777")
        yield _longest(page, "while a search is typed")
        for _ in range(seconds):
            feed.change(*({**row, "busy": time.monotonic() % 100} for row in many(CHANGING)))
            page.wait_for_timeout(1000)
        yield _longest(page, f"while {CHANGING} change each second")
        yield _heap(page)
        assert browser.complaints(page) == []


def _heap(page: Page) -> Figure:
    """What the page keeps after as many messages as come in half an hour, over what it kept after those of a minute."""
    changed = {row["id"]: row for row in many(CHANGING)}
    page.evaluate(_UPDATES, [changed, 60])
    before = browser.heap(page)
    page.evaluate(_UPDATES, [changed, 1800])
    return Figure(
        f"heap after half an hour, in which {CHANGING} change each second",
        "MB",
        [browser.heap(page)],
        baseline=[before],
        against="the same page half an hour before",
        target=Target(1.05, of="ratio"),
        note="1,800 messages as fast as they are drawn",
    )


def _longest(page: Page, when: str) -> Figure:
    """The longest task since the one asked before."""
    page.wait_for_timeout(300)  # what is observed is told a little later
    longest = page.evaluate("() => { const found = window.longest; window.longest = 0; return found; }")
    return Figure(f"longest task {when}", "ms", [longest], target=Target(50), note=_NONE)
