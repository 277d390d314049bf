"""The server is restarted in mid-run, or cannot be reached for a while: the view is alive again, and no line is missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e import browser
from tests.e2e.browser import picture
from tests.e2e.lab import Lab, jupyterlab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

OFFLINE = 30_000
"""Milliseconds."""

STEPS = """%%gpu --name steps
import time
for step in range(3000):
    print("line", step, flush=True)
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def lab(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with jupyterlab(tmp_path_factory.mktemp("away")) as started:
        made = browser.notebook_of("%load_ext gpu_workbench", STEPS)
        started.write("away.ipynb", made, trusted=True)
        yield started


@pytest.fixture(scope="module")
def page(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser.notebook_page(lab, tmp_path_factory.mktemp("browser"), "away.ipynb") as page:
        page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-runs')")
        page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        yield page


def card(page: Page) -> Locator:
    return page.locator(".jp-Notebook .gpuw-Card")


def lines(page: Page) -> list[int]:
    """Numbers of the lines below the cell, in the order in which they stand there."""
    written = page.locator(
        ".jp-Notebook .jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stdout']"
    )
    words = [line.split() for text in written.all_inner_texts() for line in text.splitlines()]
    return [int(number) for line, number in words if line == "line"]


def see_line(page: Page, number: int) -> None:
    page.wait_for_function(
        "line => document.querySelector('.jp-Notebook').innerText.includes(line)",
        arg=f"line {number}\n",
        timeout=90_000,
    )


def test_offline_for_half_a_minute_it_says_so_and_misses_nothing(lab: Lab, page: Page) -> None:
    expect(card(page)).to_contain_text("Running", timeout=90_000)
    see_line(page, 20)
    lab.way.cut()
    panel = page.locator(".gpuw-Panel")
    expect(panel).to_contain_text("The server does not answer", timeout=20_000)
    expect(card(page)).to_contain_text("last seen", timeout=20_000)
    page.wait_for_timeout(OFFLINE)
    picture(page, "offline")
    before = lines(page)[-1]
    lab.way.mend()
    expect(panel).not_to_contain_text("The server does not answer", timeout=60_000)
    expect(card(page)).not_to_contain_text("last seen", timeout=60_000)
    see_line(page, before + 400)
    found = lines(page)
    assert found == list(range(found[-1] + 1))


def test_after_its_server_was_restarted_it_is_live_again(lab: Lab, page: Page) -> None:
    last = lines(page)[-1]
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    lab.end()  # and its kernels with it
    expect(card(page)).to_contain_text("last seen", timeout=20_000)
    lab.start()
    expect(card(page)).not_to_contain_text("last seen", timeout=60_000)
    expect(card(page)).to_contain_text("Running")
    see_line(page, last + 200)
    picture(page, "restarted")
    button = card(page).get_by_role("button", name="Stop").element_handle()
    assert button is not None
    see_line(page, lines(page)[-1] + 60)  # the cell is written anew twice and more
    assert button.is_visible(), "what a person is about to press stays where it is"
    found = lines(page)
    assert found == list(range(found[-1] + 1))
    page.locator(".jp-Dialog button").first.click()  # JupyterLab says that its server was away
    card(page).get_by_role("button", name="Stop").click()
    expect(card(page)).to_contain_text("Stopped", timeout=60_000)
