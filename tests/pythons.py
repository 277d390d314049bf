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
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if not Path(uv).exists():
        pytest.skip("uv is needed to make environments")
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / f"{version}-{name}"
    python, complete, wanted = folder / "bin" / "python", folder / "complete", "\n".join(packages)
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists() or complete.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            for command in (
                [uv, "venv", "--quiet", "--python", found, str(folder)],
                [uv, "pip", "install", "--quiet", "--python", str(python), *packages],
            ):
                made = subprocess.run(command, check=False, capture_output=True, text=True)
                if made.returncode:
                    pytest.skip(f"{name} cannot be installed on Python {version}: {made.stderr[-300:]}")
            complete.write_text(wanted)
    return str(python)


def notebook_environment(version: str) -> str:
    """An interpreter with all that this package needs for itself, the server it extends, and numpy; not the package."""
    needed = importlib.metadata.requires("jupyter-gpu-workbench") or []
    packages = sorted(line for line in needed if "extra ==" not in line)
    packages += ["jupyter-server>=2", "numpy"]
    packages += ["jsonschema<4.25"]  # from then on a server's import reads a grammar of URIs, for 3 s
    return environment(version, "notebook", packages)
