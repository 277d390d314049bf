"""The extension in a real JupyterLab: a run is live in its cell and in the panel, also after the page was loaded again."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator

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
LINES = 200
COUNTED = f"""%%gpu --name counted
import time
for number in range({LINES}):
    print("line", number, flush=True)
    time.sleep(0.05)
print("the end")
"""


@pytest.fixture(scope="module")
def lab(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with jupyterlab(tmp_path_factory.mktemp("live")) as started:
        load = "%load_ext gpu_workbench\nimport os; print('kernel', os.getpid())"
        made = browser.notebook_of(load, STEPS, COUNTED)
        started.write("live.ipynb", made, trusted=True)
        yield started


@pytest.fixture(scope="module")
def page(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser.notebook_page(lab, tmp_path_factory.mktemp("browser"), "live.ipynb") as page:
        browser.run_cell(page, 0)
        browser.run_cell(page, 1)
        yield page


def card(page: Page) -> Locator:
    return page.locator(".jp-Notebook .gpuw-Card").first


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


def test_its_buttons_and_folds_are_reached_and_pressed_by_keys_alone(page: Page) -> None:
    cell, shown = page.locator(".jp-Notebook .jp-Cell").nth(1), card(page)
    fold = shown.locator(".gpuw-Fold:visible").first
    cell.focus()  # where JupyterLab's own keys lead
    browser.reach(page, shown.get_by_role("button", name="Logs"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab", name="Log of steps")).to_be_visible()
    page.keyboard.press("Control+Shift+BracketLeft")  # the tab before
    cell.focus()
    browser.reach(page, fold)
    page.keyboard.press("Space")
    expect(fold).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Enter")
    expect(fold).to_have_attribute("aria-expanded", "false")
    browser.reach(page, shown.get_by_role("button", name="Stop"), key="Shift+Tab")
    page.keyboard.press("Enter")


def test_its_own_stop_button_has_interrupted_the_cell_and_the_session_stays(page: Page) -> None:
    expect(card(page)).to_contain_text("Stopped", timeout=60_000)
    page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-runs')")
    expect(page.locator(".gpuw-Panel .gpuw-Row").first).to_contain_text("idle", timeout=30_000)
    expect(page.locator(".jp-Notebook .jp-OutputArea").nth(1)).to_contain_text(
        "KeyboardInterrupt", timeout=30_000
    )
    picture(page, "live-interrupted")


def test_an_idle_session_is_kept_from_its_row(page: Page) -> None:
    row = page.locator(".gpuw-Panel .gpuw-Row").first
    figure = row.locator(".gpuw-RowHead > .gpuw-Quiet")
    expect(figure).to_have_text(re.compile(r"^idle · ends in (1 h|\d+ min)$"))
    row.get_by_role("button", name="Keep default").focus()
    picture(page, "live-idle")
    page.keyboard.press("Enter")
    expect(figure).to_have_text(re.compile(r"^idle · ends in (2 h|1 h 59 min)$"))


def kill(page: Page) -> None:
    """As a machine without memory does; JupyterLab says that it starts another kernel."""
    said = page.locator(".jp-Notebook .jp-OutputArea").first.inner_text()
    os.kill(int(said.split()[-1]), signal.SIGKILL)
    page.locator(".jp-Dialog button").first.click(timeout=60_000)


def restart(page: Page) -> None:
    """As its menu does."""
    page.evaluate("() => void window.jupyterapp.commands.execute('kernelmenu:restart')")
    page.get_by_role("button", name="Confirm Kernel Restart").click()


@pytest.mark.parametrize("end", [kill, restart], ids=["killed", "restarted"])
def test_when_its_kernel_ends_the_output_goes_on_to_its_end(page: Page, end: Callable[[Page], None]) -> None:
    page.wait_for_function(browser.KERNEL_READY, timeout=60_000)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    browser.run_cell(page, 0)
    browser.run_cell(page, 2)
    cell = page.locator(".jp-Notebook .jp-Cell").nth(2)
    expect(cell.locator(".gpuw-Card")).to_contain_text("Running", timeout=60_000)  # it is saved from then on
    assert browser.printed(cell)[-1] != "the end"
    end(page)
    expect(cell.locator(".gpuw-Card")).to_contain_text("Succeeded", timeout=60_000)
    expect(cell.locator(".jp-OutputArea")).to_contain_text("the end", timeout=30_000)
    assert browser.printed(cell) == [*(f"line {number}" for number in range(LINES)), "the end"]
    picture(page, "live-without-kernel")


def test_it_is_stopped_from_the_panel(page: Page) -> None:
    browser.press_in_row(page, page.locator(".gpuw-Row").first, "Stop")
    expect(page.locator(".gpuw-Panel .gpuw-Group:visible").first).to_have_text("Today · 1", timeout=30_000)
    picture(page, "live-stopped")


def test_nothing_was_complained_of(page: Page) -> None:
    assert browser.complaints(page) == []
