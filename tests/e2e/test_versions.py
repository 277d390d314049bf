"""Page, server and kernel of different versions, and a server without our extension: what is shown then, and said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from playwright.sync_api import Browser, Page, Route, expect

from gpu_workbench.__about__ import __version__
from gpu_workbench.core.spec import MIME_TYPE
from gpu_workbench.surfaces import view
from tests.e2e import browser
from tests.e2e.browser import picture
from tests.e2e.lab import Lab, jupyterlab
from tests.unit.surfaces.view.states import states

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

MISSING = "The Jupyter server has no extension of GPU Workbench"
ENABLE = "jupyter server extension enable gpu_workbench"


@pytest.fixture(scope="module")
def lab(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab with our extension whose server has none."""
    with jupyterlab(tmp_path_factory.mktemp("versions"), server=False) as started:
        write(started, "running.ipynb", package=__version__)
        write(started, "newer.ipynb", version=2, package="9.1.0")
        write(started, "kernel.ipynb", package="9.1.0")
        yield started


@pytest.fixture(scope="module")
def chromium(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser.browser(lab, tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with browser.page(chromium, width=1250) as page:
        yield page


def write(lab: Lab, name: str, *, package: str, version: int = 1) -> None:
    """A trusted notebook with the view of a run that goes on."""
    found = next(state.found for state in states() if state.title == "running, 1 GPU")
    data, metadata = view.bundle(replace(found, version=version, package=package), final=False)
    output = new_output("display_data", data=data, metadata=metadata)
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    cells = [new_code_cell("", outputs=[output])]
    lab.write(name, new_notebook(cells=cells, metadata={"kernelspec": kernel}), trusted=True)


def panel(page: Page) -> None:
    page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-runs')")


def hello(page: Page, **members: object) -> None:
    """The server's extension is there, as far as its greeting goes."""

    def answer(route: Route) -> None:
        form = {"version": __version__, "wire": 1, "may": {"act": True, "start": True}, **members}
        route.fulfill(status=200, body=json.dumps(form))

    page.route("**/gpu-workbench/api/hello*", answer)


def test_without_the_servers_extension_the_snapshot_is_drawn_and_it_says_how_to_enable_it(
    lab: Lab, page: Page
) -> None:
    browser.open_notebook(page, lab, "running.ipynb", kernel=False)
    card = page.locator(".jp-Notebook .gpuw-Card")
    expect(card).to_contain_text("Running")
    expect(card).to_contain_text(f"Not live: {MISSING}")
    expect(card).to_contain_text(ENABLE)
    expect(card.get_by_role("button", name="Stop")).to_have_count(0)
    panel(page)
    expect(page.locator(".gpuw-Panel")).to_contain_text(ENABLE)
    expect(page.get_by_role("button", name="+ New")).to_be_hidden()
    picture(page, "versions-no-server")
    assert all("status of 404" in one for one in browser.complaints(page))


def test_a_view_of_a_newer_version_is_shown_as_text(lab: Lab, page: Page) -> None:
    browser.open_notebook(page, lab, "newer.ipynb", kernel=False)
    output = page.locator(".jp-Notebook .gpuw-Output")
    expect(output).to_contain_text(f"A newer gpu-workbench 9.1.0 made this view, and here is {__version__}")
    expect(output.locator("pre")).to_contain_text("● Running")
    picture(page, "versions-newer-view")


def test_a_page_that_its_server_does_not_understand_is_to_be_loaded_again(lab: Lab, page: Page) -> None:
    hello(page, version="9.1.0", wire=2)
    browser.open_notebook(page, lab, "running.ipynb", kernel=False)
    panel(page)
    said = f"This page has gpu-workbench {__version__}, its server 9.1.0. They do not understand each other. Reload the page"
    expect(page.locator(".gpuw-Panel")).to_contain_text(said)
    expect(page.locator(".jp-Notebook .gpuw-Card")).to_contain_text("Reload the page")
    expect(page.get_by_role("button", name="+ New")).to_be_hidden()
    picture(page, "versions-reload")


def test_a_newer_kernel_is_said_once_in_the_panel(lab: Lab, page: Page) -> None:
    hello(page)
    browser.open_notebook(page, lab, "kernel.ipynb", kernel=False)
    panel(page)
    said = f"The notebook's kernel has gpu-workbench 9.1.0, this Jupyter server {__version__}"
    expect(page.get_by_text(said)).to_have_count(1)
    picture(page, "versions-kernel")


def test_the_bundle_says_which_version_made_it() -> None:
    found = next(state.found for state in states() if state.title == "running, 1 GPU")
    data, _ = view.bundle(found, final=False)
    assert data[MIME_TYPE]["package"] == __version__  # type: ignore[index,call-overload]
