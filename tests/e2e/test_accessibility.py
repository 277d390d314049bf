"""axe-core finds nothing serious in what is ours: the live view in every state, with everything open, and the panel."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from PIL import Image
from playwright.sync_api import Page

from gpu_workbench.surfaces.server.rows import Row
from tests.e2e import browser
from tests.e2e.live_gallery import THEMES, Gallery, gallery
from tests.unit.surfaces.view.dask_states import dask_states
from tests.unit.surfaces.view.states import states

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"

PARTS = [
    ".gpuw-Card .gpuw-Button",
    ".gpuw-Card .gpuw-Fold",
    ".gpuw-Card .gpuw-Title > :first-child",
    ".gpuw-Card progress",
    ".gpuw-Card .gpuw-Memory",
    ".gpuw-Panel .gpuw-Button",
    ".gpuw-Panel input[type=search]",
    ".gpuw-Panel .gpuw-RowName",
    ".gpuw-Row .gpuw-RowBar:not([hidden])",
]
"""What has to be seen in any colours."""

CONTRAST = 80
"""Of 255, at least."""

_RUN = """async selector => {
  const runOnly = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const options = { resultTypes: ['violations'], runOnly };
  const { violations } = await axe.run({ include: [selector] }, options);
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => ({
      id, help, nodes: nodes.slice(0, 5).map(one => one.html + ' ' + one.failureSummary)
    }));
}"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    if not AXE.exists():
        pytest.skip("axe-core is not installed; make setup")
    with gallery(tmp_path_factory.mktemp("accessible"), [*dask_states(), *states()]) as found:
        found.page.evaluate(AXE.read_text())
        found.unfold()
        found.said.rows([_row(number, one.found) for number, one in enumerate(found.shown)])
        found.page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-runs')")
        found.page.wait_for_selector(".gpuw-Panel .gpuw-Row")
        yield found


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("selector", [".jp-Notebook .gpuw-Card", ".gpuw-Panel"], ids=["view", "panel"])
def test_nothing_serious_is_found(shown: Gallery, theme: str, selector: str) -> None:
    shown.wear(theme)
    found: list[dict[str, Any]] = shown.page.evaluate(_RUN, selector)
    assert found == [], "\n".join(f"{one['id']}: {one['help']}\n" + "\n".join(one["nodes"]) for one in found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_the_colours_of_the_system_controls_and_bars_are_seen(
    shown: Gallery, scheme: Literal["light", "dark"]
) -> None:
    """As Windows' high contrast does it, also a light one, which JupyterLab itself has not."""
    page = shown.page
    shown.wear("light")
    page.emulate_media(forced_colors="active", color_scheme=scheme)
    try:
        contrasts = {part: _contrast(page, part) for part in PARTS}
        assert {part: found for part, found in contrasts.items() if found < CONTRAST} == {}
        found: list[dict[str, Any]] = page.evaluate(_RUN, ".jp-Notebook .gpuw-Card")
        assert [one for one in found if one["id"] == "color-contrast"] == []
        browser.picture(page, f"forced-{scheme}")
    finally:
        page.emulate_media(forced_colors="none", color_scheme="light")


def _contrast(page: Page, part: str) -> int:
    """Between the brightest and the darkest of the pixels of the first there is, 255 at most."""
    one = page.locator(part).locator("visible=true").first
    one.scroll_into_view_if_needed()
    darkest, brightest = Image.open(io.BytesIO(one.screenshot())).convert("L").getextrema()
    return int(brightest) - int(darkest)


def test_axe_would_have_found_something(shown: Gallery) -> None:
    """That it looks where it should."""
    shown.page.evaluate(
        "() => document.querySelector('.gpuw-Panel').append(document.createElement('button'))"
    )
    found = shown.page.evaluate(_RUN, ".gpuw-Panel")
    assert [one["id"] for one in found] == ["button-name"]


def _row(number: int, found: Any) -> Row:
    shown = found.snapshot
    return Row(
        id=found.id,
        backend=found.where.backend,
        started=1_750_000_000.0 - number,
        gpus=found.where.gpus,
        kind=shown.kind,
        phase=shown.phase,
        word=shown.word,
        name=shown.name,
        answer=shown.answer,
        waited=shown.waited,
        ran=shown.ran,
        progress=shown.progress,
        ending=shown.ending,
        simulated=shown.simulated,
        busy=shown.chart.busy if shown.chart else None,
    )
