"""What can be done with runs in a real JupyterLab: by button, key, palette and panel; and what is said by itself."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import Locator, Page, expect

from tests.e2e import browser
from tests.e2e.browser import picture
from tests.e2e.lab import Lab, jupyterlab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SOURCES = (
    "() => [...jupyterapp.shell.currentWidget.content.model.cells].map(one => one.sharedModel.getSource())"
)
ACTIVE = "() => jupyterapp.shell.currentWidget.content.activeCellIndex"
SECONDS = 9
"""After which a run is a long one here."""

KNOWN = ("Could not restore the debugger state", "status of 404")
"""What JupyterLab complains of when a kernel is started anew, and the browser when a notebook is not there any more."""

WITHOUT_US = """
import sys
sys.path[:] = [path for path in sys.path if not path.endswith("/workbench")]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(finder).lower()]
from ipykernel.kernelapp import launch_new_instance
launch_new_instance()
"""
"""A kernel in whose environment our package is not."""


@pytest.fixture(scope="module")
def lab(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    ours = {"@gpu-workbench/labextension/settings": {"notifyAfter": SECONDS / 60}}
    with jupyterlab(tmp_path_factory.mktemp("commands"), settings=ours) as started:
        write(started, "explore.ipynb", "# Explore", "print('from', 6 * 7)", "%%time\n1")
        write(started, "long.ipynb", "# Long", f"import time; time.sleep({SECONDS + 1})")
        write(started, "other.ipynb", "# Other", "1 + 1")
        bare = started.data / "kernels" / "bare"
        bare.mkdir(parents=True)
        argv = [sys.executable, "-c", WITHOUT_US, "-f", "{connection_file}"]
        spec = {"argv": argv, "display_name": "Bare", "language": "python"}
        (bare / "kernel.json").write_text(json.dumps(spec))
        write(started, "bare.ipynb", "# Bare", "1 + 1", kernel="bare")
        yield started


def write(lab: Lab, path: str, title: str, *cells: str, kernel: str = "python3") -> None:
    made = [new_markdown_cell(title), *map(new_code_cell, cells)]
    spec = {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}}
    lab.write(path, new_notebook(cells=made, metadata=spec), trusted=True)


@pytest.fixture(scope="module")
def page(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("browser")
    with browser.browser(lab, folder) as started, browser.page(started, width=1250) as page:
        yield page


def command(page: Page, name: str, **arguments: str) -> None:
    """Begin a command; what it does is awaited where it shows."""
    page.evaluate("([name, args]) => void window.jupyterapp.commands.execute(name, args)", [name, arguments])


def activate(page: Page, cell: int) -> None:
    page.evaluate("cell => { jupyterapp.shell.currentWidget.content.activeCellIndex = cell; }", cell)


def save(page: Page) -> None:
    page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")


def close_all(page: Page) -> None:
    save(page)
    command(page, "application:close-all")
    expect(page.locator(".jp-NotebookPanel")).to_have_count(0)


def button(page: Page) -> Locator:
    return page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Toolbar").get_by_role(
        "button", name="GPU", exact=True
    )


def outputs(page: Page) -> Locator:
    return page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-OutputArea-output")


def toasts(page: Page) -> Locator:
    return page.locator(".Toastify__toast")


def dismiss(page: Page) -> None:
    for hide in page.get_by_role("button", name="Hide notification").all():
        hide.click()
    expect(toasts(page)).to_have_count(0)


def test_the_button_adds_the_magic_and_the_line_that_loads_it(page: Page, lab: Lab) -> None:
    browser.open_notebook(page, lab, "explore.ipynb")
    activate(page, 1)
    expect(button(page)).to_be_enabled()
    button(page).click()
    expect(outputs(page).filter(has_text="from 42")).to_be_visible(timeout=90_000)
    assert page.evaluate(SOURCES) == [
        "# Explore",
        "%load_ext gpu_workbench",
        "%%gpu\nprint('from', 6 * 7)",
        "%%time\n1",
    ]
    assert page.evaluate(ACTIVE) == 2
    picture(page, "toolbar")


def test_a_cell_with_another_magic_is_left_as_it_is(page: Page) -> None:
    before = page.evaluate(SOURCES)
    activate(page, 3)
    button(page).click()
    expect(toasts(page)).to_contain_text("has the magic %%time")
    assert page.evaluate(SOURCES) == before
    picture(page, "toolbar-refused")
    dismiss(page)
    activate(page, 0)
    expect(button(page)).to_be_disabled()


def test_tomorrow_a_fresh_kernel_learns_it_from_the_button_too(page: Page) -> None:
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    page.wait_for_function(browser.KERNEL_READY)
    page.evaluate("() => jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    before = page.evaluate(SOURCES)
    activate(page, 2)
    page.locator(".jp-Notebook .jp-Cell.jp-mod-active").focus()
    page.keyboard.press("Control+Shift+Enter")
    expect(outputs(page).filter(has_text="from 42")).to_be_visible(timeout=60_000)
    assert page.evaluate(SOURCES) == before
    save(page)


def test_a_kernel_without_the_package_is_said_and_nothing_changes(page: Page, lab: Lab) -> None:
    browser.open_notebook(page, lab, "bare.ipynb")
    activate(page, 1)
    button(page).click()
    expect(toasts(page)).to_contain_text("%pip install jupyter-gpu-workbench")
    assert page.evaluate(SOURCES) == ["# Bare", "1 + 1"]
    dismiss(page)


def test_what_there_is_stands_in_the_palette(page: Page) -> None:
    command(page, "apputils:activate-command-palette")
    page.locator(".lm-CommandPalette-input").fill("gpu workbench")
    found = page.locator(".lm-CommandPalette-item")
    for label in (
        "Run Cell on GPU",
        "Show GPU Runs",
        "Stop the GPU Run of This Cell",
        "Detach the GPU Run of This Cell",
        "Attach a GPU Run Here…",
    ):
        expect(found.filter(has_text=label)).to_be_attached()
    expect(found.filter(has_text="Run Cell on GPU")).to_be_visible()
    expect(found.filter(has_text="Stop the GPU Run of This Cell")).to_be_hidden()  # there is none to stop
    picture(page, "palette")
    page.keyboard.press("Escape")


def test_a_key_shows_the_panel(page: Page) -> None:
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    page.keyboard.press("Alt+Shift+G")
    expect(page.locator(".gpuw-Panel")).to_be_visible()
    expect(page.locator(".gpuw-Row").first).to_contain_text("explore.ipynb")


def test_a_long_run_gives_one_notice_however_many_tabs_there_are(page: Page, lab: Lab) -> None:
    browser.open_notebook(page, lab, "long.ipynb")
    other: Any = page.context.new_page()
    browser.open_notebook(other, lab, "other.ipynb")
    page.bring_to_front()
    activate(page, 1)
    button(page).click()
    until = time.monotonic() + 90
    while not (found := [one for one in (page, other) if toasts(one).count()]):
        assert time.monotonic() < until
        page.wait_for_timeout(100)
    page.wait_for_timeout(1500)  # for a second notice that must not come
    assert toasts(page).count() + toasts(other).count() == 1
    expect(toasts(found[0])).to_contain_text("long.ipynb [2] is done after")
    expect(toasts(found[0]).get_by_role("button", name="Open")).to_be_visible()
    picture(found[0], "notice")
    save(page)
    other.close()


def test_the_panel_opens_the_notebook_at_the_cell(page: Page) -> None:
    dismiss(page)
    close_all(page)
    row = page.locator(".gpuw-Row").filter(has_text="explore.ipynb")
    browser.press_in_row(page, row, "Notebook")
    page.wait_for_function(f"() => ({ACTIVE})() === 2")
    expect(page.locator(".jp-NotebookPanel .jp-Cell.jp-mod-active")).to_contain_text("%%gpu")
    chip = page.get_by_role("button", name="This notebook")
    chip.click()
    expect(page.locator(".gpuw-Row")).to_have_count(1)
    picture(page, "panel-this-notebook")
    chip.click()


def test_a_notebook_that_has_gone_is_said(page: Page, lab: Lab) -> None:
    (lab.root / "long.ipynb").rename(lab.root / "renamed.ipynb")
    row = page.locator(".gpuw-Row").filter(has_text="long.ipynb")
    row.hover()
    row.get_by_role("button", name="Notebook").click()
    expect(toasts(page)).to_contain_text("long.ipynb is not there any more")
    dismiss(page)


def test_a_run_is_attached_below_the_active_cell(page: Page, lab: Lab) -> None:
    browser.open_notebook(page, lab, "other.ipynb")
    activate(page, 1)
    row = page.locator(".gpuw-Row").filter(has_text="explore.ipynb")
    browser.press_in_row(page, row, "Attach")
    page.wait_for_function(f"() => ({SOURCES})().length === 4")
    sources = page.evaluate(SOURCES)
    assert sources[:3] == ["# Other", "%load_ext gpu_workbench", "1 + 1"]
    assert sources[3].startswith("%gpu attach ")
    expect(outputs(page).filter(has_text="runs in this session now")).to_be_visible(timeout=30_000)
    expect(outputs(page).filter(has_text="from 42").first).to_be_visible(timeout=30_000)
    picture(page, "attached")


def test_without_a_notebook_the_line_is_copied(page: Page) -> None:
    close_all(page)
    row = page.locator(".gpuw-Row").first
    row.hover()
    row.get_by_role("button", name="Attach").click()
    expect(toasts(page)).to_contain_text("No notebook is open")
    dismiss(page)


def test_one_who_comes_back_is_told_what_has_ended(page: Page, lab: Lab) -> None:
    browser.open_notebook(page, lab, "renamed.ipynb")
    activate(page, len(page.evaluate(SOURCES)) - 1)
    button(page).click()
    command(page, "gpu-workbench:show-runs")
    row = page.locator(".gpuw-Row").filter(has_text="renamed.ipynb")
    expect(row).to_have_attribute("aria-label", re.compile("Busy"), timeout=60_000)
    page.goto("about:blank")
    time.sleep(SECONDS + 4)  # away, while it ends
    page.goto(lab.address("other.ipynb"))
    command_when_ready(page, "gpu-workbench:show-runs")
    since = page.get_by_role("button", name="Since you left: 1 done")
    expect(since).to_be_visible(timeout=60_000)
    since.click()
    expect(page.locator(".gpuw-Row")).to_have_count(1)
    expect(page.locator(".gpuw-Row")).to_contain_text("renamed.ipynb")
    picture(page, "since")
    page.get_by_role("button", name="Dismiss").click()
    expect(since).to_be_hidden()


def command_when_ready(page: Page, name: str) -> None:
    page.wait_for_function("name => window.jupyterapp?.commands.hasCommand(name)", arg=name, timeout=60_000)
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60_000)
    command(page, name)


def test_the_button_can_be_put_away(page: Page) -> None:
    expect(button(page)).to_be_visible()
    set_it = """value => window.jupyterapp.serviceManager.settings.save(
      '@gpu-workbench/labextension:settings', JSON.stringify({toolbarButton: value}))"""
    page.evaluate(set_it, False)
    page.reload()
    page.wait_for_selector(".jp-NotebookPanel [data-command='notebook:interrupt-kernel']", timeout=60_000)
    expect(button(page)).to_be_hidden()


def test_nothing_was_complained_of(page: Page) -> None:
    complaints = browser.complaints(page)
    assert not [text for text in complaints if not any(known in text for known in KNOWN)]
