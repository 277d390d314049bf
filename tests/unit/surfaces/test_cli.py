"""``gpu-workbench`` as a shell sees it: output, exit codes, Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(120)

TRAIN = """
import sys, time

def wait():
    while True:
        try:
            print("waiting", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            if "stubborn" not in sys.argv:
                raise

if "wait" in sys.argv:
    wait()
print("given", *sys.argv[1:], flush=True)
print("a warning", file=sys.stderr, flush=True)
sys.exit(int(sys.argv[1]))
"""


class Shell:
    """A shell in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ours = ("GPU_WORKBENCH_", "JPY_", "KUBECONFIG")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.env = {
            **kept,
            "GPU_WORKBENCH_STATE_DIR": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }
        self.program = Path(sys.executable).with_name("gpu-workbench")

    def start(self, *words: str) -> subprocess.Popen[str]:
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([self.program, *words], cwd=self.folder, env=self.env, **pipes)

    def run(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, errors = process.communicate(timeout=60)
        return process.returncode, out, errors


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    (tmp_path / "train.py").write_text(TRAIN)
    made = Shell(tmp_path)
    yield made
    assert made.run("stop", "--all")[0] == 0


@pytest.mark.parametrize("code", [0, 3])
def test_a_script_has_its_output_here_and_its_exit_code_is_ours(shell: Shell, code: int) -> None:
    assert shell.run("run", "train.py", "--", str(code), "--epochs") == (
        code,
        f"given {code} --epochs\n",
        "a warning\n",
    )


def test_ctrl_c_once_interrupts_the_run(shell: Shell) -> None:
    process = shell.start("run", "train.py", "--", "0", "wait")
    assert process.stdout
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert out == "interrupted\n"
    assert "press Ctrl-C again to stop it" in errors


def test_ctrl_c_again_stops_a_run_that_does_not_listen(shell: Shell) -> None:
    process = shell.start("run", "train.py", "--name", "deaf", "--", "0", "wait", "stubborn")
    assert process.stdout
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert "Stopping deaf" in errors


def test_a_detached_script_gives_its_id_and_is_found_by_it(shell: Shell) -> None:
    code, out, errors = shell.run("run", "train.py", "--detach", "--name", "later", "--", "4")
    assert code == 0
    assert re.fullmatch(r"[0-9a-f]{12}\n", out)
    assert "`gpu-workbench logs -f later` shows it" in errors
    assert shell.run("logs", "-f", out[:6]) == (0, "given 4\n", "a warning\n")
    assert shell.run("logs", "later", "--tail", "1")[1] in ("given 4\n", "a warning\n")
    assert "The script ended with exit code 4" in shell.run("why", "later")[1]
    assert "later" in shell.run("ls", "--all")[1]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("run", "nope.py"), 2, "There is no script nope.py"),
        (("logs", "nobody"), 2, "There is no run 'nobody'. `gpu-workbench ls --all` lists yours"),
        (("ls", "--al"), 2, "Did you mean --all?"),
        (("lss",), 2, "gpu-workbench has no command 'lss'"),
        (("run", "train.py", "--gpus", "many"), 2, "--gpus many is not an amount of GPUs"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_exit_code_2(
    shell: Shell, words: tuple[str, ...], code: int, said: str
) -> None:
    status, out, errors = shell.run(*words)
    assert (status, out) == (code, "")
    assert said in errors
    assert errors.count("\n") == 1
    assert not (shell.folder / "state" / "local").exists()


def test_a_wrong_profile_file_is_one_line_and_exit_code_2(shell: Shell) -> None:
    wrong = shell.folder / "gpu-workbench.yaml"
    wrong.write_text("profiles:\n  big:\n    gpuss: 2\n")
    try:
        for words in (("run", "train.py"), ("run", "train.py", "--profile", "big", "--detach"), ("ls",)):
            status, out, errors = shell.run(*words)
            assert (status, out) == (2, ""), words
            assert "gpu-workbench.yaml, line 3: nothing is called 'gpuss' here. Did you mean gpus?" in errors
            assert errors.count("\n") == 1
        assert not (shell.folder / "state" / "local").exists()
    finally:
        wrong.unlink()


def test_a_dry_run_starts_nothing(shell: Shell) -> None:
    code, out, _ = shell.run("run", "train.py", "--dry-run", "--gpus", "2", "--", "0")
    assert (code, out.splitlines()[0]) == (0, "Would start a detached run on this machine: 2 GPUs")
    assert out.endswith("Nothing was started, nothing was sent.\n")
    assert not (shell.folder / "state" / "local").exists()


def test_help_and_version(shell: Shell) -> None:
    code, out, _ = shell.run("run", "--help")
    assert (code, out.splitlines()[0]) == (0, "gpu-workbench run SCRIPT [FLAGS] [-- ARGUMENTS]")
    assert shell.run("--version")[1].startswith("gpu-workbench ")
    assert shell.run()[0] == 0
