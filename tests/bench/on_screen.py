"""What a person at the browser waits for: a sample until it is seen, and JupyterLab until it has started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page

from gpu_workbench.app.portal import portal
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.backends.local.backend import LocalBackend
from gpu_workbench.core.events import GpuSampled
from tests.bench.harness import Figure, Target
from tests.bench.place import Place
from tests.e2e import browser
from tests.e2e.lab import Lab, jupyterlab

TITLE = "In the browser"

BATCH = 1.0
"""Seconds for which news of a view may be gathered."""

CELL = "%%gpu --gpus 1\nimport time; time.sleep({seconds})"

_NOTE_CHANGES = """() => {
  window.seen = [];
  const tile = () => document.querySelector('.jp-Notebook .gpuw-Charts')?.textContent ?? '';
  let last = tile();
  new MutationObserver(() => {
    const text = tile();
    if (text !== last) {
      last = text;
      window.seen.push([Date.now() / 1000, text]);
    }
  }).observe(document.querySelector('.jp-Notebook .gpuw-Card'), {subtree: true, childList: true, characterData: true});
}"""


def measure(place: Place) -> Iterator[Figure]:
    """On this machine, with a double of the GPU."""
    if browser.chromium() is None:
        raise RuntimeError("There is no chromium here; apt-get install chromium")
    waits = _samples(place, seconds=10 if place.quick else 60)
    yield Figure(
        "from a GPU sample to the screen",
        "ms",
        [1000 * wait for wait in waits],
        target=Target(1000 * (BATCH + 0.3)),
        note="From the moment it leaves the agent; up to 1 s of it is the pause between two updates of a view. SIMULATED.",
    )
    with_it, without = _starts(place, times=place.times(20))
    yield Figure(
        "JupyterLab from navigation to its first idle moment",
        "ms",
        with_it,
        without,
        "the same without the extension",
        Target(50, of="extra"),
    )


def _samples(place: Place, *, seconds: int) -> list[float]:
    """Seconds from each change of a device's figures to when they are drawn."""
    nvml = place.folder / "nvml"
    nvml.mkdir()
    subprocess.run([sys.executable, "-m", "tests.cluster.nvml", "build", str(nvml)], check=True)
    simulated = {
        "LD_LIBRARY_PATH": str(nvml),
        "GPU_WORKBENCH_NVML_COUNT": "1",
        "GPU_WORKBENCH_STATE_DIR": str(place.folder / "state"),
    }
    with environment(simulated), jupyterlab(place.folder / "lab") as lab:
        made = browser.notebook_of("%load_ext gpu_workbench", CELL.format(seconds=seconds + 20))
        lab.write("one.ipynb", made, trusted=True)
        with browser.browser(lab, place.folder) as started, browser.page(started) as page:
            browser.open_notebook(page, lab, "one.ipynb")
            page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
            page.wait_for_selector(".jp-Notebook .gpuw-Charts", timeout=60_000)
            page.evaluate(_NOTE_CHANGES)
            taken = portal.call(_journal, place.folder / "state" / "local", seconds)
            drawn = page.evaluate("() => window.seen")
        subprocess.run([sys.executable, "-m", "gpu_workbench.surfaces.cli", "stop", "--all"], check=True)
    return list(_pair(taken, drawn))


@dataclass(frozen=True)
class _Sample:
    """A device's utilisation in per cent, and when it came out of the agent, in seconds since 1970."""

    at: float
    utilisation: int


async def _journal(root: Path, seconds: float) -> list[_Sample]:
    """The samples of the one session there, as they come, for so many seconds."""
    backend = LocalBackend(root)
    (handle,) = await backend.list(owner="")
    subscription, found = Subscription(backend, handle), []
    end = time.monotonic() + seconds
    try:
        with subscription.feed() as feed:
            while (left := end - time.monotonic()) > 0:
                with contextlib.suppress(asyncio.TimeoutError):
                    entries = await feed.take(left) or ()
                    found += [
                        _Sample(time.time(), round(entry.event.samples[0].utilisation or 0))
                        for entry in entries
                        if isinstance(entry.event, GpuSampled)
                    ]
    finally:
        await subscription.close()
    return found


def _pair(taken: list[_Sample], drawn: list[tuple[float, str]]) -> Iterator[float]:
    """For each drawing the time since the sample that it shows: the newest one with its figure."""
    for at, text in drawn:
        same = [sample.at for sample in taken if f"{sample.utilisation} %" in text and sample.at <= at]
        if same and taken[0].at < same[-1]:
            yield at - same[-1]


def _starts(place: Place, *, times: int) -> tuple[list[float], list[float]]:
    """Milliseconds until JupyterLab has started, with the extension and without, in turn."""
    found: tuple[list[float], list[float]] = ([], [])
    with (
        environment({"GPU_WORKBENCH_STATE_DIR": str(place.folder / "empty")}),
        jupyterlab(place.folder / "with", isolated=False) as with_it,
        jupyterlab(place.folder / "without", isolated=False, live=False) as without,
        browser.browser(with_it, place.folder) as started,
    ):
        for round_ in range(-1, times):
            for lab, into in ((with_it, found[0]), (without, found[1])):
                taken = _start(lab, started)
                if round_ >= 0:
                    into.append(taken)
    return found


def _start(lab: Lab, started: Browser) -> float:
    with browser.page(started) as page:
        page.goto(lab.address())
        return _restored(page)


def _restored(page: Page) -> float:
    """Milliseconds since the navigation when all plugins are active and what was open is there again."""
    page.wait_for_function("() => window.jupyterapp !== undefined", timeout=60_000)
    return float(page.evaluate("() => window.jupyterapp.restored.then(() => performance.now())"))


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Variables of this process and of those that it starts, for a while."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
