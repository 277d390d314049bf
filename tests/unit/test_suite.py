"""What `make test` says at its end is what happened."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tests import suite
from tests.suite import Group, Outcome


@pytest.fixture
def tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one test of each kind, whose reports lie beside it."""
    monkeypatch.setattr(suite, "REPORTS", tmp_path / "reports")
    monkeypatch.setattr(suite, "LAST", tmp_path / "reports" / "last.json")
    file = tmp_path / "test_kinds.py"
    file.write_text(
        "import pytest\n"
        "@pytest.fixture\ndef broken(): raise OSError\n"
        "def test_passes(): pass\n"
        "def test_fails(): assert False\n"
        "def test_cannot(broken): pass\n"
        "@pytest.mark.skip(reason='no GPU here')\ndef test_skips(): pass\n"
    )
    return file


def ask(tests: Path, *args: str) -> Group:
    return Group("some", (str(tests), "--no-header", "-q", *args))


def test_counts_are_pytests_own(tests: Path) -> None:
    outcome = suite.run(ask(tests))
    assert (outcome.passed, outcome.failed, outcome.errors, outcome.skipped) == (1, 1, 1, 1)
    assert outcome.line.startswith("1 failed, 1 passed, 1 skipped, 1 error in ")
    assert not outcome.good


def test_what_did_not_pass_is_named_at_the_end_with_its_reason(tests: Path) -> None:
    *_, fails, cannot, _total = suite.table([suite.run(ask(tests))], seconds=1).splitlines()
    assert fails.endswith("test_kinds::test_fails: assert False")
    assert cannot.endswith('test_kinds::test_cannot: failed on setup with "OSError"')


def test_no_tests_is_no_failure_and_says_so(tests: Path) -> None:
    outcome = suite.run(ask(tests), ["-k", "nothing_is_called_so"])
    assert outcome.good
    assert outcome.line.startswith("no tests ran")


def test_a_folder_that_is_not_there_has_no_tests(tests: Path) -> None:
    assert suite.run(ask(tests.parent / "absent")).good


def test_a_process_that_dies_is_a_failure_though_no_test_failed(tests: Path) -> None:
    tests.write_text("import os\ndef test_ends_it(): os._exit(3)\n")
    outcome = suite.run(ask(tests))
    assert not outcome.good
    assert "exit status 3" in outcome.line


def test_a_preparation_that_fails_is_a_failure(tests: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "GROUPS", (Group("some", ask(tests).args, prepare=lambda: 9),))
    assert suite.main(["--", "-k", "passes"]) == 1
    assert json.loads(suite.LAST.read_text())["groups"][0]["status"] == 9


@pytest.mark.parametrize(("status", "whole"), [(0, 0), (5, 0), (1, 1), (2, 1), (-9, 1)])
def test_one_bad_group_makes_the_whole_bad(
    status: int, whole: int, monkeypatch: pytest.MonkeyPatch, tests: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tests.parent / "reports").mkdir()
    monkeypatch.setattr(suite, "GROUPS", (Group("good", ()), Group("other", ())))
    monkeypatch.setattr(
        suite,
        "run",
        lambda group, *_, **__: Outcome(group.name, 0 if group.name == "good" else status, 1.5, 2),
    )
    assert suite.main([]) == whole
    said = capsys.readouterr().out
    assert "4 passed" in said.splitlines()[-1]
    assert ("exit status" in said.splitlines()[-1]) == (status not in (0, 1, 5))
    assert suite.main(["--last"]) == 0
    assert capsys.readouterr().out == said[said.index("good  ") :]


def test_two_lanes_run_side_by_side_and_what_comes_last_comes_last(
    monkeypatch: pytest.MonkeyPatch, tests: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both, order = threading.Barrier(2, timeout=30), []

    def meet(group: Group, *_: object, **__: object) -> Outcome:
        if group.lane:
            both.wait()
        order.append(group.name)
        return Outcome(group.name, 0, 1.5, 1)

    groups = (Group("last", (), lane=0), Group("here", ()), Group("there", (), lane=2))
    monkeypatch.setattr(suite, "GROUPS", groups)
    monkeypatch.setattr(suite, "run", meet)
    assert suite.main([]) == 0
    assert order[-1] == "last"
    assert sorted(order[:-1]) == ["here", "there"]
    said = capsys.readouterr().out
    assert "here │ ##### here" in said
    assert "there │ ##### there" in said


def test_an_unknown_group_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert suite.main(["qick"]) == 4
    assert "no such group: qick" in capsys.readouterr().out
