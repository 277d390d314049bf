"""The extension for JupyterLab: its own tests, its types, and what has to agree with the Python package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_workbench.__about__ import __version__

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def jlpm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of package.json's scripts with what is installed beside this Python."""
    if not (BIN / "jlpm").exists() or not (ROOT / "node_modules").exists():
        pytest.skip("the extension's packages are not installed; `make setup`")
    env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    return subprocess.run(
        [BIN / "jlpm", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(180)
def test_its_own_tests_pass() -> None:
    ended = jlpm("test")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_its_version_is_the_packages() -> None:
    assert json.loads((ROOT / "package.json").read_text())["version"] == __version__


def test_its_types_are_what_the_model_says() -> None:
    ended = subprocess.run(
        [sys.executable, "labextension/wire_types.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_the_lock_file_names_no_registry() -> None:
    assert "://" not in (ROOT / "yarn.lock").read_text()


def test_what_is_loaded_stays_small() -> None:
    """150 kB gzipped in all."""
    import gzip

    bundle = ROOT / "workbench" / "gpu_workbench" / "labextension" / "static"
    if not bundle.exists():
        pytest.skip("the extension is not built; `make setup`")
    size = sum(len(gzip.compress(path.read_bytes())) for path in bundle.glob("*.js"))
    assert size < 150_000, size


def schemas() -> list[Path]:
    """The settings of whatever JupyterLab and Notebook bring."""
    import jupyterlab

    share = Path(jupyterlab.__file__).parents[4] / "share" / "jupyter" / "lab" / "schemas"
    found = list(share.rglob("*.json"))
    assert len(found) > 50, share
    return found


def test_our_keys_are_nobody_elses() -> None:
    ours = [ROOT / "labextension" / "schema" / "settings.json"]
    assert keys(ours)
    assert not keys(ours) & keys(schemas())


def keys(files: list[Path]) -> set[str]:
    """What is pressed for something, as it is on every system but a Mac."""
    shortcuts = [
        one for path in files for one in json.loads(path.read_text()).get("jupyter.lab.shortcuts", [])
    ]
    pressed = [one["keys"] for one in shortcuts if not one.get("disabled")]
    return {" ".join(combination).replace("Accel", "Ctrl") for combination in pressed} - {""}


def test_our_toolbar_and_keys_name_commands_that_there_are() -> None:
    ours = json.loads((ROOT / "labextension" / "schema" / "settings.json").read_text())
    named = {one["command"] for one in ours["jupyter.lab.shortcuts"]}
    named |= {one["command"] for one in ours["jupyter.lab.toolbars"]["Notebook"]}
    commands = (ROOT / "labextension" / "src" / "commands.ts").read_text()
    assert not [command for command in named if f"'{command}'" not in commands]
