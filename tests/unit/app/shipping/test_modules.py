"""After an edit: which modules are reloaded there and in which order, and when this kernel is the one behind."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_workbench.app.shipping.modules import Imported, module_names, to_reload

FILES = {
    "base_of_mine.py": "value = 1",
    "pkg_of_mine/__init__.py": "from .mid import middle",
    "pkg_of_mine/mid.py": "from base_of_mine import value\nmiddle = value",
    "pkg_of_mine/leaf.py": "from . import mid\nimport pkg_of_mine.other",
    "pkg_of_mine/other.py": "import os",
    "ring_a.py": "import ring_b",
    "ring_b.py": "import ring_a",
    "broken.py": "import (",
    "notes.txt": "",
    "src/deep/__init__.py": "",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_files_are_known_by_the_name_they_are_imported_by() -> None:
    assert module_names(
        ["pkg/__init__.py", "pkg/a.py", "src/deep/b.py", "my-script.py", "c.txt"], roots=[".", "src"]
    ) == {
        "pkg": "pkg/__init__.py",
        "pkg.a": "pkg/a.py",
        "deep.b": "src/deep/b.py",
    }


@pytest.mark.parametrize(
    ("changed", "order"),
    [
        (["base_of_mine.py"], ("base_of_mine", "pkg_of_mine.mid", "pkg_of_mine", "pkg_of_mine.leaf")),
        (["pkg_of_mine/leaf.py"], ("pkg_of_mine.leaf",)),
        (["pkg_of_mine/other.py"], ("pkg_of_mine.other", "pkg_of_mine.leaf")),
        (["notes.txt"], ()),
        (["broken.py"], ("broken",)),
    ],
)
def test_a_module_is_reloaded_after_what_it_imports(
    project: Path, changed: list[str], order: tuple[str, ...]
) -> None:
    modules = module_names(FILES, roots=["."])
    assert to_reload(changed, modules=modules, folder=project) == order


def test_modules_that_import_each_other_are_both_reloaded(project: Path) -> None:
    found = to_reload(["ring_a.py"], modules=module_names(FILES, roots=["."]), folder=project)
    assert set(found) == {"ring_a", "ring_b"}


def test_reloading_in_that_order_brings_the_new_value_to_the_end(project: Path) -> None:
    pkg = importlib.import_module("pkg_of_mine")
    path = project / "base_of_mine.py"
    path.write_text("value = 2222")
    for name in to_reload(["base_of_mine.py"], modules=module_names(FILES, roots=["."]), folder=project):
        if name in sys.modules:
            importlib.reload(sys.modules[name])
    assert pkg.middle == 2222


def test_an_edit_after_the_import_is_told_until_it_is_reloaded(project: Path) -> None:
    module = importlib.import_module("base_of_mine")
    imported = Imported(project)
    assert imported.message() == ""
    (project / "base_of_mine.py").write_text("value = 3333")
    os.utime(project / "base_of_mine.py", (2e9, 2e9))
    assert imported.behind() == ("base_of_mine",)
    assert "base_of_mine changed on disk" in imported.message()
    importlib.reload(module)
    assert imported.behind() == ()


def test_what_is_imported_later_counts_from_then_on(project: Path) -> None:
    imported = Imported(project)
    importlib.import_module("base_of_mine")
    imported.refresh()
    os.utime(project / "base_of_mine.py", (2e9, 2e9))
    assert imported.behind() == ("base_of_mine",)
