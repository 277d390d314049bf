"""Look into the wheel, then install it into an empty environment and use it as somebody without a checkout would.

python .ci/check_wheel.py dist
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "gpu_workbench"
MAX_SIZE = 2_000_000  # bytes; a wheel beyond it carries something that is not ours
MAX_SCRIPTS = 150_000  # bytes of the extension's JavaScript, as a browser loads it: compressed

ARCHIVE = """
from gpu_workbench.backends.archive import agent_archive, agent_digest
print(f"agent.pyz {agent_digest()}, {len(agent_archive()):,} bytes")
"""

EXTENSION = "share/jupyter/labextensions/@gpu-workbench/labextension"
DATA = (
    f"{EXTENSION}/package.json",
    f"{EXTENSION}/install.json",
    f"{EXTENSION}/static/style.js",
    f"{EXTENSION}/schemas/@gpu-workbench/labextension/settings.json",
    "etc/jupyter/jupyter_server_config.d/jupyter-gpu-workbench.json",
)
"""What JupyterLab and its server look for outside of the package."""

EXTENSIONS = """
import subprocess, sys
for kind, name in (("labextension", "@gpu-workbench/labextension"), ("server", "gpu_workbench")):
    command = [sys.executable, "-m", "jupyter", kind, *(["extension"] if kind == "server" else []), "list"]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line for line in (said.stdout + said.stderr).splitlines() if name in line and "OK" in line]
    if not lines:
        sys.exit(f"{name} is not there:\\n{said.stdout}{said.stderr}")
print("JupyterLab and its server find the extension")
"""

COMMANDS = (
    ("python", "-c", f"import {PACKAGE}; print('import {PACKAGE}', {PACKAGE}.__version__)"),
    ("python", "-c", ARCHIVE),
    ("gpu-workbench", "--help"),
    ("python", "-c", EXTENSIONS),
)


def main(folder: str) -> None:
    """Check the one wheel in ``folder``."""
    wheels = list(Path(folder).glob("*.whl"))
    if len(wheels) != 1:
        sys.exit(f"{folder} holds {len(wheels)} wheels, not one: run `make wheel`")
    (wheel,) = wheels
    if problems := look_into(wheel):
        sys.exit("\n".join([f"{wheel.name} is not as it should be:", *problems]))
    print(f"{wheel.name}: {scripts_size(wheel):,} bytes of compressed JavaScript")
    use(wheel)


def look_into(wheel: Path) -> list[str]:
    """What is wrong with the wheel's content, one line each."""
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if not name.endswith("/")}
    package = {name for name in inside if name.startswith(f"{PACKAGE}/")}
    info = {Path(name).name for name in inside if ".dist-info/" in name}
    ours = sources()
    problems = [f"  lacks {name}" for name in sorted(ours - package)]
    problems += [f"  holds {name}, which is no source of ours" for name in sorted(package - ours)]
    problems += [
        f"  lacks {name} in its metadata"
        for name in ("METADATA", "entry_points.txt", "LICENSE")
        if name not in info
    ]
    data = {name.partition(".data/data/")[2] for name in inside if ".data/data/" in name}
    problems += [f"  lacks {name}" for name in DATA if name not in data]
    problems += [
        f"  holds {name}" for name in sorted(data) if name not in DATA and not name.startswith(EXTENSION)
    ]
    problems += [
        f"  holds {name}"
        for name in sorted(inside - package)
        if ".dist-info/" not in name and ".data/data/" not in name
    ]
    if (scripts := scripts_size(wheel)) > MAX_SCRIPTS:
        problems.append(f"  has {scripts:,} bytes of compressed JavaScript, more than {MAX_SCRIPTS:,}")
    if wheel.stat().st_size > MAX_SIZE:
        problems.append(f"  has {wheel.stat().st_size:,} bytes, more than {MAX_SIZE:,}")
    return problems


def scripts_size(wheel: Path) -> int:
    """Bytes of the extension's JavaScript after gzip, what is loaded on demand included."""
    with zipfile.ZipFile(wheel) as archive:
        names = [
            name for name in archive.namelist() if f"{EXTENSION}/static/" in name and name.endswith(".js")
        ]
        return sum(len(gzip.compress(archive.read(name))) for name in names)


def sources() -> set[str]:
    """The package's files as git knows them: tracked, or new and not ignored."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", f"workbench/{PACKAGE}"]
    listed = subprocess.run(listing, cwd=ROOT, text=True, capture_output=True, check=True).stdout.split("\0")
    return {name.removeprefix("workbench/") for name in listed if name and (ROOT / name).exists()}


def use(wheel: Path) -> None:
    """Install it into an environment of its own and call its commands there."""
    uv = Path(sys.executable).with_name("uv")
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder) / "venv"
        run(uv, "venv", "--quiet", "--python", sys.executable, there)
        run(uv, "pip", "install", "--quiet", "--python", there / "bin" / "python", f"{wheel}[lab]")
        for command, *args in COMMANDS:
            run(there / "bin" / command, *args, cwd=folder)


def run(*argv: str | Path, cwd: str | None = None) -> None:
    """Run a program, show the first line it prints, and take its failure for the failure of the check."""
    words = [str(word) for word in argv]
    ended = subprocess.run(words, cwd=cwd, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        sys.exit(f"failed: {' '.join(words)}\n{ended.stdout}")
    if ended.stdout:
        print(ended.stdout.splitlines()[0])


if __name__ == "__main__":
    main(sys.argv[1])
