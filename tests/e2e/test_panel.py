"""The panel in a real browser with a list that no cluster has: each state, a thousand rows, the keyboard, axe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e import browser
from tests.e2e.browser import PICTURES
from tests.e2e.lab import Lab, jupyterlab
from tests.e2e.rows import Feed, each_state, many

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SHOWN = "() => [...document.querySelectorAll('.gpuw-RowName')].map(one => one.textContent)"
FOCUSED = "() => document.activeElement.textContent"


@pytest.fixture(scope="module")
def lab(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with jupyterlab(tmp_path_factory.mktemp("panel")) as started:
        made = browser.notebook_of("%%gpu\ntrain(model)")
        started.write("explore.ipynb", made, trusted=True)
        yield started


@pytest.fixture(scope="module")
def chromium(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser.browser(lab, tmp_path_factory.mktemp("browser")) as started:
        yield started


def open_panel(page: Page, lab: Lab, *, dark: bool = False, width: int = 0) -> None:
    browser.open_notebook(page, lab, "explore.ipynb", dark=dark, kernel=False)
    page.evaluate("() => jupyterapp.commands.execute('gpu-workbench:show-runs')")
    page.wait_for_selector(".gpuw-Row")
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    if width:
        browser.widen(page, width)


@pytest.mark.parametrize("name", ["light", "dark", "wide"])
def test_each_state_has_its_row(chromium: Browser, lab: Lab, name: str) -> None:
    with browser.page(chromium, width=900, height=640, timezone=where_it_is_noon()) as page:
        Feed(page, each_state())
        open_panel(page, lab, dark=name == "dark", width=420 if name == "wide" else 0)
        headings = page.locator(".gpuw-Group").all_inner_texts()
        assert [text.replace("\n", " ").upper() for text in headings] == [
            "RUNNING · 3 21 GPUS",
            "WAITING · 1 8 GPUS",
            "TODAY · 2",
            "BEFORE TODAY · 1",
        ]
        expect(page.locator(".gpuw-Row").first).to_contain_text("SIMULATED")
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / f"panel-{name}.png")
        assert serious(page) == []
        assert browser.complaints(page) == []


def where_it_is_noon() -> str:
    """A zone in which what ended half an hour ago ended today, whenever this runs."""
    return f"Etc/GMT{time.gmtime().tm_hour - 12:+d}"  # GMT+1 is an hour behind


def serious(page: Page) -> list[str]:
    """What axe finds wrong with the panel, of what matters."""
    page.add_script_tag(path=AXE)
    found: dict[str, Any] = page.evaluate("() => axe.run('.gpuw-Panel')")
    return [
        f"{one['id']}: {one['nodes'][0]['html']}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def test_a_thousand_rows_are_gone_through(chromium: Browser, lab: Lab) -> None:
    with browser.page(chromium) as page:
        feed = Feed(page, many(1000))
        open_panel(page, lab)
        assert len(page.evaluate(SHOWN)) < 60
        page.locator(".gpuw-RowName").first.focus()
        page.keyboard.press("End")
        assert page.evaluate(FOCUSED) == "run-999"
        page.keyboard.press("ArrowUp")
        assert page.evaluate(FOCUSED) == "run-998"
        feed.change({**many(1)[0], "name": "changed", "phase": "Failed"})
        page.keyboard.press("Home")
        assert page.evaluate(FOCUSED) in ("run-0", "changed", "run-20")
        expect(page.locator(".gpuw-Group").first).to_contain_text("Running · 49")
        page.keyboard.press("Home")
        assert page.evaluate(FOCUSED) == "run-20"
        page.get_by_role("searchbox", name="Search runs").fill("run-77")
        page.wait_for_function(f"() => ({SHOWN})().length === 11")
        page.get_by_role("button", name="Failed").click()
        page.wait_for_function(f"() => ({SHOWN})().length < 11")
