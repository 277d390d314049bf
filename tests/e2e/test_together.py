"""One notebook in two tabs, and one that people edit together (jupyter-collaboration)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import pythons
from tests.e2e import browser
from tests.e2e.lab import Lab, jupyterlab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

COLLABORATION = (
    "jupyter-collaboration==5.0.4",
    "jupyter-collaboration-ui==3.0.4",
    "jupyter-docprovider==3.0.4",
    "jupyter-server-fileid==0.10.0",
    "jupyter-server-ydoc==3.0.4",
    "jupyter-ydoc==4.2.1",
    "pycrdt==0.14.13",
    "pycrdt-store==0.1.5",
    "pycrdt-websocket==0.16.5",
    "sqlite-anyio==0.2.10",
)

STEPS = """%%gpu --name steps
import time
for step in range(3000):
    print("line", step, flush=True)
    time.sleep(0.2)
"""


def run_all(page: Page) -> None:
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")


def card(page: Page) -> Locator:
    return page.locator(".jp-Notebook .gpuw-Card")


def printed(page: Page) -> Locator:
    return page.locator(".jp-Notebook .jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stdout']")


def line(page: Page, number: int) -> Locator:
    return printed(page).filter(has_text=f"line {number}\n").first


def lines(page: Page) -> list[str]:
    return [text for text in "".join(printed(page).all_inner_texts()).split("\n") if text.startswith("line")]


@pytest.fixture
def lab(own_state: None, tmp_path: Path) -> Iterator[Lab]:
    with jupyterlab(tmp_path) as started:
        made = browser.notebook_of("%load_ext gpu_workbench", STEPS)
        started.write("one.ipynb", made, trusted=True)
        yield started


def test_a_second_tab_shows_the_run_and_all_of_its_output(lab: Lab, tmp_path: Path) -> None:
    with browser.browser(lab, tmp_path) as started, browser.page(started) as first:
        browser.open_notebook(first, lab, "one.ipynb")
        run_all(first)
        expect(line(first, 5)).to_be_visible(timeout=90_000)
        expect(card(first)).to_contain_text(
            "Running"
        )  # it comes after two seconds, and is saved from then on
        first.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        with browser.page(started) as second:
            browser.open_notebook(second, lab, "one.ipynb", kernel=False)
            expect(card(second)).to_contain_text("Running", timeout=60_000)
            expect(line(second, 40)).to_be_visible(timeout=60_000)
            expect(line(second, 0)).to_be_visible()
            expect(line(first, 40)).to_be_visible()
            assert lines(first)[:41] == [f"line {number}" for number in range(41)]
            assert lines(second)[:41] == [f"line {number}" for number in range(41)]


@pytest.fixture
def shared_lab(own_state: None, tmp_path: Path) -> Iterator[Lab]:
    """One where documents are edited together."""
    with jupyterlab(
        tmp_path, environ={**os.environ, **pythons.overlay("collaboration", COLLABORATION)}
    ) as started:
        made = browser.notebook_of("%load_ext gpu_workbench", STEPS)
        started.write("one.ipynb", made, trusted=True)
        yield started


def test_where_a_notebook_is_edited_together_each_page_has_the_output_once_and_all_of_it_when_its_author_has_left(
    shared_lab: Lab, tmp_path: Path
) -> None:
    """Before that, JupyterLab's own pages may show what is refreshed in place twice: all but the author's."""
    with browser.browser(shared_lab, tmp_path) as started, ExitStack() as later:
        with browser.page(started) as first:
            browser.open_notebook(first, shared_lab, "one.ipynb")
            assert first.evaluate("() => window.jupyterapp.shell.currentWidget.model.collaborative")
            run_all(first)
            expect(line(first, 5)).to_be_visible(timeout=90_000)
            expect(card(first)).to_contain_text("Running")
            second, third = (later.enter_context(browser.page(started)) for _ in range(2))
            for other in (second, third):
                browser.open_notebook(other, shared_lab, "one.ipynb", kernel=False)
                expect(card(other).first).to_contain_text("Running", timeout=60_000)
            until_lines(first, 80)
            expect(card(first)).to_have_count(1)
        for other in (second, third):
            until_lines(other, 150)
        second.evaluate("() => window.jupyterapp.commands.execute('kernelmenu:interrupt')")
        for other in (second, third):
            expect(card(other)).to_have_count(1)
            expect(card(other)).to_contain_text("Stopped", timeout=60_000)
        assert lines(second) == lines(third) == [f"line {number}" for number in range(len(lines(second)))]


def until_lines(page: Page, count: int) -> None:
    """Wait until it has the first so many lines, each once and in order."""
    page.wait_for_function(
        """count => {
          const outputs = '.jp-Notebook .jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stdout"]';
          const text = [...document.querySelectorAll(outputs)].map(one => one.innerText).join('');
          const lines = text.split('\\n').filter(one => one.startsWith('line')).slice(0, count);
          return lines.length === count && lines.every((one, number) => one === `line ${number}`);
        }""",
        arg=count,
        timeout=90_000,
    )
