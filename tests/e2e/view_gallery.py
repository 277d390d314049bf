"""Renders the main states of the inline view in a real JupyterLab and on bare pages, and takes pictures of them.

python -m tests.e2e.view_gallery OUTDIR
"""

from __future__ import annotations

import argparse
import html
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Browser, Page

from gpu_workbench.surfaces import view
from gpu_workbench.surfaces.view.png import png
from gpu_workbench.surfaces.view.tables import Rendered
from tests.e2e import browser
from tests.e2e.lab import Lab, jupyterlab
from tests.unit.surfaces.view.dask_states import (
    cluster,
    computing,
    cpu_worker,
    dask_states,
    gpu_worker,
)
from tests.unit.surfaces.view.reasons import gpus_taken
from tests.unit.surfaces.view.states import State, name_rows, states
from tests.unit.surfaces.view.workloads import many_gpus

_BOTTOM = """() => {
  const cells = document.querySelectorAll('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell');
  return cells[cells.length - 1].getBoundingClientRect().bottom;
}"""


def main(arguments: Sequence[str]) -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--only", default="", help="take only those with this in their name")
    asked = parser.parse_args(arguments)
    asked.outdir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with jupyterlab(folder / "lab", live=False) as lab, browser.browser(lab, folder) as started:
            _write_notebooks(lab)
            for target, take in _pictures(started, lab).items():
                if asked.only in target:
                    take(asked.outdir / target)
    for one in every():
        picture = png(one.found)
        if picture:
            name = re.sub(r"\W+", "-", one.title)
            (asked.outdir / f"png-{name}.png").write_bytes(picture)


def _write_notebooks(lab: Lab) -> None:
    lab.write("gallery.ipynb", notebook(every()), trusted=True)
    lab.write("untrusted.ipynb", notebook(every()), trusted=False)
    lab.write("tables.ipynb", tables(), trusted=True)


def _pictures(started: Browser, lab: Lab) -> dict[str, Callable[[Path], None]]:
    """Every picture by its name, and how it is taken."""

    def lab_page(path: str, **how: Any) -> Callable[[Path], None]:
        return lambda target: _lab(started, lab, path, target, **how)

    return {
        "lab-light.png": lab_page("gallery.ipynb", dark=False),
        "lab-dark.png": lab_page("gallery.ipynb", dark=True),
        "lab-open.png": lab_page("gallery.ipynb", dark=False, unfold=True),
        "lab-narrow.png": lab_page("gallery.ipynb", dark=False, width=620),
        "untrusted-light.png": lab_page("untrusted.ipynb", dark=False),
        "untrusted-dark.png": lab_page("untrusted.ipynb", dark=True),
        "tables-light.png": lab_page("tables.ipynb", dark=False),
        "tables-dark.png": lab_page("tables.ipynb", dark=True),
        "bare-light.png": lambda target: _bare(started, every(), target, dark=False),
        "bare-dark.png": lambda target: _bare(started, every(), target, dark=True),
        "stripped.png": lambda target: _stripped(started, every(), target),
    }


def every() -> list[State]:
    """All states there are to be looked at."""
    return [*dask_states(), *states()]


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
    found = [one.found for one in every()]
    shown: list[tuple[str, Rendered]] = [
        ("%gpu ls", view.ls(found)),
        ("%gpu top", view.top(many_gpus())),
        ("%gpu top etl", view.top(cluster(computing([cpu_worker(0), gpu_worker(1)])))),
        ("%gpu vars", view.names(name_rows())),
        (
            "%gpu why",
            view.why(next(one.found for one in states() if one.title == "GPUs taken"), gpus_taken()),
        ),
    ]
    cells = []
    for number, (line, rendered) in enumerate(shown, start=1):
        data = {"text/html": rendered.html, "text/plain": rendered.text}
        cells.append(
            new_code_cell(line, outputs=[new_output("display_data", data=data)], execution_count=number)
        )
    for number, one in enumerate(every(), start=len(cells) + 1):
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
    lab: Lab,
    path: str,
    target: Path,
    *,
    dark: bool,
    width: int = 1000,
    unfold: bool = False,
) -> None:
    with browser.page(started, width=width, height=900) as page:
        browser.open_notebook(page, lab, path, dark=dark, kernel=False)
        page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        if unfold:
            page.evaluate("() => document.querySelectorAll('.gwb details').forEach(one => one.open = true)")
        page.wait_for_timeout(600)
        bottom = page.evaluate(_BOTTOM)
        page.set_viewport_size({"width": width, "height": int(bottom) + 60})
        page.wait_for_timeout(600)
        area = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer").bounding_box()
        assert area is not None
        area["height"] = page.evaluate(_BOTTOM) + 8 - area["y"]
        page.screenshot(path=target, clip=area)


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
