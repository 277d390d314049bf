"""The view in a notebook: shown once, refreshed at most once a second, finished once."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import replace

import pytest

from gpu_workbench.core.model import Phase
from gpu_workbench.core.spec import MIME_TYPE
from gpu_workbench.surfaces.view import RunView, Snapshot, bundle, snapshot
from gpu_workbench.surfaces.view.png import png
from tests.unit.surfaces.view.dask_states import dask_states
from tests.unit.surfaces.view.states import states
from tests.unit.surfaces.view.workloads import CLUSTER, TQDM, ended, rank, running, session

BY_TITLE = {state.title: state.found for state in [*states(), *dask_states()]}


class Notebook:
    """Keeps what a frontend would show."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sent: list[tuple[str, bool]] = []
        self.cells: dict[str, dict[str, object]] = {}

    def publish(self, data, metadata, *, display_id, update):
        self.sent.append((display_id, update))
        self.cells[display_id] = data

    def view(self) -> RunView:
        return RunView(publish=self.publish, clock=lambda: self.now)


def _at(done: float, phase: Phase = Phase.RUNNING) -> Snapshot:
    run = running(replace(TQDM, done=done)) if phase is Phase.RUNNING else ended(phase)
    return snapshot(session(run), run.id, where=CLUSTER)


def test_a_view_is_one_output_refreshed_in_place():
    notebook = Notebook()
    view = notebook.view()
    view.show(_at(1))
    for second in range(1, 4):
        notebook.now = float(second)
        assert view.update(_at(1 + second))
    assert view.finish(_at(9, Phase.SUCCEEDED))
    assert [update for _, update in notebook.sent] == [False, True, True, True, True]
    assert len(notebook.cells) == 1


def test_it_is_refreshed_once_a_second_at_most_and_only_when_something_changed():
    notebook = Notebook()
    view = notebook.view()
    view.show(_at(1))
    notebook.now = 0.9
    assert not view.update(_at(2))
    notebook.now = 1.0
    assert view.update(_at(2))
    notebook.now = 5.0
    assert not view.update(_at(2))


def test_the_end_is_shown_however_recent_the_last_refresh_and_once():
    notebook = Notebook()
    view = notebook.view()
    view.show(_at(1))
    assert view.finish(_at(1, Phase.SUCCEEDED))
    assert not view.finish(_at(1, Phase.SUCCEEDED))
    assert not view.update(_at(2))
    assert len(notebook.sent) == 2


def test_a_short_cell_leaves_nothing_behind_unless_it_fails():
    notebook = Notebook()
    short, failed = notebook.view(), notebook.view()
    notebook.now = 1.5
    assert not short.update(_at(1))
    assert not short.finish(_at(1, Phase.SUCCEEDED))
    assert failed.finish(_at(1, Phase.FAILED))
    assert len(notebook.sent) == 1


def test_a_snapshot_is_asked_for_only_when_it_would_be_sent():
    notebook = Notebook()
    view = notebook.view()
    assert not view.due(running())
    assert not view.worth(ended(Phase.SUCCEEDED))
    assert view.worth(ended(Phase.FAILED))
    notebook.now = 2.0
    assert view.due(None)
    view.show(_at(1))
    notebook.now = 2.9
    assert not view.due(running())
    assert view.worth(running())
    notebook.now = 3.0
    assert view.due(running())
    view.finish(_at(2, Phase.SUCCEEDED))
    assert not view.worth(ended(Phase.SUCCEEDED))


def test_a_longer_cell_gets_its_view_by_itself():
    notebook = Notebook()
    view = notebook.view()
    notebook.now = 2.0
    assert view.update(_at(1))
    assert notebook.sent == [("gwb-3f9c1a2b7d04-a1b2c3d4e5f6", False)]


@pytest.mark.parametrize("title", list(BY_TITLE))
def test_a_bundle_holds_the_data_and_its_fallbacks(title):
    data, _ = bundle(BY_TITLE[title], final=False)
    assert list(data) == [MIME_TYPE, "text/html", "text/plain"]
    assert Snapshot.from_json(data[MIME_TYPE]) == BY_TITLE[title]
    json.dumps(data, allow_nan=False)


def test_the_picture_comes_at_the_end_alone_and_is_small():
    data, metadata = bundle(BY_TITLE["done, with cost"], final=True)
    picture = base64.b64decode(data["image/png"])
    assert picture.startswith(b"\x89PNG")
    assert metadata["image/png"] == {"width": 720, "height": 220}


@pytest.mark.parametrize(
    "title", ["done, with cost", "failed on one of 8 ranks", "running, 64 GPUs", "no utilisation"]
)
def test_a_picture_has_at_most_40_kb(title):
    picture = png(BY_TITLE[title])
    assert picture is None or len(picture) <= 40_000


def test_there_is_no_picture_without_a_gpu():
    run = ended(Phase.SUCCEEDED, gpus=0)
    assert png(snapshot(session(run, rank(0)), run.id, where=CLUSTER)) is None


def test_a_dollar_in_a_name_is_no_formula():
    run = ended(Phase.SUCCEEDED, name="$\\frac{1$ $x$")
    assert png(snapshot(session(run), run.id, where=CLUSTER)) is not None


_ALONE = """
import sys
sys.modules["matplotlib"] = {found}
from tests.unit.surfaces.view.states import states
from gpu_workbench.surfaces.view import bundle
shown = [bundle(state.found, final=True)[0] for state in states()]
print("image/png" in set().union(*shown), "matplotlib.pyplot" in sys.modules, "IPython" in sys.modules)
"""


def test_without_matplotlib_there_is_no_picture_and_no_error():
    assert _python(_ALONE.format(found="None")) == "False False False"


def test_pyplot_and_its_state_are_left_to_the_user():
    assert _python(_ALONE.format(found="__import__('matplotlib')")) == "True False False"


def test_the_view_is_light_to_import():
    heavy = "{'numpy', 'matplotlib', 'IPython'}"
    assert _python(f"import sys, gpu_workbench.surfaces.view; print({heavy} & set(sys.modules))") == "set()"


def _python(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip()
