"""A run's log of a million lines in the browser: how long until its end is seen, and what scrolling through it costs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.bench.harness import Figure, Target
from tests.bench.on_screen import environment
from tests.bench.place import Place
from tests.e2e import browser
from tests.e2e.lab import jupyterlab

TITLE = "A log in the browser"

LINES = 1_000_000
LONG = 50
"""Milliseconds above which a browser calls a task long: the page does not answer meanwhile."""

STEPS = 100
"""Pictures of the page while it is scrolled through."""

_SCRIPT = """
import pathlib, sys, time
go, done = map(pathlib.Path, sys.argv[1:])
while not go.exists():
    time.sleep(0.02)
for i in range({lines}):
    print("line", i)
sys.stdout.flush()
done.write_text(str(time.time()))
"""

_SEEN = """text => new Promise(resolve => {
  const look = () => {
    const rows = [...document.querySelectorAll('.gpuw-Document .gpuw-LogRow')];
    if (rows.at(-1)?.textContent === text) resolve(Date.now() / 1000);
    else requestAnimationFrame(look);
  };
  look();
})"""

_OPEN = "args => window.jupyterapp.commands.execute('gpu-workbench:open-run', args).then(() => undefined)"

_CLOSE = """() => {
  for (const one of window.jupyterapp.shell.widgets('main')) if (one.id.startsWith('gpu-workbench-run')) one.close();
}"""

_SCROLL = """([query, steps]) => new Promise(resolve => {
  const scroller = document.querySelector(query);
  const long = [], pauses = [];
  const observer = new PerformanceObserver(list => long.push(...list.getEntries().map(entry => entry.duration)));
  observer.observe({type: 'longtask'});
  let step = 0, last = performance.now();
  const next = now => {
    pauses.push(now - last);
    last = now;
    scroller.scrollTop = (scroller.scrollHeight - scroller.clientHeight) * step / steps;
    if (step++ < steps) requestAnimationFrame(next);
    else setTimeout(() => {
      observer.disconnect();
      resolve({long, pauses: pauses.slice(1)});
    }, 200);
  };
  requestAnimationFrame(next);
})"""

_PLAIN = """async url => {
  const began = performance.now();
  const text = await (await fetch(url)).text();
  const node = document.createElement('pre');
  node.id = 'plain';
  node.style.cssText = 'position: fixed; inset: 0; z-index: 9999; overflow: auto; background: white; margin: 0';
  node.textContent = text;
  document.body.append(node);
  node.scrollTop = node.scrollHeight;
  await new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  return performance.now() - began;
}"""

_SEARCH = """word => new Promise(resolve => {
  const field = document.querySelector('.gpuw-Document input[type=search]');
  const began = performance.now();
  const look = () => {
    if (document.querySelector('.gpuw-Document .gpuw-mod-current')?.textContent === word) {
      resolve(performance.now() - began);
    } else requestAnimationFrame(look);
  };
  field.value = word;
  field.dispatchEvent(new Event('input'));
  look();
})"""


@dataclass
class _Found:
    """What was measured, one for each repetition."""

    behind: list[float]
    opened: list[float]
    plain: list[float]
    search: list[float]
    tasks: list[float]
    plain_tasks: list[float]
    heap: list[float]


def measure(place: Place) -> Iterator[Figure]:
    """Against the same lines as the text of one element, which is what a page would do that does nothing about it."""
    if browser.chromium() is None:
        raise RuntimeError("There is no chromium here; apt-get install chromium")
    lines = place.lines(LINES)
    found = _measure(place, lines, times=place.times(3))
    plain = "one element with all of the text"
    yield Figure(
        f"the last of {lines:,} lines on the screen after it was printed, while one looks on",
        "s",
        found.behind,
        target=Target(3),
        note="Of which up to 1 s is the pause between two updates of a view.",
    )
    yield Figure(f"a log of {lines:,} lines opened, to its last line", "s", found.opened, found.plain, plain)
    yield Figure(
        "the longest task while scrolling through", "ms", found.tasks, found.plain_tasks, plain, Target(LONG)
    )
    yield Figure("a word in its middle found and shown", "ms", found.search)
    yield Figure("the browser's heap for it", "MB", found.heap, target=Target(100))


def _measure(place: Place, lines: int, *, times: int) -> _Found:
    script = place.folder / "many.py"
    script.write_text(_SCRIPT.format(lines=lines))
    found = _Found([], [], [], [], [], [], [])
    with (
        environment({"GPU_WORKBENCH_STATE_DIR": str(place.folder / "state")}),
        jupyterlab(place.folder / "lab") as lab,
        browser.browser(lab, place.folder) as started,
    ):
        for number in range(times):
            go, done = (place.folder / f"{name}{number}" for name in ("go", "done"))
            _run(script, go, done, name=f"many{number}")
            workload = _newest(place.folder / "state" / "local")
            with browser.page(started) as page:
                page.goto(lab.address())
                page.wait_for_function("() => window.jupyterapp !== undefined", timeout=60_000)
                page.evaluate("() => window.jupyterapp.restored.then(() => undefined)")
                _look(page, found, workload, go, done, last=f"line {lines - 1}", middle=f"line {lines // 2}")
    return found


def _look(page: Page, found: _Found, workload: str, go: Path, done: Path, *, last: str, middle: str) -> None:
    page.evaluate(_OPEN, {"workload": workload})
    page.wait_for_selector(".gpuw-Document .gpuw-LogBar")
    go.touch()
    seen = page.evaluate(_SEEN, last)
    found.behind.append(seen - float(done.read_text()))
    page.evaluate(_CLOSE)
    before = browser.heap(page)
    began = time.time()
    page.evaluate(_OPEN, {"workload": workload})
    found.opened.append(page.evaluate(_SEEN, last) - began)
    found.heap.append(browser.heap(page) - before)
    found.tasks.append(_longest(page, ".gpuw-Document .gpuw-LogScroller"))
    found.search.append(page.evaluate(_SEARCH, middle))
    link = page.locator(".gpuw-Document a[download]").get_attribute("href")
    page.evaluate(_CLOSE)
    found.plain.append(page.evaluate(_PLAIN, link) / 1000)
    found.plain_tasks.append(_longest(page, "#plain"))


def _longest(page: Page, scroller: str) -> float:
    """Milliseconds of the longest task while it is scrolled through; what is not long counts as the longest that is not."""
    said: dict[str, Any] = page.evaluate(_SCROLL, [scroller, STEPS])
    return float(max(said["long"], default=min(LONG, max(said["pauses"]))))


def _run(script: Path, go: Path, done: Path, *, name: str) -> None:
    """Start it, to print when ``go`` is there."""
    command = [
        sys.executable,
        "-m",
        "gpu_workbench.surfaces.cli",
        "run",
        str(script),
        "--name",
        name,
        "--detach",
    ]
    subprocess.run(
        [*command, "--", str(go), str(done)], check=True, cwd=script.parent, stdout=subprocess.DEVNULL
    )


def _newest(root: Path) -> str:
    """The id of the workload that was started last."""
    return max(root.glob("[!.]*"), key=os.path.getctime).name
