"""A run in a session goes by its name, too: its output, its results and its end, from another notebook as well."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gpu_workbench.surfaces.magics.replay import STILL_THERE
from tests.contract.conftest import Desk
from tests.kernels import Notebook, Ran

pytestmark = pytest.mark.timeout(180, func_only=True)


@pytest.fixture(scope="module")
def nb(desk: Desk) -> Iterator[Notebook]:
    with desk.warm() as made:
        made.check("%%gpu --name first --out answer\nprint('of the first')\nanswer = 42")
        made.check("%%gpu --name second\nprint('of the second')")
        yield made


@pytest.fixture(scope="module")
def other(nb: Notebook, desk: Desk) -> Iterator[Notebook]:
    with desk.open("other.ipynb", stop=False) as made:
        yield made


def test_its_output_alone_is_shown(nb: Notebook, other: Notebook) -> None:
    for one in (nb, other):
        assert one.check("%gpu logs first").stream() == "of the first\n"
        assert one.check("%gpu logs sec").stream() == "of the second\n"
    assert "of the first\nof the second\n" in nb.check("%gpu logs").stream()


def test_its_results_come_to_another_notebook(other: Notebook) -> None:
    assert other.check("%gpu result first").result == "42"
    assert other.check("answer").result == "42"
    assert "gave no results" in other.run("%gpu result second").error


def test_the_output_so_far_is_shown_of_a_run_that_prints_without_a_pause(
    nb: Notebook, other: Notebook
) -> None:
    running = nb.begin(
        "%%gpu --name chatty\nimport time\nwhile True: print('.', flush=True); time.sleep(0.01)"
    )
    nb.shows(running, ".\n.\n.\n")
    assert other.check("%gpu logs chatty", limit=30).stream().startswith(".\n.\n")
    other.check("%gpu stop chatty")
    assert nb.end(running).error.startswith("KeyboardInterrupt")


def test_it_is_followed_and_stopped_and_its_session_goes_on(nb: Notebook, other: Notebook) -> None:
    running = nb.begin(
        "%%gpu --name long\nkept = 1; print('begun', flush=True)\nimport time; time.sleep(600)"
    )
    nb.shows(running, "begun")
    following = other.begin("%gpu attach long")
    pressed = []

    def press(ran: Ran) -> None:
        if "begun" in ran.stream() and not pressed:
            pressed.append(other.interrupt())

    stopped = other.end(following, seen=press)
    assert stopped.error == f"KeyboardInterrupt: {STILL_THERE}"
    assert "gpu_workbench" not in stopped.shown, "nor any frame of ours"
    stopped = other.check("%gpu stop long").stream()
    assert stopped == "Interrupted long; the session 'default' goes on\n"
    assert nb.end(running).error.startswith("KeyboardInterrupt")
    assert nb.check("%%gpu\nkept").result == "1"
    assert other.check("%gpu stop long").stream() == "long had ended already\n"


def test_a_word_that_nobody_goes_by_is_one_clear_error(nb: Notebook) -> None:
    assert (
        nb.run("%gpu logs nobody").error
        == "RunNotFound: There is no run 'nobody'. `%gpu ls --all` lists yours"
    )
