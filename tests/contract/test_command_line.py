"""``gpu-workbench run`` on every backend: a script of a project, as if it ran here."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.conftest import Place

pytestmark = pytest.mark.timeout(240, func_only=True)

PROGRAM = Path(sys.executable).with_name("gpu-workbench")
LITTLE = ("--gpus", "0", "--cpus", "0.05")
TRAIN = """
import sys, time
from helpers.words import greeting

print(greeting, open("data.txt").read(), *sys.argv[1:], flush=True)
if "wait" in sys.argv:
    time.sleep(600)
sys.exit(3)
"""


@pytest.fixture
def project(quiet_place: Place) -> Place:
    folder = quiet_place.folder
    (folder / "src" / "helpers").mkdir(parents=True)
    (folder / "src" / "helpers" / "words.py").write_text("greeting = 'read'")
    (folder / "src" / "train.py").write_text(TRAIN)
    (folder / "data.txt").write_text("here")
    return quiet_place


def start(place: Place, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PROGRAM, *words],
        cwd=place.folder,
        env=place.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_script_finds_its_modules_and_files_and_its_exit_code_is_ours(project: Place) -> None:
    process = start(project, "run", "src/train.py", *LITTLE, "--", "--epochs", "3")
    out, errors = process.communicate(timeout=120)
    assert out == "read here --epochs 3\n", errors
    assert process.returncode == 3, errors
    doctor = start(project, "doctor")
    out, errors = doctor.communicate(timeout=60)
    assert out.endswith("All that is needed is there\n"), out + errors
    assert f"✓ Backend {project.name} (from " in out
    assert doctor.returncode == 0


def test_a_script_is_interrupted_from_here_and_its_log_read_afterwards(project: Place) -> None:
    process = start(project, "run", "src/train.py", *LITTLE, "--name", "long", "--", "wait")
    assert process.stdout
    assert process.stdout.readline() == "read here wait\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    out, errors = start(project, "logs", "long").communicate(timeout=60)
    assert out.startswith("read here wait\n"), errors
    assert errors == "" or project.name == "local", "a container's log does not tell stdout from stderr"
    assert "interrupted" in start(project, "why", "long").communicate(timeout=60)[0]


def test_a_run_is_stopped_by_its_name_and_only_once(project: Place) -> None:
    process = start(project, "run", "src/train.py", *LITTLE, "--name", "forgotten", "--", "wait")
    assert process.stdout
    assert process.stdout.readline() == "read here wait\n"
    out, errors = start(project, "stop", "forgotten").communicate(timeout=60)
    going, stopped = out.splitlines()
    assert going == "Going with forgotten: the run forgotten that is under way"
    assert re.fullmatch(r"Stopped forgotten \(\w{12}\)", stopped), out + errors
    _, errors = process.communicate(timeout=60)
    assert process.returncode not in (0, 3), errors
    again = start(project, "stop", "forgotten")
    assert again.communicate(timeout=60)[0].endswith(" had ended already\n")
    assert again.returncode == 0
