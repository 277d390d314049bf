"""A real Chromium, for tests that look at what a person sees."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests.e2e.lab import Lab

PICTURES = Path(__file__).resolve().parents[2] / "build" / "pictures"
"""What tests keep of what a person would see, to be looked at."""

_JUPYTERLABS_OWN = "Canceled future for kernel_info_request message"
"""What JupyterLab throws where a kernel is killed just when it is asked who it is."""

_PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}

KERNEL_READY = """() => {
  const k = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
  return k?.connectionStatus === 'connected' && k?.status === 'idle';
}"""


def chromium() -> str | None:
    """Path of the browser, ``None`` where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


_begun: list[Playwright] = []


@contextlib.contextmanager
def playing() -> Iterator[Playwright]:
    """Playwright, of which a thread can have one at a time: all that happens meanwhile uses this one."""
    if _begun:
        yield _begun[0]
        return
    with sync_playwright() as begun:
        _begun.append(begun)
        try:
            yield begun
        finally:
            _begun.clear()


@contextlib.contextmanager
def browser(lab: Lab, folder: Path) -> Iterator[Browser]:
    """Debian's Chromium, in a network from which that server can be reached; playwright ends it."""
    program = chromium()
    if program is None:
        raise RuntimeError("There is no chromium here; apt-get install chromium")
    if lab.way.namespace is not None:
        wrapper = folder / "chromium"
        wrapper.write_text(f'#!/bin/sh\nexec nsenter -t {lab.way.namespace} -n "{program}" "$@"\n')
        wrapper.chmod(0o755)
        program = str(wrapper)
    with playing() as play:
        started = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield started
        finally:
            started.close()


@contextlib.contextmanager
def page(
    started: Browser,
    *,
    width: int = 1100,
    height: int = 900,
    dark: bool = False,
    timezone: str | None = None,
) -> Iterator[Page]:
    """A fresh page. What the browser's console complains of is kept: `complaints`."""
    context = started.new_context(
        timezone_id=timezone,
        viewport={"width": width, "height": height},
        device_scale_factor=1.5,
        color_scheme="dark" if dark else "light",
    )
    opened: Any = context.new_page()
    opened.complaints = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error":
            opened.complaints.append(f"{message.text} ({message.location['url']})")

    opened.on("console", heard)

    def failed(error: Error) -> None:
        if _JUPYTERLABS_OWN not in str(error):
            opened.complaints.append(str(error))

    opened.on("pageerror", failed)
    try:
        yield opened
    finally:
        context.close()


def complaints(page: Page) -> list[str]:
    """What the console of a page has complained of so far."""
    found: list[str] = cast(Any, page).complaints
    return found


def open_notebook(opened: Page, lab: Lab, path: str, *, dark: bool = False, kernel: bool = True) -> None:
    """Open a notebook and wait until it is drawn and, unless it is only to be looked at, its kernel is ready."""
    opened.goto(lab.address(path))
    opened.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell", timeout=60_000)
    if kernel:
        opened.wait_for_function(KERNEL_READY, timeout=60_000)
    opened.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Spinner", state="detached")
    theme = "JupyterLab Dark" if dark else "JupyterLab Light"
    opened.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    opened.wait_for_selector(f"body[data-jp-theme-light={str(not dark).lower()}]", state="attached")


@contextlib.contextmanager
def notebook_page(lab: Lab, folder: Path, path: str) -> Iterator[Page]:
    """A notebook, open in a page of a browser of its own, wide enough for the panel beside it.

    Args:
        folder: For what the browser needs.
        path: Of the notebook.
    """
    with browser(lab, folder) as started, page(started, width=1250) as opened:
        open_notebook(opened, lab, path)
        yield opened


def run_all(opened: Page) -> None:
    """Run every cell, and wait for the last to end."""
    opened.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    opened.wait_for_function(KERNEL_READY, timeout=60_000)


def widen(opened: Page, width: int) -> None:
    """Drag the edge of the left side to where it is so many pixels wide, or as near to it as JupyterLab lets it come."""
    edge = opened.locator("#jp-main-split-panel > .lm-SplitPanel-handle:not(.lm-mod-hidden)").first
    box, stack = edge.bounding_box(), opened.locator("#jp-left-stack").bounding_box()
    assert box is not None
    assert stack is not None
    opened.mouse.move(box["x"] + box["width"] / 2, box["y"] + 200)
    opened.mouse.down()
    opened.mouse.move(stack["x"] + width, box["y"] + 200, steps=4)
    opened.mouse.up()


def run_cell(opened: Page, cell: int) -> None:
    """Begin one cell of the notebook that is open; what it does is awaited where it shows."""
    opened.evaluate(
        """cell => {
            jupyterapp.shell.currentWidget.content.activeCellIndex = cell;
            void jupyterapp.commands.execute('notebook:run-cell');
        }""",
        cell,
    )


def printed(place: Locator) -> list[str]:
    """Lines that were written to stdout and stand there, in their order."""
    written = place.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stdout']")
    return [line for text in written.all_inner_texts() for line in text.splitlines() if line]


def reach(opened: Page, target: Locator, *, key: str = "Tab", within: int = 40) -> None:
    """Go from where the focus is to ``target``, by a key alone."""
    for _ in range(within):
        if target.evaluate("one => one === document.activeElement"):
            return
        opened.keyboard.press(key)
    found = opened.evaluate("() => document.activeElement?.outerHTML.slice(0, 300)")
    raise AssertionError(f"{key} does not lead there; the focus is at {found}")


def press_in_row(opened: Page, row: Locator, name: str) -> None:
    """Press a button of a row of the panel, by keys alone."""
    opened.keyboard.press("Alt+Shift+G")
    reach(opened, opened.locator(".gpuw-Row .gpuw-RowName[tabindex='0']"))
    opened.keyboard.press("Home")
    reach(opened, row.locator(".gpuw-RowName"), key="ArrowDown")
    button = row.get_by_role("button", name=name)
    reach(opened, button)
    expect(row.locator(".gpuw-RowDoings")).to_have_css("opacity", "1")
    opened.keyboard.press("Enter")


def notebook_of(*sources: str) -> nbformat.NotebookNode:
    """A notebook of these code cells."""
    cells = [new_code_cell(source) for source in sources]
    return new_notebook(cells=cells, metadata={"kernelspec": _PYTHON})


def picture(opened: Page, name: str) -> None:
    """Keep what a person would see, to be looked at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    opened.screenshot(path=PICTURES / f"{name}.png")


def heap(opened: Page) -> float:
    """Megabytes that the page's scripts still use after a collection."""
    session = opened.context.new_cdp_session(opened)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return float(used) / 1e6
