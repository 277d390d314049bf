"""Renders the main states of the inline view in a real JupyterLab and on bare pages, and takes pictures of them.

    python -m tests.e2e.view_gallery OUTDIR [--docs]

``--docs`` writes the two pictures that the documentation shows.
"""

from __future__ import annotations

import argparse
import html
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Browser, Page

from gpu_workbench.surfaces import view
from gpu_workbench.surfaces.view.tables import Rendered
from tests.e2e import browser
from tests.unit.surfaces.view.states import TAKEN, State, many_gpus, name_rows, states

DOCS = Path(__file__).parents[2] / "docs" / "images"
SHOWN_IN_DOCS = ("GPUs taken", "running, 8 GPUs", "failed on one of 8 ranks", "done")


def main(arguments: Sequence[str]) -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--docs", action="store_true")
    asked = parser.parse_args(arguments)
    asked.outdir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with browser.jupyterlab(folder / "lab") as lab, browser.browser(lab, folder) as started:
            everything = states()
            lab.write("gallery.ipynb", notebook(everything), trusted=True)
            lab.write("untrusted.ipynb", notebook(everything), trusted=False)
            lab.write("tables.ipynb", tables(), trusted=True)
            chosen = [one for one in everything if one.title in SHOWN_IN_DOCS]
            lab.write("docs.ipynb", notebook(chosen, titles=False), trusted=True)
            for dark in (False, True):
                theme = "dark" if dark else "light"
                _lab(started, lab, "gallery.ipynb", asked.outdir / f"lab-{theme}.png", dark=dark)
                _lab(started, lab, "tables.ipynb", asked.outdir / f"tables-{theme}.png", dark=dark)
                _bare(started, everything, asked.outdir / f"bare-{theme}.png", dark=dark)
                if asked.docs:
                    DOCS.mkdir(parents=True, exist_ok=True)
                    _lab(started, lab, "docs.ipynb", DOCS / f"view-{theme}.png", dark=dark, height=760)
            _lab(started, lab, "gallery.ipynb", asked.outdir / "lab-open.png", dark=False, unfold=True)
            _lab(started, lab, "gallery.ipynb", asked.outdir / "lab-narrow.png", dark=False, width=620)
            _lab(started, lab, "untrusted.ipynb", asked.outdir / "lab-untrusted.png", dark=False)
            _lab(started, lab, "untrusted.ipynb", asked.outdir / "lab-untrusted-dark.png", dark=True)
            _stripped(started, everything, asked.outdir / "stripped.png")
    for one in states():
        picture = view.bundle(one.found, final=True)[0].get("image/png")
        if picture:
            import base64

            name = re.sub(r"\W+", "-", one.title)
            (asked.outdir / f"png-{name}.png").write_bytes(base64.b64decode(str(picture)))


def notebook(shown: Sequence[State], *, titles: bool = True) -> nbformat.NotebookNode:
    """A notebook whose cells hold the views as their outputs, as a kernel would have left them."""
    cells = []
    for number, one in enumerate(shown, start=1):
        data, metadata = view.bundle(one.found, final=one.found.snapshot.phase.ended)
        data.pop("image/png", None)
        output = new_output("display_data", data=data, metadata=metadata)
        if titles:
            cells.append(new_markdown_cell(one.title))
        cells.append(new_code_cell(one.cell, outputs=[output], execution_count=number))
    return _named(cells)


def tables() -> nbformat.NotebookNode:
    """A notebook with the tables of the line magics, and a text fallback."""
    found = [one.found for one in states()]
    shown: list[tuple[str, Rendered]] = [
        ("%gpu ls", view.ls(found)),
        ("%gpu top", view.top(many_gpus())),
        ("%gpu vars", view.names(name_rows())),
        ("%gpu why", view.why(next(one.found for one in states() if one.title == "GPUs taken"), TAKEN)),
    ]
    cells = []
    for number, (line, rendered) in enumerate(shown, start=1):
        data = {"text/html": rendered.html, "text/plain": rendered.text}
        cells.append(
            new_code_cell(line, outputs=[new_output("display_data", data=data)], execution_count=number)
        )
    for number, one in enumerate(states(), start=len(cells) + 1):
        data = {"text/plain": view.text(one.found)}
        cells.append(
            new_code_cell(one.cell, outputs=[new_output("display_data", data=data)], execution_count=number)
        )
    return _named(cells)


def _named(cells: list[nbformat.NotebookNode]) -> nbformat.NotebookNode:
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _lab(
    started: Browser,
    lab: browser.Lab,
    path: str,
    target: Path,
    *,
    dark: bool,
    width: int = 1000,
    height: int = 0,
    unfold: bool = False,
) -> None:
    with browser.page(started, width=width, height=900) as page:
        browser.open_notebook(page, lab, path, dark=dark, kernel=False)
        page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        if unfold:
            page.evaluate("() => document.querySelectorAll('.gwb details').forEach(one => one.open = true)")
        whole = page.evaluate("() => document.querySelector('.jp-WindowedPanel-outer').scrollHeight")
        page.set_viewport_size({"width": width, "height": height or whole + 140})
        page.wait_for_timeout(400)
        page.locator(".jp-WindowedPanel-outer").first.screenshot(path=target)


def _bare(started: Browser, shown: Sequence[State], target: Path, *, dark: bool) -> None:
    body = "".join(f"<h5>{html.escape(one.title)}</h5>{view.html(one.found)}" for one in shown)
    page_html = f'<!doctype html><meta name="color-scheme" content="light dark"><body>{body}</body>'
    with browser.page(started, width=900, dark=dark) as page:
        _picture(page, page_html, target)


def _stripped(started: Browser, shown: Sequence[State], target: Path) -> None:
    """What is left where styles, classes and drawings are taken away, as code hosting sites do."""
    body = "".join(f"<h5>{html.escape(one.title)}</h5>{strip(view.html(one.found))}" for one in shown)
    with browser.page(started, width=900) as page:
        _picture(page, f"<!doctype html><body>{body}</body>", target)


def strip(found: str) -> str:
    """HTML without style sheets, drawings, and attributes."""
    found = re.sub(r"<(style|svg)\b.*?</\1>", "", found, flags=re.DOTALL)
    found = re.sub(r"</?progress[^>]*>", "", found)
    return re.sub(r"<(\w+)[^>]*>", r"<\1>", found)


def _picture(page: Page, written: str, target: Path) -> None:
    page.set_content(written)
    page.screenshot(path=target, full_page=True)


if __name__ == "__main__":
    main(sys.argv[1:])
