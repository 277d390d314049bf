"""The extension in a real JupyterLab: a run is live in its cell and in the panel, also after the page was loaded again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e import browser
from tests.e2e.browser import picture
from tests.e2e.lab import Lab, jupyterlab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

STEPS = """%%gpu --name steps
import time
from tqdm import tqdm
for step in tqdm(range(3000), desc="step"):
    if step % 10 == 0:
        print("line", step, flush=True)
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def lab(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with jupyterlab(tmp_path_factory.mktemp("live")) as started:
        made = browser.notebook_of("%load_ext gpu_workbench\nimport os; print('kernel', os.getpid())", STEPS)
        started.write("live.ipynb", made, trusted=True)
        yield started


@pytest.fixture(scope="module")
def page(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser.notebook_page(lab, tmp_path_factory.mktemp("browser"), "live.ipynb") as page:
        page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        yield page


def card(page: Page) -> Locator:
    return page.locator(".jp-Notebook .gpuw-Card")


def test_a_run_is_live_in_its_cell(page: Page) -> None:
    expect(card(page)).to_contain_text("Running", timeout=90_000)
    expect(card(page)).to_contain_text("step", timeout=60_000)
    share = card(page).locator("progress")
    before = float(share.get_attribute("value") or 0)
    page.wait_for_function(
        "before => Number(document.querySelector('.gpuw-Card progress').value) > before + 1", arg=before
    )
    expect(card(page).get_by_role("button", name="Stop")).to_be_visible()


def test_it_is_in_the_panel_too(page: Page) -> None:
    page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-runs')")
    row = page.locator(".gpuw-Panel .gpuw-Row").first
    expect(row).to_contain_text("default")
    expect(page.locator(".gpuw-Panel .gpuw-Group:visible").first).to_have_text("Running · 1")
    page.wait_for_timeout(1500)
    picture(page, "live")
    page.evaluate(
        "() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
    )
    page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    picture(page, "live-dark")
    page.evaluate(
        "() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})"
    )


def test_after_the_page_is_loaded_again_it_is_live_again(page: Page) -> None:
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.reload()
    expect(card(page)).to_contain_text("Running", timeout=60_000)
    share = card(page).locator("progress")
    expect(share).to_be_visible(timeout=30_000)
    before = float(share.get_attribute("value") or 0)
    page.wait_for_function(
        "before => Number(document.querySelector('.gpuw-Card progress')?.value) > before", arg=before
    )
    picture(page, "live-again")
    written = page.locator(
        ".jp-Notebook .jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stdout']"
    )
    for line in ("line 0", "line 10", "line 150"):  # from its beginning, and on while it runs
        expect(written.filter(has_text=line).first).to_be_visible(timeout=60_000)


def test_its_own_stop_button_interrupts_the_cell_and_the_session_stays(page: Page) -> None:
    card(page).get_by_role("button", name="Stop").click()
    expect(card(page)).to_contain_text("Stopped", timeout=60_000)
    page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-runs')")
    expect(page.locator(".gpuw-Panel .gpuw-Row").first).to_contain_text("idle", timeout=30_000)
    expect(page.locator(".jp-Notebook .jp-OutputArea").last).to_contain_text(
        "KeyboardInterrupt", timeout=30_000
    )
    picture(page, "live-interrupted")


def test_when_the_kernel_is_killed_its_output_goes_on(page: Page) -> None:
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    written = page.locator(
        ".jp-Notebook .jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stdout']"
    )
    expect(written.filter(has_text="line 20").first).to_be_visible(timeout=60_000)
    said = page.locator(".jp-Notebook .jp-OutputArea").first.inner_text()
    os.kill(int(said.split()[-1]), signal.SIGKILL)
    page.locator(".jp-Dialog button").first.click(
        timeout=60_000
    )  # JupyterLab says that it starts another kernel
    expect(written.filter(has_text="line 100").first).to_be_visible(timeout=60_000)
    expect(written.filter(has_text="line 20").first).to_be_visible()
    picture(page, "live-without-kernel")


def test_it_is_stopped_from_the_panel(page: Page) -> None:
    page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-runs')")
    page.get_by_role("button", name="Stop default").click()
    expect(page.locator(".gpuw-Panel .gpuw-Group:visible").first).to_have_text("Today · 1", timeout=30_000)
    picture(page, "live-stopped")


def test_nothing_was_complained_of(page: Page) -> None:
    assert not page.complaints, page.complaints  # type: ignore[attr-defined]
