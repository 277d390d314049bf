"""A cell that waits for the only GPU of this machine, SIMULATED, is detached: it runs, and no notebook waits for it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.cluster import nvml
from tests.e2e import browser
from tests.e2e.browser import picture
from tests.e2e.lab import Lab, jupyterlab

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    *nvml.MARKS,
]

HOLDER = "%load_ext gpu_workbench\n%gpu start --session holder --gpus 1"
WAITS = "%%gpu --gpus 1 --name later --out answer\nanswer = 6 * 7"
LONG = "%%gpu --gpus 0 --name long\nimport time; time.sleep(600)"
BEHIND = "%%gpu --gpus 0 --name behind\n6 * 7"
LAST = "() => jupyterapp.shell.currentWidget.content.widgets.at(-1).model.sharedModel.getSource()"


@pytest.fixture(scope="module")
def lab(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("detach")
    os.environ.update(nvml.machine(folder / "nvml", count=1))  # own_state puts back what was there
    with jupyterlab(folder) as started:
        started.write(
            "waits.ipynb", browser.notebook_of(HOLDER, "%%gpu --session holder\n1", WAITS), trusted=True
        )
        started.write(
            "behind.ipynb", browser.notebook_of("%load_ext gpu_workbench", LONG, BEHIND), trusted=True
        )
        yield started


@pytest.fixture(scope="module")
def page(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser.notebook_page(lab, tmp_path_factory.mktemp("browser"), "waits.ipynb") as page:
        yield page


def shown(page: Page, selector: str) -> Locator:
    """In the notebook that is open."""
    return page.locator(f".jp-NotebookPanel:not(.lm-mod-hidden) {selector}")


def row(page: Page, name: str) -> Locator:
    return page.locator(".gpuw-Row").filter(has=page.locator(".gpuw-RowName", has_text=name))


def begin(page: Page, *cells: int) -> None:
    """Run cells, and do not wait for them."""
    for cell in cells:
        page.evaluate("cell => { jupyterapp.shell.currentWidget.content.activeCellIndex = cell; }", cell)
        page.evaluate("() => void jupyterapp.commands.execute('notebook:run-cell')")


def test_a_cell_that_waits_for_a_gpu_runs_without_its_notebook(page: Page) -> None:
    begin(page, 0, 1, 2)
    card = shown(page, ".gpuw-Card").filter(has_text="Queued")
    expect(card).to_contain_text("Waits for this machine's GPU", timeout=90_000)
    page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    page.reload()  # who comes back to a cell that waits has not run it from this page
    detach = card.get_by_role("button", name="Detach")
    expect(detach).to_be_visible(timeout=60_000)
    page.evaluate("() => jupyterapp.commands.execute('gpu-workbench:show-runs')")
    picture(page, "detach")
    detach.click()
    expect(shown(page, ".jp-OutputArea-output").last).to_contain_text("Sealed later", timeout=30_000)
    assert page.evaluate(LAST) == WAITS.replace("%%gpu", "%%gpu --detach")
    expect(card).to_have_count(0)
    expect(row(page, "default")).to_contain_text("stopped", timeout=30_000)
    expect(row(page, "later")).to_contain_text("queued")
    picture(page, "detach-sealed")
    page.get_by_role("button", name="Stop holder").click()
    expect(row(page, "later")).to_contain_text("succeeded", timeout=60_000)


def test_behind_another_run_the_session_and_that_run_stay(page: Page, lab: Lab) -> None:
    browser.open_notebook(page, lab, "behind.ipynb")
    begin(page, 0, 1)
    expect(shown(page, ".gpuw-Card")).to_contain_text("Running", timeout=60_000)
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    page.wait_for_function(browser.KERNEL_READY)
    begin(page, 0, 2)
    card = shown(page, ".gpuw-Card").filter(has_text="Queued")
    card.get_by_role("button", name="Detach").click(timeout=30_000)
    expect(shown(page, ".jp-OutputArea-output").last).to_contain_text("Sealed behind", timeout=30_000)
    assert page.evaluate(LAST) == BEHIND.replace("%%gpu", "%%gpu --detach")
    page.evaluate("() => jupyterapp.commands.execute('gpu-workbench:show-runs')")
    expect(row(page, "behind")).to_contain_text("succeeded", timeout=60_000)
    expect(row(page, "default").first).to_contain_text("long")


def test_nothing_was_complained_of(page: Page) -> None:
    assert browser.complaints(page) == []
