"""The HTML: self-contained, escaped whatever comes, and readable where sanitizers have been through it."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import DaskState, DaskWorker, GpuDevice, Phase
from gpu_workbench.surfaces import view
from gpu_workbench.surfaces.view import Where, html, snapshot
from gpu_workbench.surfaces.view.style import BETWEEN, DARK, LIGHT
from tests.unit.surfaces.view import dask_states
from tests.unit.surfaces.view.hostile import CORPUS
from tests.unit.surfaces.view.states import infested, name_rows, states
from tests.unit.surfaces.view.workloads import CLUSTER, gpu, many_gpus, rank, running, session

ALL = [*states(), *dask_states.dask_states()]
ELEMENTS = {
    "div",
    "span",
    "strong",
    "style",
    "svg",
    "rect",
    "path",
    "progress",
    "details",
    "summary",
    "pre",
    "code",
}
ELEMENTS |= {"table", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = {"class", "style", "title", "role", "aria-label", "aria-hidden", "value", "max"}
ATTRIBUTES |= {"viewbox", "preserveaspectratio", "d", "x", "y", "width", "height"}


class Seen(HTMLParser):
    """Which elements, attributes and text there are; complains of what is not closed."""

    def __init__(self, written: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.said: list[str] = []
        self.feed(written)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.said.append(data)

    @property
    def text(self) -> str:
        return "".join(self.said)


@pytest.mark.parametrize(("poison", "phase"), list(itertools.product(CORPUS, Phase)))
def test_nothing_of_the_users_becomes_markup(poison, phase):
    seen = Seen(html(infested(poison, phase)))
    assert seen.elements <= ELEMENTS
    assert seen.attributes <= ATTRIBUTES
    assert not seen.open


@pytest.mark.parametrize(("poison", "phase"), list(itertools.product(CORPUS, Phase)))
def test_nothing_of_a_dask_clusters_users_becomes_markup(poison, phase):
    found = dask_states.infested(poison, phase)
    for written in (html(found), view.ls([found]).html, view.why(found, None).html):
        seen = Seen(written)
        assert seen.elements <= ELEMENTS
        assert seen.attributes <= ATTRIBUTES
        assert not seen.open


@pytest.mark.parametrize("poison", CORPUS)
def test_nothing_of_the_users_becomes_markup_in_tables(poison):
    found = infested(poison, Phase.RUNNING)
    why = Explanation(code=poison, sentence=poison, fix=poison, source=poison)
    names = [view.NameRow(poison, poison, poison, 1, poison, poison, poison)]
    work = session(running(), rank(0, replace(gpu(0, throttle=(poison,)), device=GpuDevice(0, poison))))
    dask = dask_states.cluster(DaskState(workers=(DaskWorker(name=poison, status=poison),) * 2))
    shown = (view.ls([found]), view.why(found, why), view.names(names), view.top(work), view.top(dask))
    for rendered in shown:
        seen = Seen(rendered.html)
        assert seen.elements <= ELEMENTS
        assert seen.attributes <= ATTRIBUTES


def test_what_the_user_wrote_is_shown_as_it_was_written():
    found = snapshot(session(running(name="a < b & c")), "a1b2c3d4e5f6", where=Where("local"))
    assert "a < b & c" in Seen(html(found)).text


@pytest.mark.parametrize("state", ALL, ids=lambda state: state.title)
def test_no_script_and_nothing_from_outside(state):
    written = html(state.found)
    assert not re.search(r"<script|<link|<iframe|<img|\bon\w+=|javascript:|url\(|@import|src=|href=", written)
    assert len(written) < 40_000


@pytest.mark.parametrize("state", ALL, ids=lambda state: state.title)
def test_text_stands_by_itself_where_styles_and_drawings_are_gone(state):
    """As on sites that keep text alone: phase and place are words, and parts do not run into each other."""
    said = " ".join(Seen(html(state.found)).text.split())
    first = view.text(state.found).splitlines()[0].replace("  [SIMULATED]", "")
    assert " ".join(first.split()) in said
    assert state.found.snapshot.simulated == ("SIMULATED" in said)


@pytest.mark.parametrize("state", ALL, ids=lambda state: state.title)
def test_drawings_hold_no_text(state):
    """A sanitizer that drops drawings keeps the text in them."""
    for drawing in re.findall(r"<svg.*?</svg>", html(state.found), flags=re.DOTALL):
        assert not re.sub(r"<[^>]*>", "", drawing).strip()


def test_a_finished_session_cell_is_one_line():
    done = next(state.found for state in ALL if state.title == "done")
    summary = re.search(r"<summary.*?</summary>", html(done), flags=re.DOTALL)
    assert summary
    said = Seen(summary[0]).text
    for part in ("Succeeded", "session default", "8.2 s", "71 %", "12 GiB", "acc came back, 32 B"):
        assert part in said


def test_each_state_has_a_mark_of_its_own():
    failed, done = (
        Seen(html(state.found)).text for state in ALL if state.title in ("killed for memory", "done")
    )
    assert "■" in failed
    assert "✓" in done


def test_tables_say_the_same_in_html_and_text():
    work = many_gpus()
    for rendered in (view.ls([state.found for state in ALL]), view.top(work), view.names(name_rows())):
        for word in re.findall(r"[A-Za-z][\w-]+", rendered.text):
            assert word in Seen(rendered.html).text or word in rendered.html


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("colours", "grounds", "least"),
    [
        (LIGHT, ("#ffffff", "#eeeeee"), 4.5),
        (DARK, ("#111111", "#212121"), 4.5),
        (BETWEEN, ("#ffffff", "#111111"), 3.0),
    ],
    ids=["light", "dark", "unknown"],
)
def test_state_colours_have_contrast(colours, grounds, least):
    """WCAG 2.2: 4.5:1 for text (1.4.3), 3:1 for marks (1.4.11)."""
    for colour, ground in itertools.product(colours.values(), grounds):
        assert _contrast(colour, ground) >= least, (colour, ground)


def test_code_in_a_hint_is_shown_as_code_and_stays_text() -> None:
    why = Explanation(code="a", sentence="It waits", fix="Ask with `--gpus <b>`, or wait")
    run = running()
    found = snapshot(session(replace(run, phase=Phase.QUEUED)), run.id, where=CLUSTER, explanation=why)
    assert 'Ask with <code class="gwb-code">--gpus &lt;b&gt;</code>, or wait' in html(found)


def test_a_dask_clusters_bar_says_its_parts_in_words() -> None:
    found = next(state.found for state in ALL if state.title == "Dask, tasks failed and workers lost")
    bar = re.search(r'<span class="gwb-tasks"[^>]*aria-label="([^"]*)".*?</span></span>', html(found))
    assert bar
    assert bar[1] == "4,810 of 9,600 tasks done, 28 running, 4,550 waiting, 212 failed"
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", bar[0])]
    assert widths == [50.10, 0.29, 2.21]


def test_of_many_dask_workers_those_in_sight_are_those_that_stand_apart() -> None:
    found = next(state.found for state in ALL if state.title == "Dask, 200 workers")
    before, _, folded = html(found).partition("<details>")
    assert before.count("<tr>") == 1 + 3
    assert folded.count("<tr>") == 1 + 24 + 1 + 4  # a head, some, the others together, and functions
