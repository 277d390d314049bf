"""The extension in Notebook 7, which has no layout to restore and no side bar that is open from the start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import browser
from tests.e2e.lab import jupyterlab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ITS_OWN = ("reading 'schema'", "[yjs#509]", "is duplicated")
"""What Notebook 7 complains of, with us or without."""


@pytest.fixture(scope="module")
def page(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A notebook in Notebook 7."""
    pytest.importorskip("notebook", reason="Notebook 7 is not installed")
    folder = tmp_path_factory.mktemp("notebook")
    with (
        jupyterlab(folder, application="notebook") as started,
        browser.browser(started, folder) as chromium,
        browser.page(chromium, width=1250) as page,
    ):
        made = browser.notebook_of("import time\nfor step in range(100):\n    print(step); time.sleep(0.2)")
        started.write("explore.ipynb", made, trusted=True)
        browser.open_notebook(page, started, "explore.ipynb")
        yield page


def test_a_cell_runs_on_gpu_by_the_button_and_is_live(page: Page) -> None:
    page.locator(".jp-Toolbar").get_by_role("button", name="GPU", exact=True).click()
    card = page.locator(".jp-Notebook .gpuw-Card")
    expect(card).to_contain_text("Running", timeout=90_000)
    expect(card.get_by_role("button", name="Stop")).to_be_visible(timeout=30_000)
    sources = "() => [...jupyterapp.shell.currentWidget.content.model.cells].map(one => one.sharedModel.getSource())"
    assert [source.splitlines()[0] for source in page.evaluate(sources)] == [
        "%load_ext gpu_workbench",
        "%%gpu",
    ]


def test_the_panel_is_in_the_left_area(page: Page) -> None:
    page.evaluate("() => window.jupyterapp.commands.execute('gpu-workbench:show-runs')")
    row = page.locator(".gpuw-Panel .gpuw-Row")
    expect(row).to_contain_text("explore.ipynb", timeout=30_000)
    expect(page.get_by_role("button", name="This notebook")).to_be_enabled()
    browser.picture(page, "notebook-7")
    row.hover()
    row.get_by_role("button", name="Stop").click()
    expect(page.locator(".gpuw-Group").first).to_have_text("Today · 1", timeout=30_000)


def test_nothing_of_ours_was_complained_of(page: Page) -> None:
    complaints = browser.complaints(page)
    assert not [text for text in complaints if not any(known in text for known in ITS_OWN)]
