"""What runs, pods and forged notebooks say is text, wherever the extension shows it: nothing of it is carried out."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from gpu_workbench.core.model import Kind, Phase
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.surfaces import view
from gpu_workbench.surfaces.server.rows import Row, RunLine
from tests.e2e import browser
from tests.e2e.lab import Lab, jupyterlab
from tests.e2e.live_gallery import Said, numbered
from tests.e2e.view_gallery import notebook
from tests.unit.surfaces.view.hostile import CORPUS
from tests.unit.surfaces.view.states import State, infested

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

POISON = [*CORPUS, "<img src=http://127.0.0.1:9/x onerror=alert(1)>"]
FILE = "'\"><img src=x onerror=alert(1)>.ipynb"
FORGED = "f0f0f0f0f0f0"
"""The id of a run that only a forged notebook tells of."""

DRAWN = (Phase.PENDING, Phase.RUNNING, Phase.FAILED, Phase.SUCCEEDED)
"""Phases of which each is drawn in its own way."""

ALARM = "window.alert = () => { window.carriedOut = true; };"
MARKUP = """() => {
  const places = '.gpuw-Output, .gpuw-Panel, .gpuw-Document, .jp-Dialog, .jp-OutputArea-output, .Toastify, '
    + '.jp-Notification-List, .lm-TabBar, #jp-main-statusbar';
  const foreign = 'img, script, iframe, math, style, b, a[href^=javascript], [onload], [onerror], [onmouseover]';
  return [...document.querySelectorAll(places)]
    .flatMap(place => [...place.querySelectorAll(foreign)].map(one => one.outerHTML));
}"""


def uncoloured(poison: str) -> str:
    """What a terminal prints of it."""
    return re.sub(r"\x1b\[\d+m", "", poison)


def cleaned(poison: str) -> str:
    """What a view says of it: without marks that turn the direction of text, too."""
    return re.sub("[\u202a-\u202e]", "", uncoloured(poison))


SHOWN = numbered([State("", "%%gpu", infested(poison, Phase.RUNNING)) for poison in POISON])


@pytest.fixture(scope="module")
def lab(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    at_once = {"@gpu-workbench/labextension/settings": {"notifyAfter": 0}}
    with jupyterlab(tmp_path_factory.mktemp("hostile"), settings=at_once) as started:
        started.write(FILE, notebook(SHOWN, titles=False), trusted=True)
        forged = [replace(infested(POISON[-1], phase), id=FORGED) for phase in Phase]
        started.write(
            "forged.ipynb", notebook([State("", "", one) for one in forged], titles=False), trusted=False
        )
        yield started


@pytest.fixture(scope="module")
def chromium(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser.browser(lab, tmp_path_factory.mktemp("browser")) as started:
        yield started


class Poisoned:
    """A page in which everything that the server says is hostile, and what it has asked for."""

    def __init__(self, page: Page, lab: Lab) -> None:
        self.page = page
        self.asked: list[str] = []
        self.said = Said(page)
        self._server = f"http://{lab.way.address}/"
        page.add_init_script(ALARM)
        page.on("request", lambda request: self.asked.append(request.url))
        for one, poison in zip(SHOWN, POISON, strict=True):
            self.said.run(one.found)
            self._answer(one.found, poison)
        self.rows(Phase.RUNNING)
        name = POISON[-1]
        self.said.say("targets", {name: {"name": name, "error": name}})
        browser.open_notebook(page, lab, urllib.parse.quote(FILE), kernel=False)

    def rows(self, phase: Phase) -> None:
        """Say this of all workloads."""
        self.said.rows([_row(one.found.id, poison, phase) for one, poison in zip(SHOWN, POISON, strict=True)])

    def nothing_was_carried_out(self) -> None:
        assert self.page.evaluate("() => window.carriedOut") is None
        assert self.page.evaluate(MARKUP) == []
        fetched = [url for url in self.asked if not url.startswith((self._server, "data:", "blob:"))]
        assert fetched == []
        assert [url for url in self.asked if urllib.parse.urlsplit(url).path.endswith("/x")] == []

    def _answer(self, found: view.Snapshot, poison: str) -> None:
        """What the run has written, its log, and why it cannot be stopped."""
        data, metadata = view.bundle(found, final=False)
        written = {
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": _printed(found, poison)},
                {"output_type": "stream", "name": "stderr", "text": poison},
                {"output_type": "error", "ename": poison, "evalue": poison, "traceback": [poison]},
                {"output_type": "display_data", "data": {"text/plain": poison}, "metadata": {}},
            ],
            "view": {"output_type": "display_data", "data": data, "metadata": metadata},
        }
        pieces = [{"stream": stream, "text": f"{poison}\n"} for stream in ("stdout", "stderr", "remark")]
        log = {"cursor": "e.1", "pieces": pieces, "end": True, "why": poison}
        refused = {"error": poison, "message": poison, "why": poison, "fix": poison}
        self._route(found.id, "outputs/*", written)
        self._route(found.id, "log*", log)
        for action in ("interrupt", "stop"):
            self._route(found.id, f"{action}*", refused, status=409)

    def _route(self, workload: str, path: str, form: JsonObject, *, status: int = 200) -> None:
        def answer(route: Route) -> None:
            route.fulfill(status=status, body=json.dumps(form))

        self.page.route(f"**/gpu-workbench/api/runs/{workload}/{path}", answer)


def _printed(found: view.Snapshot, poison: str) -> str:
    """As many characters as the run has written."""
    return f"{poison}\n".ljust((found.snapshot.characters or {}).get("stdout", 0), ".")


def _row(id_: str, poison: str, phase: Phase) -> Row:
    return Row(
        id=id_,
        backend="local",
        started=1_750_000_000.0,
        kind=Kind.JOB,
        phase=phase,
        runs=(RunLine("r", name=poison),),
        **dict.fromkeys(("path", "file", "image", "namespace", "gpus", "word", "name", "answer"), poison),
    )


@pytest.fixture(scope="module")
def poisoned(lab: Lab, chromium: Browser) -> Iterator[Poisoned]:
    with browser.page(chromium, width=1250) as page:
        yield Poisoned(page, lab)


def test_what_a_run_says_is_text_in_its_live_card(poisoned: Poisoned) -> None:
    page = poisoned.page
    cards = page.locator(".jp-Notebook .gpuw-Card")
    expect(cards).to_have_count(len(POISON))
    card, first = cards.first, SHOWN[0].found
    for phase in DRAWN:
        for poison in POISON:
            made = infested(poison, phase)
            shown = replace(made.snapshot, notes=(poison,), hint=poison, answer=poison)
            poisoned.said.run(replace(made, id=first.id, run=first.run, snapshot=shown))
            expect(card).to_contain_text(shown.word)
            expect(card).to_contain_text(cleaned(poison))
            folds = card.locator(".gpuw-Fold[aria-expanded=false]:visible")
            while folds.count():
                folds.first.click()
        poisoned.nothing_was_carried_out()
    poisoned.said.run(first)
    expect(card).to_contain_text("Running")
    card.get_by_role("button", name="Stop").click()
    expect(card).to_contain_text(f"{POISON[0]}: {POISON[0]}. {POISON[0]}")
    poisoned.nothing_was_carried_out()


def test_output_that_comes_back_from_the_journal_is_text(poisoned: Poisoned) -> None:
    outputs = poisoned.page.locator(".jp-Notebook .jp-OutputArea")
    for number, poison in enumerate(POISON):
        written = outputs.nth(number).locator("[data-mime-type='application/vnd.jupyter.stdout']")
        expect(written).to_contain_text(uncoloured(poison), timeout=30_000)
        plain = outputs.nth(number).locator("[data-mime-type='text/plain']")
        expect(plain).to_contain_text(uncoloured(poison))
    poisoned.nothing_was_carried_out()


def test_it_is_text_in_the_panel_and_where_a_run_is_chosen(poisoned: Poisoned) -> None:
    page = poisoned.page
    page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-runs')")
    panel = page.locator(".gpuw-Panel")
    expect(panel.locator(".gpuw-Row").first).to_be_visible()
    for poison in POISON:
        panel.get_by_role("searchbox", name="Search runs").fill(poison)
        expect(panel.locator(".gpuw-RowName").filter(has_text=poison).first).to_be_attached()
    panel.get_by_role("searchbox", name="Search runs").fill("")
    poisoned.nothing_was_carried_out()
    page.evaluate("() => void window.jupyterapp.commands.execute('gpu-workbench:attach')")
    expect(page.locator(".jp-Dialog option")).to_have_count(len(POISON))
    poisoned.nothing_was_carried_out()
    page.keyboard.press("Escape")


def test_it_is_text_in_the_tab_of_a_run_and_in_its_log(poisoned: Poisoned) -> None:
    page = poisoned.page
    for one, poison in zip(SHOWN, POISON, strict=True):
        page.evaluate(
            "args => void window.jupyterapp.commands.execute('gpu-workbench:open-run', args)",
            {"workload": one.found.id, "run": one.found.run, "name": poison},
        )
        document = page.locator(".gpuw-Document:visible")
        expect(document.locator(".gpuw-LogRow")).to_have_count(3)
        expect(document.locator(".gpuw-LogRow").first).to_contain_text(uncoloured(poison))
        expect(
            page.locator(".lm-TabBar-tab.lm-mod-current .lm-TabBar-tabLabel", has_text="Log of")
        ).to_have_text(f"Log of {poison}")
    poisoned.nothing_was_carried_out()


def test_it_is_text_in_notices(poisoned: Poisoned) -> None:
    page = poisoned.page
    poisoned.rows(Phase.FAILED)
    expect(page.locator(".Toastify__toast").first).to_contain_text("failed after")
    page.evaluate("() => void window.jupyterapp.commands.execute('apputils:display-notifications')")
    notices = page.locator(".jp-Notification-List")
    for poison in POISON:
        expect(notices.get_by_text(cleaned(poison)[:60]).first).to_be_attached()
    poisoned.nothing_was_carried_out()
    assert all("127.0.0.1:9" not in one for one in browser.complaints(poisoned.page))


def test_a_forged_view_in_an_untrusted_notebook_shows_its_data_and_acts_on_nothing(
    lab: Lab, chromium: Browser
) -> None:
    told: list[str] = []
    with browser.page(chromium, width=1250) as page:
        page.add_init_script(ALARM)
        page.on("request", lambda request: told.append(f"{request.url} {request.post_data or ''}"))
        page.on("websocket", lambda socket: socket.on("framesent", lambda sent: told.append(str(sent))))
        browser.open_notebook(page, lab, "forged.ipynb", kernel=False)
        cards = page.locator(".jp-Notebook .gpuw-Card")
        expect(cards).to_have_count(len(Phase))
        expect(cards.first).to_contain_text(POISON[-1])
        page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-runs')")
        expect(page.locator(".gpuw-Panel")).to_be_visible()
        _until_told(page, told, '"runs"')  # there is a connection, and whoever looks may act
        expect(page.get_by_role("button", name="+ New")).to_be_visible()
        for number in range(len(Phase)):
            cards.nth(number).scroll_into_view_if_needed()
            _activate(page, number)
            assert not any(_enabled(page, name) for name in ("stop-cell", "detach-cell", "open-cell-run"))
        assert _acting(cards) == []
        assert page.evaluate("() => window.carriedOut") is None
        assert page.evaluate(MARKUP) == []
        assert [one for one in told if FORGED in one] == []
        # so much for that: of a trusted one the server is asked, and knows nothing of it
        page.evaluate("() => void window.jupyterapp.commands.execute('notebook:trust')")
        page.get_by_role("button", name="Trust").last.click()
        cards.first.scroll_into_view_if_needed()
        expect(cards.first).to_contain_text(f"Not live: There is no run '{FORGED}'")
        expect(cards.first).to_contain_text(POISON[-1])
        assert [one for one in told if FORGED in one]


def _until_told(page: Page, told: list[str], what: str) -> None:
    for _ in range(200):
        if any(what in one for one in told):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"nobody asked for {what}")


def _activate(page: Page, cell: int) -> None:
    page.evaluate("cell => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = cell; }", cell)


def _enabled(page: Page, name: str) -> bool:
    found: bool = page.evaluate(
        "id => window.jupyterapp.commands.hasCommand(id) && window.jupyterapp.commands.isEnabled(id)",
        f"gpu-workbench:{name}",
    )
    return found


def _acting(cards: Locator) -> list[str]:
    """Buttons that do something to a run."""
    words: list[str] = cards.locator("button:visible").all_inner_texts()
    return [word for word in words if word in ("Stop", "Keep 2 h", "Logs", "Detach")]
