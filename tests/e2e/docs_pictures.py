"""Takes the documentation's pictures of JupyterLab: the states of a run, and the panel.

    python -m tests.e2e.docs_pictures

The page is real, and so is its server; the runs are made up, for no machine has 64 GPUs and a full queue.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from tests.e2e import browser
from tests.e2e.lab import Lab, jupyterlab
from tests.e2e.live_gallery import gallery
from tests.e2e.rows import Feed, Row, each_state
from tests.unit.surfaces.view.states import State, states

IMAGES = Path(__file__).parents[2] / "docs" / "images"
STATES = IMAGES / "states"
INDEX = STATES / "states.json"
"""Titles of the states and names of their pictures, in order; the documentation's page is made from it."""

SEVERAL = ("in a queue", "running, 2 nodes of 8 GPUs", "failed on one of 8 ranks", "done")
PANELS = (("panel", each_state(), 900), ("panel-narrow", each_state(), 560), ("panel-empty", [], 900))
"""Names of pictures, what is in the list, and how wide the window is."""

THEMES = ("light", "dark")


def main() -> None:
    """Take them all."""
    with tempfile.TemporaryDirectory() as name:
        _several(Path(name) / "several")
        _each(Path(name) / "each", states())
        _panel(Path(name) / "panel")


def slug(title: str) -> str:
    """The name of a state's picture."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _several(folder: Path) -> None:
    """Some states below each other."""
    folder.mkdir()
    chosen = [one for one in states() if one.title in SEVERAL]
    with gallery(folder, chosen, titles=False) as shown:
        for theme in THEMES:
            shown.wear(theme)
            shown.whole(IMAGES / f"live-{theme}.png")
            smaller(IMAGES / f"live-{theme}.png")


def _each(folder: Path, every: Sequence[State]) -> None:
    """Each state by itself."""
    folder.mkdir()
    STATES.mkdir(exist_ok=True)
    with gallery(folder, every) as shown:
        for theme in THEMES:
            shown.wear(theme)
            for one in every:
                target = STATES / f"{slug(one.title)}-{theme}.png"
                shown.card(one.title).screenshot(path=target)
                smaller(target)
    INDEX.write_text(json.dumps({one.title: slug(one.title) for one in every}, indent=1) + "\n")


def _panel(folder: Path) -> None:
    """The panel: with each kind of row, narrow, and with nothing in it."""
    with jupyterlab(folder) as lab, browser.browser(lab, folder) as chromium:
        lab.write("explore.ipynb", browser.notebook_of("%%gpu\ntrain(model)"), trusted=True)
        for name, rows, width in PANELS:
            for theme in THEMES:
                with browser.page(chromium, width=width, height=640) as page:
                    _open(page, lab, rows, dark=theme == "dark")
                    target = IMAGES / f"{name}-{theme}.png"
                    page.locator("#jp-left-stack").screenshot(path=target)
                    smaller(target)


def _open(page: Page, lab: Lab, rows: Sequence[Row], *, dark: bool) -> None:
    Feed(page, rows)
    browser.open_notebook(page, lab, "explore.ipynb", dark=dark, kernel=False)
    page.evaluate("() => jupyterapp.commands.execute('gpu-workbench:show-runs')")
    page.wait_for_selector(".gpuw-Row" if rows else ".gpuw-PanelNote:visible")
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    page.wait_for_timeout(300)  # JupyterLab lays out its panels a moment later


def smaller(picture: Path) -> None:
    """With a palette it is a third of the size."""
    with Image.open(picture) as opened:
        opened.convert("RGB").quantize(256, kmeans=3).save(picture, optimize=True)


if __name__ == "__main__":
    main()
