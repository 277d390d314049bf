"""Capacity in a real JupyterLab: the GPUs of this machine, SIMULATED, at the bottom of the panel."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.cluster import nvml
from tests.e2e import browser
from tests.e2e.lab import jupyterlab

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    *nvml.MARKS,
]


@pytest.fixture(scope="module")
def page(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A notebook whose cell holds one of four GPUs; somebody's process is on another one."""
    folder = tmp_path_factory.mktemp("capacity")
    os.environ.update(nvml.machine(folder / "nvml", count=4, busy=1))  # own_state puts back what was there
    with jupyterlab(folder) as lab:
        made = browser.notebook_of("%load_ext gpu_workbench", "%%gpu --gpus 1\n6 * 7")
        lab.write("capacity.ipynb", made, trusted=True)
        with browser.notebook_page(lab, folder, "capacity.ipynb") as page:
            page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-runs')")
            yield page


def capacity(page: Page) -> Locator:
    return page.get_by_role("region", name="Capacity")


def test_the_panel_counts_the_gpus_of_this_machine(page: Page) -> None:
    expect(capacity(page)).to_contain_text("3 of 4 free", timeout=30_000)
    expect(capacity(page)).to_contain_text("SIMULATED")
    expect(page.get_by_role("img", name="H200 141 GiB: 0 mine, 1 others, 3 free of 4")).to_be_visible()


def test_a_cell_that_gets_one_makes_it_mine(page: Page) -> None:
    browser.run_all(page)
    mine = page.get_by_role("img", name="H200 141 GiB: 1 mine, 1 others, 2 free of 4")
    expect(mine).to_be_visible(timeout=90_000)
    browser.picture(page, "capacity")
    page.evaluate(
        "() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
    )
    page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    browser.picture(page, "capacity-dark")


def test_it_is_folded_and_unfolded_by_keyboard(page: Page) -> None:
    fold = capacity(page).get_by_role("button", name="Capacity")
    fold.focus()
    page.keyboard.press("Enter")
    expect(fold).to_have_attribute("aria-expanded", "false")
    expect(capacity(page).get_by_role("img")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(capacity(page).get_by_role("img")).to_have_count(1)
    expect(capacity(page)).to_contain_text("2 of 4 free")


def test_nothing_was_complained_of(page: Page) -> None:
    assert browser.complaints(page) == []
