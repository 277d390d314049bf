"""What must stay true of the repository as a whole."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOFT_CEILING = 400  # lines of a file
HEAVY = ("torch", "dask", "matplotlib", "kubernetes", "numpy", "pandas", "IPython", "pynvml", "yaml")


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Every file that is under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no checkout, so nothing says which files are the repository's")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_command_of_a_page_is_a_target(page: str) -> None:
    named = set(re.findall(r"^ *make ([a-z-]+)|`make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE))
    assert {name for pair in named for name in pair if name} <= targets()


def test_every_target_is_explained_and_phony() -> None:
    makefile = (ROOT / "Makefile").read_text()
    declared = set(re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, re.MULTILINE))
    rules = set(re.findall(r"^([a-z-]+):(?!=)", makefile, re.MULTILINE))
    assert rules == declared == targets()


def test_every_folder_has_its_line_in_contributing(tracked: list[Path]) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    top = {path.relative_to(ROOT).parts[0] for path in tracked if path.parent != ROOT}
    tests = {
        f"tests/{path.relative_to(ROOT).parts[1]}" for path in tracked if (ROOT / "tests") in path.parents[1:]
    }
    assert [
        folder
        for folder in sorted(top | tests - {"tests"})
        if f"`{folder}/" not in text and folder != "tests"
    ] == []


def test_every_layer_has_its_line_in_contributing() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rooms = [path.parent.name for path in (ROOT / "workbench" / "gpu_workbench").glob("*/__init__.py")]
    assert [room for room in rooms if not re.search(rf"^ +{room} ", text, re.MULTILINE)] == []


# Written so that the patterns do not find themselves.
REGISTRIES = (
    r"(?:files\.pythonhosted|pypi\.org/simple|registry\.npmjs|proxy\.golang|deb\.debian|registry\.yarnpkg)"
)
FOREIGN = re.compile(rf"/(?:ro)ot/|{re.escape(str(ROOT))}\b|https?://(?:[a-z0-9-]+\.)*{REGISTRIES}")
GENERATED = {"go.sum"}


def test_no_file_names_a_machine_or_a_registry(tracked: list[Path]) -> None:
    found = []
    for path in tracked:
        if path.name in GENERATED:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in FOREIGN.finditer(text)]
    assert found == []


def test_the_version_is_written_once(tracked: list[Path]) -> None:
    import gpu_workbench

    version = gpu_workbench.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?(\.dev\d+)?", version)
    assignment = re.compile(r"""^(__)?version(__)?["']?\s*[:=]\s*["']\d""", re.MULTILINE)
    ours = [path for path in tracked if path.suffix in (".py", ".toml") and "tests" not in path.parts]
    assert [str(path.relative_to(ROOT)) for path in ours if assignment.search(path.read_text())] == [
        "workbench/gpu_workbench/__about__.py"
    ]


def test_the_installed_version_is_the_one_in_the_tree() -> None:
    from importlib.metadata import version

    import gpu_workbench

    assert version("jupyter-gpu-workbench") == gpu_workbench.__version__


def test_importing_the_package_is_light() -> None:
    code = f"import sys, gpu_workbench; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert ended.stdout.split() == []


def test_every_name_of_the_package_can_be_had() -> None:
    import gpu_workbench

    assert [name for name in gpu_workbench.__all__ if not hasattr(gpu_workbench, name)] == []


def test_files_have_one_subject(tracked: list[Path]) -> None:
    """A soft ceiling: it is told, and fails nothing."""
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked
        if path.suffix == ".py" and (lines := path.read_bytes().count(b"\n")) > SOFT_CEILING
    }
    for name, lines in sorted(long.items(), key=lambda item: -item[1]):
        warnings.warn(f"{name} has {lines} lines: is it about one thing?", stacklevel=1)
