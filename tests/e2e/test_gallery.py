"""The live view in every state it can be in, in a real JupyterLab: what is seen, and pictures to be looked at."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from gpu_workbench.surfaces.view import Snapshot
from tests.e2e import browser
from tests.e2e.live_gallery import THEMES, Gallery, gallery
from tests.unit.surfaces.view.dask_states import dask_states
from tests.unit.surfaces.view.states import states

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


_PIXELS = """canvas => {
  const { width, height } = canvas;
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
  const found = new Map();
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] === 255) {
      const colour = `rgb(${data[at]}, ${data[at + 1]}, ${data[at + 2]})`;
      found.set(colour, (found.get(colour) ?? 0) + 1);
    }
  }
  return [...found].sort((one, other) => other[1] - one[1])[0]?.[0] ?? '';
}"""
"""The colour of most pixels that are not transparent."""

_SETTLED = """canvas => new Promise(resolve => {
  let before = '';
  const look = () => {
    const now = canvas.toDataURL();
    if (now === before) {
      resolve(now);
    } else {
      before = now;
      setTimeout(look, 100);
    }
  };
  look();
})"""
"""Its pixels, once they stay as they are."""

RUN = {"light": "rgb(0, 108, 171)", "dark": "rgb(86, 180, 233)", "contrast": "rgb(86, 180, 233)"}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    with gallery(tmp_path_factory.mktemp("gallery"), [*dask_states(), *states()]) as found:
        yield found


@pytest.mark.parametrize("theme", THEMES)
def test_every_state_is_drawn_in_the_colours_of_the_theme(shown: Gallery, theme: str) -> None:
    shown.wear(theme)
    for one in shown.shown:
        expect(shown.card(one.title)).to_contain_text(one.found.snapshot.word)
    expect(shown.page.get_by_text("Not live")).to_have_count(0)
    shown.whole(browser.PICTURES / f"gallery-{theme}.png")
    tile = shown.card("running, 8 GPUs").locator(".gpuw-Tile canvas").first
    tile.scroll_into_view_if_needed()
    shown.page.wait_for_function(
        f"([canvas, colour]) => ({_PIXELS})(canvas) === colour", arg=[tile.element_handle(), RUN[theme]]
    )


def test_a_slowed_gpu_is_set_off_by_more_than_its_colour(shown: Gallery) -> None:
    shown.wear("light")
    tile = shown.card("running, 2 nodes of 8 GPUs").locator(".gpuw-Tile").nth(11)
    expect(tile).to_contain_text("▲ 11")
    expect(tile.get_by_role("img")).to_have_attribute("aria-label", re.compile("slowed by heat"))


def test_everything_opens_in_place(shown: Gallery) -> None:
    for theme in ("light", "dark"):
        shown.wear(theme)
        shown.unfold()
        shown.whole(browser.PICTURES / f"gallery-open-{theme}.png")
    plots = shown.card("running, 64 GPUs").locator(".gpuw-Plot")
    expect(plots).to_have_count(2)
    place = plots.first.get_by_role("slider")
    place.focus()
    for _ in range(10):
        place.press("ArrowLeft")
    expect(place).to_have_attribute("aria-valuetext", re.compile(r"^\d+ s ago · p10 \d+ % · p50"))


@pytest.mark.parametrize("kind", [".gpuw-Tile canvas", ".gpuw-Plot canvas"], ids=["tile", "plot"])
def test_what_is_made_up_says_so_across_each_drawing(shown: Gallery, kind: str) -> None:
    """Its pixels are others than those of the same figures of a real GPU, and those are always the same."""
    shown.wear("light")
    found, card = _found(shown, "simulated"), shown.card("simulated")
    canvas = card.locator(kind).first
    if not canvas.is_visible():
        shown.unfold()
    canvas.scroll_into_view_if_needed()

    def drawn(simulated: bool, note: str) -> str:
        told = replace(found.snapshot, simulated=simulated, notes=(note,))
        shown.said.run(replace(found, snapshot=told))
        expect(card).to_contain_text(note)
        expect(card.locator(".gpuw-Tag")).to_have_count(1 if simulated else 0)
        pixels: str = canvas.evaluate(_SETTLED)
        return pixels

    real = drawn(False, "of a real GPU")
    assert real == drawn(False, "of the same GPU")
    assert real != drawn(True, "made up")
    shown.said.run(found)
    expect(card).not_to_contain_text("made up")


def test_a_narrow_window_scrolls_nothing_sideways(shown: Gallery) -> None:
    shown.wear("light")
    shown.whole(browser.PICTURES / "gallery-narrow.png", width=480)
    shown.page.set_viewport_size({"width": 480, "height": 900})
    shown.page.wait_for_timeout(300)
    wide = shown.page.locator(".gpuw-Card").evaluate_all(
        "cards => cards.filter(one => one.scrollWidth > one.clientWidth + 1).length"
    )
    shown.page.set_viewport_size({"width": 1000, "height": 900})
    assert wide == 0


def test_another_density_of_pixels_is_drawn_sharply(shown: Gallery) -> None:
    tile = shown.card("running, 8 GPUs").locator(".gpuw-Tile canvas").first
    tile.scroll_into_view_if_needed()
    before = tile.evaluate("canvas => canvas.width / canvas.clientWidth")
    session = shown.page.context.new_cdp_session(shown.page)
    metrics = {"width": 1000, "height": 900, "mobile": False}
    session.send("Emulation.setDeviceMetricsOverride", {**metrics, "deviceScaleFactor": 3})
    shown.said.run(_answering(_found(shown, "running, 8 GPUs"), "the next figures"))
    shown.page.wait_for_function(
        "canvas => Math.abs(canvas.width / canvas.clientWidth - 3) < 0.05", arg=tile.element_handle()
    )
    assert before == pytest.approx(1.5, abs=0.05)
    session.send("Emulation.setDeviceMetricsOverride", {**metrics, "deviceScaleFactor": 1.5})


def test_a_view_out_of_sight_asks_for_nothing_and_is_there_again_when_it_is_seen(shown: Gallery) -> None:
    last = shown.shown[-1].found
    topic = f"run/{last.id}"
    shown.page.locator(".jp-Notebook .jp-Cell").first.scroll_into_view_if_needed()
    shown.page.wait_for_function("() => document.querySelectorAll('.gpuw-Card').length > 3")
    _until(shown, lambda: topic not in shown.said.asked)
    shown.said.run(_answering(last, "seen again"))
    card = shown.card("idle session")
    card.scroll_into_view_if_needed()
    expect(card).to_contain_text("seen again")
    shown.said.run(last)


def test_nothing_was_complained_of(shown: Gallery) -> None:
    assert browser.complaints(shown.page) == []


def test_reconnecting_says_when_it_was_last_seen(shown: Gallery) -> None:
    shown.page.route("**/gpu-workbench/api/hello*", lambda route: route.abort())
    card = shown.card("running, 8 GPUs")
    card.scroll_into_view_if_needed()
    shown.said.go()
    expect(card).to_contain_text(re.compile(r"last seen \d\d:\d\d:\d\d"))
    expect(card.get_by_role("button", name="Stop")).to_have_count(0)
    card.screenshot(path=browser.PICTURES / "live-reconnecting.png")
    shown.page.unroute("**/gpu-workbench/api/hello*")
    expect(card).not_to_contain_text("last seen", timeout=60_000)


def test_nothing_moves_by_itself(shown: Gallery) -> None:
    """So there is nothing to be switched off for those who do not want motion."""
    moving = shown.page.locator(".gpuw-Card, .gpuw-Card *").evaluate_all(
        """found => found.map(one => getComputedStyle(one)).filter(style =>
          style.animationName !== 'none' || style.transitionDuration.split(', ').some(one => one !== '0s')).length"""
    )
    assert moving == 0


def _until(shown: Gallery, met: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Wait for something that the page tells the test, and not itself."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline
        shown.page.wait_for_timeout(50)


def _found(shown: Gallery, title: str) -> Snapshot:
    return next(one.found for one in shown.shown if one.title == title)


def _answering(found: Snapshot, answer: str) -> Snapshot:
    return replace(found, snapshot=replace(found.snapshot, answer=answer))
