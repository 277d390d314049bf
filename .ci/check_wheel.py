"""Look into the wheel, then install it into an empty environment and use it as somebody without a checkout would.

    python .ci/check_wheel.py dist

There is no Node.js there. JupyterLab is started from that environment, and looked at in a browser. And a wheel that is
made from the source distribution is the same.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UV = Path(sys.executable).with_name("uv")
PACKAGE = "gpu_workbench"
BUILT = f"workbench/{PACKAGE}/labextension/"
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

LISTS = {
    ("labextension", "list"): "@gpu-workbench/labextension",
    ("server", "extension", "list"): PACKAGE,
}
"""What Jupyter lists, and what of ours has to be in it."""

WRONG = re.compile(
    r"\b(warn|error|fail|invalid|problem|outdated|deprecat|traceback|disabled|not found|cannot)|(?<!\S)(?-i:X)(?!\S)",
    re.IGNORECASE,
)
"""Words of a line that is not as it should be, and Jupyter's own mark for it."""

CELL = "%%gpu\nimport sys\nprint('It runs in', sys.prefix)\n6 * 7"

COMMANDS = (
    ("python", "-c", f"import {PACKAGE}; print('import {PACKAGE}', {PACKAGE}.__version__)"),
    ("python", "-c", ARCHIVE),
    ("gpu-workbench", "--help"),
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
    with tempfile.TemporaryDirectory(prefix="gwb-") as made:
        there = Path(made).resolve()
        make_from_source(wheel, there / "source")
        use(wheel, there)


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
    """The package's files as git knows them."""
    return {name.removeprefix("workbench/") for name in known(f"workbench/{PACKAGE}")}


def known(*paths: str) -> set[str]:
    """Files below these paths, or all, as git knows them: tracked, or new and not ignored."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *paths]
    listed = subprocess.run(listing, cwd=ROOT, text=True, capture_output=True, check=True).stdout.split("\0")
    return {name for name in listed if name and (ROOT / name).exists()}


def make_from_source(wheel: Path, folder: Path) -> None:
    """Make a wheel from the source distribution, which holds the extension as it is built, and compare the two."""
    run(UV, "build", "--quiet", "--out-dir", folder, "--python", sys.executable, ROOT)
    (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        inside = {member.name.partition("/")[2] for member in archive if member.isfile()}
    strange = {name for name in inside - known() - {"PKG-INFO"} if not name.startswith(BUILT)}
    (again,) = folder.glob("*.whl")
    ours, theirs = contents(wheel), contents(again)
    problems = [f"  {source.name} holds {name}, which is no source of ours" for name in sorted(strange)]
    problems += [f"  made from {source.name} it lacks {name}" for name in sorted(ours.keys() - theirs.keys())]
    problems += [f"  made from {source.name} it holds {name}" for name in sorted(theirs.keys() - ours.keys())]
    problems += [
        f"  made from {source.name} it has another {name}"
        for name in sorted(ours.keys() & theirs.keys())
        if ours[name] != theirs[name]
    ]
    if problems:
        sys.exit("\n".join([f"{wheel.name} is not what its source makes:", *problems]))
    print(f"{source.name}: makes the same wheel")


def contents(wheel: Path) -> dict[str, int]:
    """Checksums of its files; what it says of these itself is left out."""
    with zipfile.ZipFile(wheel) as archive:
        return {one.filename: one.CRC for one in archive.infolist() if not one.filename.endswith("/RECORD")}


def use(wheel: Path, folder: Path) -> None:
    """Install it into an environment of its own, call its commands there, and look at its JupyterLab."""
    there = folder / "venv"
    run(UV, "venv", "--quiet", "--python", sys.executable, there)
    run(UV, "pip", "install", "--quiet", "--python", there / "bin" / "python", f"{wheel}[lab]")
    environ = environment(there, folder)
    for command, *args in COMMANDS:
        run(there / "bin" / command, *args, cwd=folder, env=environ)
    with ThreadPoolExecutor() as pool:
        lists = [pool.submit(listed, there, *words, env=environ) for words in LISTS]
        for words, ours, said in zip(LISTS, LISTS.values(), lists, strict=True):
            check_list(*words, ours=ours, said=said.result())
    print("JupyterLab and its server find the extension")
    look(there, folder, environ)


def environment(there: Path, folder: Path) -> dict[str, str]:
    """What programs of the environment are told: of no Node.js, and of nothing of the user's."""
    path = [part for part in os.environ["PATH"].split(os.pathsep) if not shutil.which("node", path=part)]
    named = ("CONFIG", "DATA", "STATE", "CACHE")
    ours = ("GPU_WORKBENCH_", "JUPYTER", "PYTHON", "VIRTUAL_ENV", "KUBECONFIG")
    found = {
        **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
        **{f"XDG_{name}_HOME": str(folder / name.lower()) for name in named},
        "KUBECONFIG": str(folder / "none"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
        "PATH": os.pathsep.join([str(there / "bin"), *path]),
    }
    if node := shutil.which("node", path=found["PATH"]):
        sys.exit(f"{node} came with what the wheel asks for")
    return found


def listed(there: Path, *words: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What Jupyter says of its extensions."""
    command = [str(there / "bin" / "python"), "-m", "jupyter", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def check_list(*words: str, ours: str, said: subprocess.CompletedProcess[str]) -> None:
    """Take what a list complains of, or that it does not have ours, for the failure of the check."""
    text = re.sub(r"\x1b\[\d*m", "", said.stdout + said.stderr)
    lines = [line.strip() for line in text.splitlines()]
    wrong = [line for line in lines if WRONG.search(line)]
    if not any(ours in line and line.partition("(")[0].rstrip().endswith("OK") for line in lines):
        wrong.append(f"no {ours} that is OK")
    if wrong or said.returncode:
        sys.exit("\n".join([f"jupyter {' '.join(words)} is not clean:", *wrong, "It says:", text]))


def look(there: Path, folder: Path, environ: Mapping[str, str]) -> None:
    """Start JupyterLab from the environment, run a cell in a browser, and see it in the panel."""
    sys.path.insert(0, str(ROOT))
    from playwright.sync_api import expect

    from tests.e2e import browser
    from tests.e2e.lab import jupyterlab

    if browser.chromium() is None:
        print("JupyterLab is not looked at: there is no chromium here")
        return
    since = time.monotonic()
    at_home = folder / "lab"
    with jupyterlab(at_home, python=there / "bin" / "python", environ=environ) as lab:
        lab.write("wheel.ipynb", browser.notebook_of("%load_ext gpu_workbench", CELL), trusted=True)
        try:
            with browser.notebook_page(lab, folder, "wheel.ipynb") as page:
                browser.run_all(page)
                outputs = page.locator(".jp-Notebook .jp-OutputArea-output")
                expect(outputs.filter(has_text=f"It runs in {there}")).to_be_visible(timeout=60_000)
                expect(outputs.filter(has_text=re.compile("^42$"))).to_be_visible(timeout=60_000)
                page.evaluate("() => window.jupyterapp.commands.execute('gpu-workbench:show-runs')")
                expect(page.locator(".gpuw-Panel .gpuw-Row")).to_contain_text("wheel.ipynb", timeout=30_000)
                complaints = browser.complaints(page)
        finally:
            run(there / "bin" / "gpu-workbench", "stop", "--all", env=environ)
    if complaints:
        sys.exit("\n".join(["the browser's console complains:", *complaints]))
    log = (at_home / "lab.log").read_text()
    if wrong := [line for line in log.splitlines() if re.match(r"\[E |Traceback", line)]:
        sys.exit("\n".join(["JupyterLab's server complains:", *wrong]))
    if left := running(there):
        sys.exit("\n".join(["JupyterLab has ended, and these go on:", *left]))
    print(f"JupyterLab runs a cell and shows it in the panel ({time.monotonic() - since:.0f} s)")


def running(there: Path) -> list[str]:
    """Processes of that environment, by their command lines; none where there is no ``/proc``."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        found += [line] if str(there) in line else []
    return found


def run(*argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
    """Run a program, show the first line it prints, and take its failure for the failure of the check."""
    words = [str(word) for word in argv]
    ended = subprocess.run(words, cwd=cwd, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        sys.exit(f"failed: {' '.join(words)}\n{ended.stdout}")
    if ended.stdout:
        print(ended.stdout.splitlines()[0])


if __name__ == "__main__":
    main(sys.argv[1])
