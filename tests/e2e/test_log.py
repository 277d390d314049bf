"""The log of a run in the main area: coloured, followed, searched, and a million lines as quick as ten."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e import browser
from tests.e2e.browser import picture
from tests.e2e.lab import Lab, jupyterlab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
LINES = 1_000_000
MANY = f"for i in range({LINES}): print('line', i)"
COLOURS = """%%gpu --name colours
import sys, time
from tqdm import tqdm
RED, GREEN, YELLOW, BOLD, OFF = "\\x1b[31m", "\\x1b[32m", "\\x1b[33m", "\\x1b[1m", "\\x1b[0m"
print(f"{BOLD}Loading{OFF} the data from /data/train", flush=True)
print(f"{YELLOW}careful:{OFF} 3 of 1,204 files are empty", file=sys.stderr)
for epoch in range(3):
    for step in tqdm(range(40), desc=f"epoch {epoch}"):
        time.sleep(0.01)
    print(f"epoch {epoch}  loss \\x1b[38;5;39m{0.9 / (epoch + 1):.3f}{OFF}  {GREEN}better{OFF}", flush=True)
print("<b>no markup</b>", "x" * 300)
bar = tqdm(range(4000), desc="waiting")
for step in bar:
    time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def lab(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    script = tmp_path_factory.mktemp("script") / "many.py"
    script.write_text(MANY)
    program = Path(sys.executable).with_name("gpu-workbench")  # no notebook is to hold a million lines
    subprocess.run([program, "run", script, "--name", "many", "--detach"], check=True, timeout=120)
    with jupyterlab(tmp_path_factory.mktemp("log")) as started:
        made = browser.notebook_of("%load_ext gpu_workbench", COLOURS)
        started.write("log.ipynb", made, trusted=True)
        yield started


@pytest.fixture(scope="module")
def page(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser.notebook_page(lab, tmp_path_factory.mktemp("browser"), "log.ipynb") as page:
        page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        yield page


def document(page: Page) -> Locator:
    return page.locator(".gpuw-Document:visible")


def rows(page: Page) -> Locator:
    return document(page).locator(".gpuw-LogRow")


def scroll(page: Page, share: float) -> None:
    """As its bar does: to that share of the way."""
    page.evaluate(
        """share => {
            const all = [...document.querySelectorAll('.gpuw-LogScroller')];
            const scroller = all.find(one => one.offsetParent !== null);
            scroller.scrollTop = share * (scroller.scrollHeight - scroller.clientHeight);
        }""",
        share,
    )


def theme(page: Page, name: str) -> None:
    page.evaluate(
        "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", f"JupyterLab {name}"
    )
    page.wait_for_selector(f"body[data-jp-theme-light={str(name == 'Light').lower()}]", state="attached")
    page.wait_for_selector("#jupyterlab-splash", state="detached")


def test_the_card_opens_the_log_of_its_run(page: Page) -> None:
    card = page.locator(".jp-Notebook .gpuw-Card").filter(has_text="colours")
    expect(card).to_contain_text("Running", timeout=90_000)
    expect(card.locator("progress")).to_be_visible(timeout=60_000)
    card.get_by_role("button", name="Logs").click()
    expect(page.get_by_role("tab", name="Log of colours")).to_be_visible()
    expect(document(page).locator(".gpuw-Card")).to_contain_text("Running")
    expect(rows(page).filter(has_text="waiting")).to_be_visible()
    expect(rows(page).locator(".ansi-green-fg").first).to_have_text("better")
    expect(rows(page).filter(has_text="careful")).to_have_attribute("data-stream", "stderr")
    expect(rows(page).filter(has_text="<b>no markup</b>")).to_be_visible()


def test_a_bar_is_one_line_that_moves(page: Page) -> None:
    bars = rows(page).filter(has_text="waiting")
    expect(bars).to_have_count(1)
    before = bars.inner_text()
    expect(bars).not_to_have_text(before, timeout=20_000)


def test_it_is_searched(page: Page) -> None:
    document(page).locator(".gpuw-LogScroller").focus()
    page.keyboard.press("Control+f")
    expect(document(page).get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("Loss")
    expect(document(page).get_by_role("status").filter(has_text="lines")).to_have_text("1 of 3 lines")
    page.keyboard.press("Enter")
    expect(document(page).locator(".gpuw-mod-current mark")).to_have_text("loss")
    picture(page, "log")
    theme(page, "Dark")
    picture(page, "log-dark")
    theme(page, "Light")


def test_nothing_stands_in_the_way_of_keyboards_and_screen_readers(page: Page) -> None:
    page.add_script_tag(path=AXE)
    found = page.evaluate(
        """() => axe.run('.gpuw-Document', {resultTypes: ['violations']}).then(({violations}) =>
            violations.filter(one => ['serious', 'critical'].includes(one.impact))
                .map(one => `${one.id}: ${one.nodes.map(node => node.html).join()}`))"""
    )
    # the colours in it are what the run itself has chosen, as JupyterLab draws them
    assert not [said for said in found if not said.startswith('color-contrast: <span class="ansi-')], found


def test_long_lines_are_scrolled_to_and_the_numbers_stay(page: Page) -> None:
    scroller = document(page).locator(".gpuw-LogScroller")
    scroller.evaluate("node => { node.scrollLeft = 600; }")
    number, row = document(page).locator(".gpuw-LogGutter"), rows(page).first
    assert number.bounding_box()["x"] == scroller.bounding_box()["x"]  # type: ignore[index]
    assert row.bounding_box()["x"] < number.bounding_box()["x"] - 500  # type: ignore[index]
    assert number.bounding_box()["height"] == rows(page).count() * 18  # type: ignore[index]
    picture(page, "log-wide")
    scroller.evaluate("node => { node.scrollLeft = 0; }")


def test_what_is_selected_is_copied_without_the_numbers_of_lines(page: Page) -> None:
    text = page.evaluate(
        """() => {
            const rows = [...document.querySelectorAll('.gpuw-Document:not(.lm-mod-hidden) .gpuw-LogRow')];
            const selection = getSelection();
            selection.setBaseAndExtent(rows[0], 0, rows[1], rows[1].childNodes.length);
            const text = selection.toString();
            selection.removeAllRanges();
            return text;
        }"""
    )
    assert text == "Loading the data from /data/train\ncareful: 3 of 1,204 files are empty"


def test_all_of_it_is_kept_as_a_file(page: Page, tmp_path: Path) -> None:
    with page.expect_download() as waiting:
        document(page).get_by_role("link", name="Download").click()
    assert waiting.value.suggested_filename.startswith("colours-")
    waiting.value.save_as(tmp_path / "log")
    text = (tmp_path / "log").read_text()
    assert text.startswith("Loading the data from /data/train\n")
    assert "\x1b" not in text


def test_after_the_page_is_loaded_again_the_log_is_there_again(page: Page) -> None:
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_timeout(2500)  # JupyterLab keeps its layout a while after the last change
    page.reload()
    expect(rows(page).filter(has_text="waiting")).to_be_visible(timeout=60_000)
    picture(page, "log-again")


def test_the_panel_opens_a_run_of_a_million_lines(page: Page) -> None:
    page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-runs')")
    page.locator(".gpuw-Panel").get_by_role("button", name="many", exact=True).click()
    expect(page.get_by_role("tab", name="Log of many")).to_be_visible()
    expect(document(page).locator(".gpuw-LogLines")).to_have_text("1,000,000 lines", timeout=120_000)
    expect(rows(page).last).to_have_text(f"line {LINES - 1}")
    assert rows(page).count() < 100


def test_any_of_a_million_lines_is_shown(page: Page) -> None:
    scroll(page, 0)
    expect(rows(page).first).to_have_text("line 0")
    scroll(page, 0.5)
    expect(rows(page).first).not_to_have_text("line 0")
    first = int(rows(page).first.inner_text().split()[-1])
    assert abs(first - LINES / 2) < LINES / 50
    document(page).locator(".gpuw-LogScroller").hover()
    page.mouse.wheel(0, 54)  # three lines, not three thousandths of a million
    expect(rows(page).first).not_to_have_text(f"line {first}")
    assert 1 <= int(rows(page).first.inner_text().split()[-1]) - first <= 6
    document(page).locator(".gpuw-LogScroller").focus()
    page.keyboard.press("End")
    expect(rows(page).last).to_have_text(f"line {LINES - 1}")


def test_what_is_in_the_middle_of_a_million_lines_is_found(page: Page) -> None:
    document(page).get_by_role("searchbox").fill("line 543210")
    expect(document(page).get_by_role("status").filter(has_text="line")).to_have_text(
        "1 of 1 line", timeout=30_000
    )
    expect(document(page).locator(".gpuw-mod-current")).to_have_text("line 543210")
    picture(page, "log-million")


def test_nothing_was_complained_of(page: Page) -> None:
    assert browser.complaints(page) == []
