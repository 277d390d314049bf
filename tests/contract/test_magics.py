"""The magics in a real notebook kernel: completion, and the commands that need no cluster."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_workbench.backends.local.backend import LocalBackend
from gpu_workbench.core.spec import WorkloadSpec
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


def shows(nb: Notebook, line: str, pattern: str) -> re.Match[str]:
    """What a command says once it has heard of it: the agent tells of its limits once a second."""
    end = time.monotonic() + 30
    while not (found := re.search(pattern, nb.check(line).result)):
        assert time.monotonic() < end, f"{line} does not say {pattern}"
    return found


def test_the_overview_and_why_name_the_session_and_keep_puts_off_its_end(nb: Notebook) -> None:
    nb.check("%%gpu --session kept --idle-limit 590s\n1")
    assert shows(nb, "%gpu", r"\bkept\s+Idle\s+CPU · this machine\s+ends in (\S+ \S+)").group(1) == "9 min"
    said = nb.check("%gpu why kept").result.splitlines()
    assert said[0] == "● Idle  session kept · CPU · this machine"
    assert re.fullmatch(r"  ends in 9 min \d\d s if no cell runs", said[1])
    assert nb.check("%gpu keep 2h kept").stream() == "kept is kept for 2 h 00 min, idle or not\n"
    shows(nb, "%gpu why kept", r"ends in (2 h 00|1 h 59) min if no cell runs")
    assert "There is no run 'nobody'" in nb.run("%gpu why nobody").error


def test_what_is_pushed_or_named_travels_and_nothing_else(nb: Notebook) -> None:
    nb.check("pushed, a, b = [1, 2], 'a', 'b'")
    assert nb.check("%gpu push pushed").stream() == "Sent pushed: 5 B\n"
    assert nb.check("%%gpu --no-in\npushed").result == "[1, 2]"
    cell = "try:\n    b\nexcept NameError:\n    print('without b')\na"
    assert nb.run(f"%%gpu --no-in\n{cell}").error.startswith("NameError: name 'a' is not defined")
    ran = nb.check(f"%%gpu --in a\n{cell}")
    assert (ran.stream(), ran.result) == ("without b\n", "'a'")
    ran = nb.run("%%gpu --in a,nosuch\nran = True")
    assert ran.error == "FlagError: --in names nosuch, which is not defined here"
    assert nb.run("%%gpu --no-in\nran").error.startswith("NameError")


AT_ONCE = """
import sys
from gpu_workbench.app import execution
from gpu_workbench.surfaces.magics import moving
execution.SENDING_TICK, moving.SEND_SHOWN_AFTER, big = 0.001, 0.0, bytes(20_000_000)
view = sys.modules["gpu_workbench.surfaces.view.bundle"]
after_two_seconds = view.worth_showing
"""
"""A value that needs no time here to be long on its way."""


def test_what_is_long_on_its_way_has_a_bar_or_the_view_and_never_both(nb: Notebook) -> None:
    nb.check("%%gpu\n1")
    nb.check(AT_ONCE)
    bar = re.compile(r"(\rbig is (\w+): █* *[\d.]+ \w+ of 19 MiB *)+\r +\r")
    try:
        for line, way in (("push", "going"), ("pull", "coming")):
            drawn = bar.fullmatch(nb.check(f"%gpu {line} big").stream("stderr"))
            assert drawn is not None
            assert drawn.group(2) == way
        nb.check("big = bytes(20_000_001)")
        ran = nb.check("%%gpu\nlen(big)")
        assert bar.fullmatch(ran.stream("stderr"))
        assert not ran.displays
        nb.check("big = bytes(20_000_002); view.worth_showing = lambda run, elapsed: True")
        ran = nb.check("%%gpu\nlen(big)")
        assert "Succeeded" in ran.shown
        assert ran.stream("stderr") == ""
    finally:
        nb.check(
            "execution.SENDING_TICK, moving.SEND_SHOWN_AFTER, view.worth_showing = 0.25, 0.5, after_two_seconds"
        )


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


async def test_stop_all_ends_what_is_mine_and_nothing_of_others(nb: Notebook, folder: Path) -> None:
    backend = LocalBackend(folder / ".state" / "local")
    theirs = await backend.start(WorkloadSpec(id="fedcba987654", name="theirs", owner="f" * 16))
    try:
        nb.check("%%gpu --session mine\n1")
        assert "theirs" not in nb.check("%gpu ls --all").result
        stopped = nb.check("%gpu stop --all").stream()
        assert "Stopped mine (" in stopped
        assert "theirs" not in stopped
        left = {handle.id: handle.ended for handle in await backend.list(owner="")}
        assert not left.pop(theirs.id)
        assert left
        assert all(left.values())
    finally:
        await backend.stop(theirs, force=True)
