"""Further versions of Python, each in an environment that is made once and kept in the user's cache."""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import platformdirs
import pytest

CACHE = Path(platformdirs.user_cache_dir("gpu-workbench")) / "pythons"


def interpreter(version: str) -> str | None:
    """A Python of that version on this machine: on PATH, or among pyenv's."""
    candidates = [shutil.which(f"python{version}")]
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates += [str(path / "bin" / "python") for path in sorted(root.glob(f"{version}.*"), reverse=True)]
    for candidate in candidates:
        if candidate and _version(candidate) == version:
            return candidate
    return None


def _version(python: str) -> str:
    said = subprocess.run(  # noqa: PLW1510 - a broken one has no version
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True
    )
    return said.stdout.strip()


def environment(version: str, name: str, packages: Sequence[str]) -> str:
    """An interpreter that has these packages and what they need, and nothing else; the test is skipped where there is none.

    Args:
        version: Major and minor.
        name: What the environment is called. It is made anew where other packages are wanted than it was made with.
        packages: As an installer is asked for them.
    """
    found = interpreter(version)
    if found is None:
        pytest.skip(f"there is no Python {version} on this machine")
    folder = CACHE / f"{version}-{name}"
    python = str(folder / "bin" / "python")
    venv = ["venv", "--quiet", "--python", found, str(folder)]
    _make(folder, packages, [venv, ["pip", "install", "--quiet", "--python", python, *packages]])
    return python


def overlay(name: str, packages: Sequence[str]) -> dict[str, str]:
    """Variables with which this interpreter, and a Jupyter of its, has these packages besides its own.

    Args:
        name: What the folder that they lie in is called.
        packages: With their versions. What they need is not installed: it is listed, or is here already.
    """
    folder = CACHE / name
    install = ["pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target", str(folder)]
    _make(folder, packages, [[*install, *packages]])
    return {
        "PYTHONPATH": str(folder),
        "JUPYTER_PATH": str(folder / "share" / "jupyter"),
        "JUPYTER_CONFIG_PATH": str(folder / "etc" / "jupyter"),
    }


def _make(folder: Path, packages: Sequence[str], commands: Sequence[Sequence[str]]) -> None:
    """Make a folder by uv's commands, unless it was made with the same packages; the test is skipped where it cannot be."""
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if not Path(uv).exists():
        pytest.skip("uv is needed to make environments")
    CACHE.mkdir(parents=True, exist_ok=True)
    complete, wanted = folder / "complete", "\n".join(packages)
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if complete.exists() and complete.read_text() == wanted:
            return
        shutil.rmtree(folder, ignore_errors=True)
        for command in commands:
            made = subprocess.run([uv, *command], check=False, capture_output=True, text=True)
            if made.returncode:
                pytest.skip(f"{folder.name} cannot be installed: {made.stderr[-300:]}")
        complete.write_text(wanted)


def notebook_environment(version: str) -> str:
    """An interpreter with all that this package needs for itself, the server it extends, and numpy; not the package."""
    needed = importlib.metadata.requires("jupyter-gpu-workbench") or []
    packages = sorted(line for line in needed if "extra ==" not in line)
    packages += ["jupyter-server>=2", "numpy"]
    packages += ["jsonschema<4.25"]  # from then on a server's import reads a grammar of URIs, for 3 s
    return environment(version, "notebook", packages)
