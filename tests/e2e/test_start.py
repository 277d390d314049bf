"""The form that starts a session: without knowing a flag to a session that a notebook uses by its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e import browser
from tests.e2e.browser import PICTURES
from tests.e2e.lab import Lab, jupyterlab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PROFILES = """
profiles:
  h200: {gpus: h200:8, memory: 64Gi, idle-limit: 30m}
"""


@pytest.fixture(scope="module")
def lab(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with jupyterlab(tmp_path_factory.mktemp("start")) as started:
        (started.root / "gpu-workbench.yaml").write_text(PROFILES)
        (started.root / "study").mkdir()
        made = browser.notebook_of(
            "%load_ext gpu_workbench",
            "%%gpu --session explore\nimport os; print('in', os.path.basename(os.getcwd()))",
        )
        started.write("study/use.ipynb", made, trusted=True)
        yield started


@pytest.fixture(scope="module")
def page(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser.notebook_page(lab, tmp_path_factory.mktemp("browser"), "study/use.ipynb") as page:
        page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-runs')")
        yield page


def form(page: Page) -> Locator:
    return page.get_by_role("region", name="New session")


def picture(page: Page, name: str) -> None:
    """Keep what a person would see, in both themes, to be looked at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for theme in ("Dark", "Light"):
        page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})",
            f"JupyterLab {theme}",
        )
        light = str(theme == "Light").lower()
        page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")
        page.wait_for_selector("#jupyterlab-splash", state="detached")
        page.screenshot(path=PICTURES / f"{name}-{theme.lower()}.png")


def test_the_form_says_what_it_asks_for(page: Page) -> None:
    page.get_by_role("button", name="+ New").click()
    expect(form(page)).to_contain_text("Would start a session 'gpu-1' on this machine: 1 GPU")
    expect(form(page).get_by_label("Name")).to_be_focused()
    picture(page, "start-empty")
    form(page).get_by_label("Profile").select_option("h200")
    expect(form(page)).to_contain_text("Would start a session 'gpu-1' on this machine: 8 h200, 64 GiB memory")
    expect(form(page)).to_contain_text("Ends by itself after 30 min")


def test_what_is_wrong_stands_beside_its_field(page: Page) -> None:
    form(page).get_by_label("Memory", exact=True).fill("a lot")
    form(page).get_by_label("Idle limit").fill("soon")
    form(page).get_by_role("button", name="Start").click()
    memory = form(page).get_by_label("Memory", exact=True)
    expect(memory).to_be_focused()
    expect(memory).to_have_accessible_description(re.compile("'a lot' is not an amount of memory"))
    expect(form(page).locator("[data-field=idle_limit]")).to_contain_text("'soon' is not a duration")
    picture(page, "start-wrong")
    memory.fill("")
    form(page).get_by_label("Idle limit").fill("")
    expect(form(page)).not_to_contain_text("is not a")


def test_escape_closes_it_and_nothing_typed_is_lost(page: Page) -> None:
    form(page).get_by_label("Name").fill("explore")
    page.keyboard.press("Escape")
    expect(form(page)).to_be_hidden()
    expect(page.get_by_role("button", name="+ New")).to_be_focused()
    page.keyboard.press("Enter")
    expect(form(page).get_by_label("Name")).to_have_value("explore")


def test_a_session_is_started_and_a_notebook_uses_it(page: Page) -> None:
    form(page).get_by_label("Profile").select_option("default")
    form(page).get_by_label("GPUs", exact=True).fill("0")
    expect(form(page)).to_contain_text("Would start a session 'explore' on this machine: 0 GPUs")
    page.keyboard.press("Enter")
    expect(form(page)).to_contain_text("%%gpu --session explore")
    expect(form(page).get_by_role("button", name="Copy")).to_be_focused()
    row = page.locator(".gpuw-Panel .gpuw-Row").first
    expect(row).to_contain_text("explore")
    expect(row).to_contain_text("idle", timeout=60_000)
    picture(page, "start-done")
    form(page).get_by_role("button", name="Close").click()
    browser.run_all(page)
    written = page.locator(".jp-Notebook .jp-OutputArea")
    expect(written.filter(has_text="which any notebook may use").first).to_be_visible(timeout=60_000)
    expect(written.filter(has_text="in study").first).to_be_visible()


def test_the_name_is_taken_until_it_is_stopped(page: Page) -> None:
    page.get_by_role("button", name="+ New").click()
    form(page).get_by_label("Name").fill("explore")
    form(page).get_by_role("button", name="Start").click()
    expect(form(page)).to_contain_text("There is a session 'explore' already")
    page.get_by_role("button", name="Stop explore").click()
    expect(page.locator(".gpuw-Panel .gpuw-Group:visible", has_text="Today · 1")).to_be_visible(
        timeout=30_000
    )


def test_it_is_usable_in_a_narrow_panel(page: Page) -> None:
    page.set_viewport_size({"width": 700, "height": 900})
    form(page).get_by_text("More").click()
    wide = "node => node.scrollWidth <= node.clientWidth"
    assert page.locator(".gpuw-Panel").evaluate(wide)
    picture(page, "start-narrow")


def test_it_is_usable_with_a_screen_reader(page: Page) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed; `make setup`")
    page.add_script_tag(path=AXE)
    found = page.evaluate("() => axe.run(document.querySelector('.gpuw-Start'))")
    serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    assert serious == []


def test_nothing_was_complained_of(page: Page) -> None:
    refused = [one for one in browser.complaints(page) if "status of 400" in one]
    assert [one for one in browser.complaints(page) if one not in refused] == []
