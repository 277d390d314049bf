"""The magics in a real notebook kernel: completion, and the commands that need no cluster."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernels import Notebook, notebook

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("magics")


@pytest.fixture(scope="module")
def nb(folder: Path) -> Iterator[Notebook]:
    with notebook(folder) as made:
        made.check("%%gpu\nmodel = 1")
        yield made


def complete(nb: Notebook, code: str) -> list[str]:
    message = nb.client.complete(code, len(code))
    while True:
        reply = nb.client.get_shell_msg(timeout=30)
        if reply["parent_header"].get("msg_id") == message:
            return list(reply["content"]["matches"])


def test_completion_knows_the_sessions_names_and_the_magics_words(nb: Notebook) -> None:
    nb.check("%%gpu\nonly_there_now = 1")
    assert "only_there_now" in complete(nb, "only_th")
    assert complete(nb, "%gpu sto") == ["stop"]
    assert "--gpus" in complete(nb, "%%gpu --gp")
    assert "default" in complete(nb, "%gpu why def")
    assert "default" in complete(nb, "%%gpu --profile d")


def test_hooks_cost_nothing_without_a_session(tmp_path: Path) -> None:
    with notebook(tmp_path / "n", stop=False) as made:
        code = """
import timeit
ip = get_ipython()
info = type("I", (), {"raw_cell": "a = b + 1\\n" * 200})()
result = type("R", (), {"info": info, "error_in_exec": None})()
both = lambda: (ip.events.callbacks["pre_run_cell"][-1](info), ip.events.callbacks["post_run_cell"][-1](result))
print(timeit.timeit(both, number=100) / 100)
"""
        assert float(made.check(code).stream()) < 0.001


def test_stop_says_what_goes_before_it_does(nb: Notebook) -> None:
    nb.check("%%gpu\nimport os; weights = [1]; weights_two = 2")
    said: list[float] = []
    ran = nb.end(nb.begin("%gpu stop"), seen=lambda ran: said.append(time.monotonic()))
    going, stopped = ran.stream().splitlines()
    assert re.fullmatch(r"Going with default: (\w+, )*weights, weights_two(, \w+)*", going)  # and no module
    assert " os," not in going
    assert stopped.startswith("Stopped default (")
    assert len(said) == 2
    ran = nb.check("%%gpu\n1")
    assert re.search(r"Gone with it: .*\bweights, weights_two\b", ran.shown)
    assert "ERROR" not in ran.shown


def test_the_name_column_has_the_sessions_name(nb: Notebook) -> None:
    nb.check("%%gpu --session prep\n1")
    assert re.search(r"\bprep\s+Idle\s", nb.check("%gpu ls").result)


def test_the_doctor_says_what_is_there_and_what_to_do(nb: Notebook) -> None:
    shown = nb.check("%gpu doctor").result
    assert re.search(r"^✓ Python 3\.", shown, re.M)
    assert "✓ Backend local (from built-in), profile default" in shown
    assert "All that is needed is there" in shown
    shown = nb.check("%gpu doctor --backend kubernetes --context gwb-no-such").result
    assert "✗ " in shown
    assert "to be put right" in shown


def test_secrets_are_for_clusters_and_profiles_and_settings_are_tables(nb: Notebook, folder: Path) -> None:
    assert "Secrets are kept by a cluster" in nb.run("%gpu secret ls").error
    text = "profiles:\n  big:\n    gpus: h200:2\n    memory: 64Gi\n    env: {TOKEN: hunter2}\n    idle-limit: 2h\n"
    place = folder / ".config" / "gpu-workbench"
    place.mkdir(parents=True)
    (place / "config.yaml").write_text(text)
    shown = nb.check("%gpu profiles").result
    assert re.search(r"big\s+gpus\s+h200:2", shown)
    assert re.search(r"memory\s+64 GiB", shown)
    assert re.search(r"idle-limit\s+2 h 00 min", shown)
    assert "hunter2" not in shown
    assert re.search(r"backend\s+local\s+built-in", nb.check("%gpu use").result)
