"""What the pages tell a reader to type, open or look up is there."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from gpu_workbench.backends.kubernetes.rights import RIGHTS
from gpu_workbench.core import errors, events
from gpu_workbench.surfaces.command_lines import parse_command
from gpu_workbench.surfaces.commands import MAGIC, PROGRAM, commands_of
from gpu_workbench.surfaces.flags import GPU_CELL, parse_cell_line

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
DECISIONS = sorted(DOCS.glob("decisions/0*.md"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def typed(path: Path) -> Iterator[str]:
    """The lines of ``%%gpu``, ``%gpu`` and ``gpu-workbench`` that a page or notebook shows for typing."""
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text())["cells"]
        lines = [line for cell in cells if cell["cell_type"] == "code" for line in cell["source"]]
    else:
        text = path.read_text()
        blocks = re.findall(r"^```(?:python|sh)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.splitlines()]
        lines += re.findall(r"`((?:%%gpu|gpu-workbench run) [^`]+)`", text)
    for line in lines:
        if line.startswith(("%%gpu", "%gpu", "gpu-workbench ")):
            yield re.sub(r"\{\w+\}", "a-name", line.partition(" #")[0].strip())


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=name_of)
def test_what_a_page_shows_for_typing_can_be_typed(path: Path) -> None:
    for line in typed(path):
        if line.startswith("%%gpu"):
            parse_cell_line(line.removeprefix("%%gpu"))
        elif line.startswith("%gpu"):
            parse_command(line.removeprefix("%gpu"))
        else:
            parse_command(line.removeprefix(PROGRAM), prefix=PROGRAM)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_of_a_page_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text())
    inside = [link for link in links if not re.match(r"\w+:", link)]
    assert [link for link in inside if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DECISIONS, ids=name_of)
def test_a_decision_has_its_form(path: Path) -> None:
    text = path.read_text()
    assert text.startswith(f"# {path.name[:4]} ")
    assert re.search(r"^\*\d{4}-\d\d-\d\d · (in force|replaced by \[\d{4}\]\(.*\))\*$", text, re.MULTILINE)
    parts = set(re.findall(r"^## (.*)$", text, re.MULTILINE))
    assert parts <= {"What we do", "Why", "What we need", "What else there was", "Measured", "What it costs"}
    assert "What we do" in parts
    assert parts & {"Why", "What we need"}


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == [*range(1, len(DECISIONS) + 1)]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """What makes the reference pages."""
    spec = importlib.util.spec_from_file_location("reference", DOCS / "_ext" / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_part_of_the_reference_has_its_place(reference: ModuleType) -> None:
    used = [
        part
        for path in PAGES
        for part in re.findall(r"^```\{generated\} (.+)$", path.read_text(), re.MULTILINE)
    ]
    assert sorted(used) == sorted(reference.PARTS)


def test_each_picture_of_the_docs_is_one_that_the_script_takes(reference: ModuleType) -> None:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    from tests.e2e.docs_pictures import IMAGES, INDEX, names, titles

    taken = sorted(names())
    text = "\n".join([*(path.read_text() for path in PAGES), reference.PARTS["states"]()])
    assert sorted(set(re.findall(r"images/([\w/-]+\.png)", text))) == taken
    assert sorted(str(path.relative_to(IMAGES)) for path in IMAGES.rglob("*.png")) == taken
    assert list(json.loads(INDEX.read_text())) == titles(), (
        "take them anew: python -m tests.e2e.docs_pictures"
    )


def test_the_reference_leaves_nothing_out(reference: ModuleType) -> None:
    magics = reference.PARTS["magics"]()
    for flag in GPU_CELL:
        assert f"{flag.name}" in magics
    for command in commands_of(MAGIC):
        assert f"## `%gpu {command}".rstrip() in magics
    for command in commands_of(PROGRAM):
        assert f"## `gpu-workbench {command}".rstrip() in reference.PARTS["commands"]()
    for name, thing in vars(errors).items():
        if isinstance(thing, type) and issubclass(thing, errors.WorkbenchError):
            assert f"`{name}`" in reference.PARTS["errors"]()
    for name, thing in vars(events).items():
        if (
            dataclasses.is_dataclass(thing)
            and name in events.__dict__
            and thing.__module__ == events.__name__
        ):
            assert (f"`{name}`" in reference.PARTS["events"]()) == (name not in ("Cursor", "Entry"))
    for right in RIGHTS:
        assert right.why in reference.PARTS["rights"]()
