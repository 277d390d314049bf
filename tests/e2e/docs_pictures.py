"""Takes the documentation's pictures of JupyterLab: the tutorial's steps, the states of a run, and the panel.

    python -m tests.e2e.docs_pictures [NAME…]

Names choose some of the parts: ``tutorial``, ``several``, ``each``, ``panel``. The page is real in all of them, and so is
its server. What the tutorial shows has run; of the rest the runs are made up, for no machine has 64 GPUs and a full queue.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell
from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e import browser
from tests.e2e.lab import jupyterlab
from tests.e2e.live_gallery import Gallery, gallery, wear
from tests.e2e.rows import BUSY, NOTHING_OF_MINE, Feed, Row, each_state
from tests.unit.surfaces.view.states import states

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
INDEX = IMAGES / "states" / "states.json"
"""Titles of the states and names of their pictures, in order; the documentation's page is made from it."""

EXAMPLE = ROOT / "examples" / "01-first-cell.ipynb"
TUTORIAL = ROOT / "docs" / "tutorial" / "first-cell.md"

SEVERAL = ("GPUs taken", "running, 2 nodes of 8 GPUs", "failed on one of 8 ranks", "done")
RECONNECTING = "reconnecting, with when it was last seen"

USUAL, NARROWEST = 320, 0
"""Pixels to which the side is dragged; JupyterLab leaves it 250."""

LOW = 420
"""Pixels, for a panel with next to nothing in it."""

PANELS: Mapping[str, tuple[Sequence[Row], Mapping[str, Any], int, str]] = {
    "panel": (each_state(), BUSY, USUAL, ""),
    "panel-row": (each_state(), BUSY, USUAL, "explore.ipynb"),
    "panel-narrow": (each_state(), BUSY, NARROWEST, ""),
    "panel-empty": ([], NOTHING_OF_MINE, USUAL, ""),
}
"""What is in the list, what the cluster counts, how wide the panel is, and a word of the row under the mouse."""

IN_EACH_THEME = ("first-cell", "watching", "what-lives-where", "live", "panel-first-use", *PANELS)
IN_CONTRAST = ("live", "panel")
THEMES = ("light", "dark")

_RUN = """async ([first, last]) => {
  const { content } = jupyterapp.shell.currentWidget;
  for (let at = first; at <= last; at += 1) {
    content.activeCellIndex = at;
    await jupyterapp.commands.execute('notebook:run-cell');
  }
}"""
_BEGIN = """at => {
  jupyterapp.shell.currentWidget.content.activeCellIndex = at;
  void jupyterapp.commands.execute('notebook:run-cell');
}"""
_SHOW = """at => {
  const { content } = jupyterapp.shell.currentWidget;
  content.activeCellIndex = at;
  content.widgets[at].node.scrollIntoView({ block: 'start' });
}"""


def main(chosen: Sequence[str]) -> None:
    """Take those asked for, or all."""
    parts: dict[str, Callable[[Path], None]] = {
        "tutorial": _tutorial,
        "several": _several,
        "each": _each,
        "panel": _panel,
    }
    with tempfile.TemporaryDirectory(prefix="gwb-") as name:
        for part in chosen or parts:
            folder = Path(name) / part
            folder.mkdir()
            parts[part](folder)


def slug(title: str) -> str:
    """The name of a state's picture."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def titles() -> list[str]:
    """All states that the documentation has, in its order: those of a run, and that of a page which has lost the server."""
    return [*(one.title for one in states()), RECONNECTING]


def names() -> list[str]:
    """All pictures that are taken here, as the documentation refers to them."""
    themed = [*IN_EACH_THEME, *(f"states/{slug(title)}" for title in titles())]
    found = [f"{name}-{theme}.png" for name in themed for theme in THEMES]
    return [*found, *(f"{name}-contrast.png" for name in IN_CONTRAST)]


def keep(picture: bytes, name: str, theme: str) -> None:
    """Write a picture; with a palette it is a third of the size."""
    file = f"{name}-{theme}.png"
    assert file in names()
    target = IMAGES / file
    target.parent.mkdir(exist_ok=True)
    with Image.open(io.BytesIO(picture)) as opened:
        opened.convert("RGB").quantize(256, kmeans=3).save(target, optimize=True)


def _tutorial(folder: Path) -> None:
    """The steps of the tutorial, in its own notebook, where nothing has run before and no cluster is known."""
    made, places = _as_in_the_tutorial()
    with _nobody(folder) as environ, jupyterlab(folder / "lab", environ=environ) as lab:
        lab.write(EXAMPLE.name, made, trusted=True)
        with (
            browser.browser(lab, folder) as chromium,
            browser.page(chromium, width=1000, height=690) as page,
        ):
            browser.open_notebook(page, lab, EXAMPLE.name)
            _open_panel(page)
            expect(page.locator(".gpuw-Panel")).to_contain_text("Nothing has run yet")
            expect(page.locator(".gpuw-Capacity")).to_contain_text("No GPU is visible on this machine")
            page.set_viewport_size({"width": 1000, "height": LOW})
            for theme in THEMES:
                wear(page, theme)
                _keep_panel(page, "panel-first-use", theme)
            page.set_viewport_size({"width": 1000, "height": 690})
            page.evaluate(_RUN, [0, places["total"]])
            _steps(page, "first-cell", places["out"])
            page.evaluate(_RUN, [places["total"] + 1, places["loop"] - 1])
            page.evaluate(_BEGIN, places["loop"])
            expect(page.locator(".jp-Notebook .gpuw-Card")).to_be_visible(timeout=30_000)
            expect(page.locator(".gpuw-Row")).to_contain_text("busy")
            _steps(page, "watching", places["loop"])
            page.evaluate("() => jupyterapp.commands.execute('notebook:interrupt-kernel')")
            page.wait_for_function(browser.KERNEL_READY)
            page.evaluate(_RUN, [places["loop"] + 1, len(made.cells) - 1])
            _steps(page, "what-lives-where", places["vars"])


def _as_in_the_tutorial() -> tuple[nbformat.NotebookNode, dict[str, int]]:
    """The example with the cell that the tutorial has more, without its end; and where the cells are that are shown."""
    made = nbformat.read(EXAMPLE, as_version=4)
    sources = [cell.source for cell in made.cells]
    made.cells = made.cells[: sources.index("%gpu") + 1]
    (loop,) = (
        block
        for block in re.findall(r"^```python\n(.*?)\n```", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
        if "range(100)" in block
    )
    trained = next(at for at, source in enumerate(sources) if "for epoch in" in source)
    made.cells.insert(trained + 1, new_code_cell(loop))
    sources = [cell.source for cell in made.cells]
    out = next(at for at, source in enumerate(sources) if source.startswith("%%gpu --out"))
    places = {
        "out": out,
        "total": sources.index("total"),
        "loop": trained + 1,
        "vars": sources.index("%gpu vars"),
    }
    return made, places


@contextlib.contextmanager
def _nobody(folder: Path) -> Iterator[dict[str, str]]:
    """Variables of a user who has nothing yet; all that is begun with them ends."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GPU_WORKBENCH_")}
    places = {f"XDG_{name}_HOME": str(folder / name.lower()) for name in ("CONFIG", "DATA", "STATE")}
    environ = {**kept, **places, "KUBECONFIG": str(folder / "none")}
    try:
        yield environ
    finally:
        program = Path(sys.executable).with_name("gpu-workbench")
        subprocess.run([program, "stop", "--all"], env=environ, check=True, timeout=60)


def _steps(page: Page, name: str, place: int) -> None:
    """The window in each theme, with the cell at ``place`` at the top."""
    for theme in THEMES:
        wear(page, theme)
        page.evaluate(_SHOW, place)
        _settle(page)
        keep(page.screenshot(), name, theme)


def _several(folder: Path) -> None:
    """Some states below each other."""
    with gallery(folder, [one for one in states() if one.title in SEVERAL], titles=False) as shown:
        for theme in (*THEMES, "contrast"):
            shown.wear(theme)
            shown.whole(folder / "whole.png")
            keep((folder / "whole.png").read_bytes(), "live", theme)


def _each(folder: Path) -> None:
    """Each state by itself."""
    with gallery(folder, states()) as shown:
        for theme in THEMES:
            shown.wear(theme)
            for one in shown.shown:
                keep(shown.card(one.title).screenshot(), f"states/{slug(one.title)}", theme)
        _reconnecting(shown)
    INDEX.write_text(json.dumps({title: slug(title) for title in titles()}, indent=1) + "\n")


def _reconnecting(shown: Gallery) -> None:
    """The server is gone, as a page sees it."""
    card = shown.card("running, 8 GPUs")
    card.scroll_into_view_if_needed()
    shown.page.route("**/gpu-workbench/api/hello*", lambda route: route.abort())
    shown.said.go()
    expect(card).to_contain_text("last seen")
    for theme in THEMES:
        shown.wear(theme)
        keep(card.screenshot(), f"states/{slug(RECONNECTING)}", theme)


def _panel(folder: Path) -> None:
    """The panel: with each kind of row, narrow, and with nothing in it."""
    with jupyterlab(folder) as lab, browser.browser(lab, folder) as chromium:
        lab.write("explore.ipynb", browser.notebook_of("%%gpu\ntrain(model)"), trusted=True)
        for name, (rows, capacity, width, pointed) in PANELS.items():
            with browser.page(chromium, width=1000, height=640 if rows else LOW) as page:
                Feed(page, rows, capacity=capacity)
                browser.open_notebook(page, lab, "explore.ipynb", kernel=False)
                _open_panel(page)
                page.wait_for_selector(".gpuw-Row" if rows else ".gpuw-PanelNote:visible")
                browser.widen(page, width)
                page.mouse.move(700, 400)
                for theme in (*THEMES, *(["contrast"] if name in IN_CONTRAST else [])):
                    wear(page, theme)
                    if pointed:
                        page.locator(".gpuw-Row", has_text=pointed).hover()
                    _keep_panel(page, name, theme)


def _open_panel(page: Page) -> None:
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    page.evaluate("() => jupyterapp.commands.execute('gpu-workbench:show-runs')")


def _keep_panel(page: Page, name: str, theme: str) -> None:
    _settle(page)
    keep(page.locator("#jp-left-stack").screenshot(), name, theme)


def _settle(page: Page) -> None:
    """A change of the theme has JupyterLab lay out its panels anew a moment later, and the GPUs are counted again."""
    expect(page.locator(".gpuw-CapacityBody")).to_have_attribute("aria-busy", "false")
    page.wait_for_timeout(300)


if __name__ == "__main__":
    main(sys.argv[1:])
