"""Renders the states of the live view in a real JupyterLab with our extension, and takes pictures of them.

python -m tests.e2e.live_gallery OUTDIR
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from gpu_workbench.core.wire import JsonObject, encode_fields
from gpu_workbench.surfaces.server.rows import Row
from gpu_workbench.surfaces.view import Snapshot
from tests.e2e import browser
from tests.e2e.lab import jupyterlab
from tests.e2e.view_gallery import notebook
from tests.unit.surfaces.view.dask_states import dask_states
from tests.unit.surfaces.view.states import State, states

THEMES = {
    "light": "JupyterLab Light",
    "dark": "JupyterLab Dark",
    "contrast": "JupyterLab Dark High Contrast",
}

_BOTTOM = """() => {
  const cells = document.querySelectorAll('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell');
  return cells[cells.length - 1].getBoundingClientRect().bottom;
}"""
_THEME = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"


def main(arguments: Sequence[str]) -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outdir", type=Path)
    asked = parser.parse_args(arguments)
    asked.outdir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, gallery(Path(name), [*dask_states(), *states()]) as shown:
        for theme in THEMES:
            shown.wear(theme)
            shown.whole(asked.outdir / f"gallery-{theme}.png")


class Said:
    """The live half of the server, which says what it is told to, in the server's own form.

    The page is real, and so is its server; only what runs is made up, for no machine has 64 GPUs and a full queue.
    """

    def __init__(self, page: Page) -> None:
        self.topics: dict[str, JsonObject] = {"runs": {}, "targets": {}}
        self.asked: set[str] = set()
        self._sockets: list[WebSocketRoute] = []
        page.route_web_socket(re.compile("/gpu-workbench/api/live"), self._connect)
        outputs = re.compile("/gpu-workbench/api/runs/gallery-")  # the server has no journal of them
        page.route(outputs, lambda route: route.fulfill(status=204))

    def run(self, found: Snapshot) -> None:
        """Say this of a run from now on."""
        form = found.to_json()
        shown = form.pop("snapshot")
        assert isinstance(shown, dict)
        members = {**form, **{f"snapshot.{name}": value for name, value in shown.items()}}
        self.say("/".join(part for part in ("run", found.id, found.run) if part), members)

    def rows(self, rows: Sequence[Row]) -> None:
        """Say that these are all workloads there are."""
        self.say("runs", {row.id: encode_fields(row) for row in rows})

    def say(self, topic: str, state: JsonObject) -> None:
        """Say this of a topic from now on."""
        self.topics[topic] = state
        if topic in self.asked:
            for socket in self._sockets[-1:]:
                socket.send(json.dumps({"topic": topic, "seq": 1, "state": state}))

    def go(self) -> None:
        """Close the connection; another one is answered as before."""
        for socket in self._sockets[-1:]:
            socket.close()

    def _connect(self, socket: WebSocketRoute) -> None:
        self._sockets.append(socket)
        self.asked.clear()
        socket.on_message(lambda message: self._take(socket, json.loads(message)))

    def _take(self, socket: WebSocketRoute, form: Mapping[str, str]) -> None:
        if "unsubscribe" in form:
            self.asked.discard(form["unsubscribe"])
        topic = form.get("subscribe")
        if topic is None:
            return
        self.asked.add(topic)
        state = self.topics.get(topic)
        if state is None:
            error = {"message": "There is no such run"}
            socket.send(json.dumps({"topic": topic, "error": error}))
        else:
            socket.send(json.dumps({"topic": topic, "seq": 1, "state": state}))


@dataclass(frozen=True)
class Gallery:
    """A notebook of states in a page, and what says them."""

    page: Page
    said: Said
    shown: Sequence[State]

    def card(self, title: str) -> Locator:
        """The card of that state."""
        place = [one.title for one in self.shown].index(title)
        return self.page.locator(".jp-Notebook .gpuw-Card").nth(place)

    def wear(self, theme: str) -> None:
        """Change the theme."""
        wear(self.page, theme)

    def unfold(self) -> None:
        """Open everything that can be opened."""
        buttons = self.page.locator(".jp-Notebook .gpuw-Fold[aria-expanded=false]:visible")
        while buttons.count():
            buttons.first.click()
        expect(self.page.locator(".gpuw-Timeline", has_text="Loading…")).to_have_count(0)

    def whole(self, target: Path, *, width: int = 1000) -> None:
        """A picture of the whole notebook."""
        size = self.page.viewport_size
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.locator(".jp-Notebook .jp-Cell").first.scroll_into_view_if_needed()
        self.page.wait_for_timeout(300)  # JupyterLab lays out its panels a moment later
        self.page.set_viewport_size({"width": width, "height": int(self.page.evaluate(_BOTTOM)) + 60})
        self.page.wait_for_timeout(300)
        area = self.page.locator(".jp-NotebookPanel .jp-WindowedPanel-outer").bounding_box()
        assert area is not None
        area["height"] = self.page.evaluate(_BOTTOM) + 8 - area["y"]
        target.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=target, clip=area)
        if size is not None:
            self.page.set_viewport_size(size)


def wear(page: Page, theme: str) -> None:
    """Change JupyterLab's theme to one of :data:`THEMES`."""
    name = THEMES[theme]
    page.evaluate(_THEME, name)
    page.wait_for_selector(f"body[data-jp-theme-name='{name}']", state="attached")
    page.wait_for_selector("#jupyterlab-splash", state="detached")


@contextlib.contextmanager
def gallery(folder: Path, shown: Sequence[State], *, titles: bool = True) -> Iterator[Gallery]:
    """A JupyterLab with a notebook of these states, each live."""
    shown = numbered(shown)
    with jupyterlab(folder / "lab") as lab, browser.browser(lab, folder) as started:
        lab.write("gallery.ipynb", notebook(shown, titles=titles), trusted=True)
        with browser.page(started, width=1000) as page:
            said = Said(page)
            for one in shown:
                said.run(one.found)
            browser.open_notebook(page, lab, "gallery.ipynb", kernel=False)
            page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
            yield Gallery(page, said, shown)


def numbered(shown: Sequence[State]) -> list[State]:
    """The same, each with an id of its own, as different workloads have."""
    return [
        replace(one, found=replace(one.found, id=f"gallery-{number}")) for number, one in enumerate(shown)
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
