"""One notebook in two tabs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e import browser
from tests.e2e.lab import Lab, jupyterlab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

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
