"""The inline view in a real JupyterLab: refreshed in place, there again after a reload, harmless when forged."""

from __future__ import annotations

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from playwright.sync_api import Page, expect

from gpu_workbench.core.model import Phase
from gpu_workbench.surfaces import view
from tests.e2e.browser import open_notebook, run_all
from tests.e2e.lab import Lab
from tests.unit.surfaces.view.states import infested, states

pytestmark = pytest.mark.e2e

BY_TITLE = {state.title: state.found for state in states()}

LIVE = """
from gpu_workbench.surfaces.view import RunView, ipython_publish
from tests.unit.surfaces.view.states import states
found = {state.title: state.found for state in states()}
now = 0.0
shown = RunView(publish=ipython_publish(), clock=lambda: now)
shown.show(found["pulling an image"])
for title in ("running without progress", "running, 1 GPU", "running, 8 GPUs"):
    now += 1
    assert shown.update(found[title])
"""
END = "shown.finish(found['done'])"


@pytest.fixture
def requests(opened: Page) -> list[str]:
    """The addresses the page asks for."""
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    return asked


def _write(lab: Lab, name: str, cells: list[object], *, trusted: bool) -> None:
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    lab.write(name, new_notebook(cells=cells, metadata={"kernelspec": kernel}), trusted=trusted)


def test_a_view_is_refreshed_in_its_cell_and_is_there_after_a_reload(lab: Lab, opened: Page):
    setup = f"import sys; sys.path.insert(0, {str(_repository())!r})"
    _write(lab, "live.ipynb", [new_code_cell(setup + LIVE), new_code_cell(END)], trusted=True)
    open_notebook(opened, lab, "live.ipynb")
    run_all(opened)
    cards = opened.locator(".jp-OutputArea-output .gwb")
    expect(cards).to_have_count(1)
    expect(cards).to_contain_text("Succeeded")
    opened.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    one_line = "() => document.querySelector('summary.gwb-head').getBoundingClientRect().height < 40"
    opened.wait_for_function(one_line)
    opened.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    expect(opened.locator(".jp-mod-dirty")).to_have_count(0)
    opened.reload()
    expect(opened.locator(".jp-OutputArea-output .gwb")).to_contain_text(
        "acc came back, 32 B", timeout=60_000
    )


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "untrusted"])
def test_nothing_hostile_in_a_run_is_carried_out(lab: Lab, opened: Page, requests: list[str], trusted: bool):
    poison = "<img src=http://127.0.0.1:9/x onerror='window.pwned=1'><script>window.pwned=1</script>"
    cells = []
    for phase in Phase:
        data, metadata = view.bundle(infested(poison, phase), final=False)
        cells.append(new_code_cell("", outputs=[new_output("display_data", data=data, metadata=metadata)]))
    name = f"hostile-{trusted}.ipynb"
    _write(lab, name, cells, trusted=trusted)
    open_notebook(opened, lab, name, kernel=False)
    expect(opened.locator(".jp-OutputArea-output")).to_have_count(len(Phase))
    expect(opened.locator(".jp-OutputArea-output").first).to_contain_text("<img src=http://127.0.0.1:9/x")
    assert opened.evaluate("() => window.pwned") is None
    assert opened.locator(".jp-OutputArea-output :is(img, script)").count() == 0
    assert [url for url in requests if "127.0.0.1:9/" in url] == []


def test_an_untrusted_view_still_reads_well(lab: Lab, opened: Page):
    data, metadata = view.bundle(BY_TITLE["failed on one of 8 ranks"], final=False)
    output = new_output("display_data", data=data, metadata=metadata)
    _write(lab, "sanitized.ipynb", [new_code_cell("", outputs=[output])], trusted=False)
    open_notebook(opened, lab, "sanitized.ipynb", kernel=False)
    card = opened.locator(".jp-OutputArea-output")
    expect(card).to_contain_text("■ Failed ablation-3 · session ablation")
    expect(card).to_contain_text("CUDA out of memory: 2.1 GiB asked, 0.9 GiB free of 141, on rank 3")
    assert card.locator("svg, style").count() == 0
    card.get_by_text("Ranks", exact=True).click()
    expect(card.locator("table").first).to_be_visible()
    frame = card.locator(".gwb-card").evaluate("one => getComputedStyle(one).borderTopWidth")
    assert frame == "1px"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_view_takes_its_colours_from_the_theme(lab: Lab, opened: Page, dark: bool):
    data, metadata = view.bundle(BY_TITLE["running, 1 GPU"], final=False)
    output = new_output("display_data", data=data, metadata=metadata)
    _write(lab, "theme.ipynb", [new_code_cell("", outputs=[output])], trusted=True)
    open_notebook(opened, lab, "theme.ipynb", dark=dark, kernel=False)
    mark = opened.locator(".gwb-mark").first
    colour = mark.evaluate("one => getComputedStyle(one).backgroundColor")
    assert colour == ("rgb(86, 180, 233)" if dark else "rgb(0, 108, 171)")


def _repository() -> str:
    from pathlib import Path

    return str(Path(__file__).parents[2])
