"""Several ranks in a real JupyterLab: their table, the log of each, and the one that failed first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e import browser
from tests.e2e.browser import picture
from tests.e2e.lab import Lab, jupyterlab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LIMIT = 90_000
"""Milliseconds for what has to wait for kernels."""

GOES_ON = """%%gpu --nodes 2 --nproc-per-node 2 --gpus 0 --name together
import os, time
from tqdm import tqdm
rank = int(os.environ["RANK"])
for step in tqdm(range(60 + 20 * rank), desc=f"rank {rank}"):
    time.sleep(0.25)
    if step % 10 == 0:
        tqdm.write(f"rank {rank} is at {step}")"""
FAILS = """%%gpu --name failing
import time
time.sleep(1)
if rank == 2:
    raise ValueError("rank 2 has no data")
time.sleep(60)"""


@pytest.fixture(scope="module")
def lab(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with jupyterlab(tmp_path_factory.mktemp("ranks")) as started:
        made = browser.notebook_of("%load_ext gpu_workbench", GOES_ON, FAILS)
        started.write("ranks.ipynb", made, trusted=True)
        yield started


@pytest.fixture(scope="module")
def page(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser.notebook_page(lab, tmp_path_factory.mktemp("browser"), "ranks.ipynb") as page:
        page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        yield page


def card(page: Page, name: str) -> Locator:
    return page.locator(f".jp-Notebook .gpuw-Card[aria-label*='{name}']")


def row(page: Page, name: str, rank: int) -> Locator:
    rows = card(page, name).locator(".gpuw-Ranks tbody tr")
    return rows.filter(has=page.locator("strong", has_text=str(rank)))


def test_every_rank_says_how_far_it_is_and_its_log_is_a_click_away(page: Page) -> None:
    going = card(page, "together")
    going.get_by_role("button", name="Ranks", exact=True).click(timeout=LIMIT)
    expect(row(page, "together", 3)).to_contain_text("rank 3:", timeout=LIMIT)
    picture(page, "ranks-going")
    going.get_by_role("button", name="Log of rank 3").click()
    log = page.locator(".gpuw-Document:visible")
    expect(log.locator(".gpuw-LogRow", has_text="rank 3 is at 10").first).to_be_visible(timeout=LIMIT)
    picture(page, "ranks-log")
    expect(log).not_to_contain_text("rank 0 is at")
    page.locator(".lm-TabBar-tab", has_text="ranks.ipynb").first.click()


def test_the_rank_that_failed_stands_first_and_the_others_say_who_stopped_them(page: Page) -> None:
    failed = card(page, "failing")
    expect(failed).to_contain_text("ValueError: rank 2 has no data", timeout=LIMIT)
    rows = failed.locator(".gpuw-Ranks tbody tr")
    expect(rows.first).to_contain_text("2")
    expect(rows.first).to_contain_text("Failed")
    expect(failed.locator(".gpuw-Ranks")).to_contain_text("stopped by rank 2")
    failed.scroll_into_view_if_needed()
    picture(page, "ranks-failed")
    page.evaluate(
        "() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
    )
    page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    picture(page, "ranks-failed-dark")
