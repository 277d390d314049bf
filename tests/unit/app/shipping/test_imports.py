"""Which modules a cell needs, where each comes from, and what the image is asked."""

from __future__ import annotations

import ast
import importlib.machinery
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench.app.shipping.imports import (
    import_roots,
    imports_of,
    imports_of_code,
    local_place,
    needed,
    outside,
)


def test_every_import_of_a_cell_is_found_with_its_line() -> None:
    cell = "import a.b as c, d\ndef f():\n    from e.f import g\n    from . import h\nimport a\n"
    assert imports_of(ast.parse(cell)) == {"a": 1, "d": 1, "e": 3}


def test_an_import_whose_failure_is_caught_is_not_needed() -> None:
    cell = "try:\n    import fast\nexcept ImportError:\n    import slow\ntry:\n    import must\nfinally:\n    pass"
    assert imports_of(ast.parse(cell)) == {"slow": 4, "must": 6}


def test_imports_inside_functions_are_found_in_their_code() -> None:
    def outer() -> Any:
        from json import decoder

        def inner() -> Any:
            from collections import abc

            return abc

        return decoder, inner

    assert imports_of_code(outer.__code__) == {"json", "collections"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    for path, text in {
        "project/helpers.py": "import flash_attn_no_such\nfrom pkg_of_mine import core",
        "project/src/pkg_of_mine/__init__.py": "",
        "project/src/pkg_of_mine/core.py": "import numpy\nimport os",
        "elsewhere/lib_of_mine/__init__.py": "import another_no_such",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    for entry in (folder / "src", tmp_path / "elsewhere"):
        monkeypatch.syspath_prepend(str(entry))
    return folder


def test_what_the_project_has_is_followed_and_the_rest_must_be_in_the_image(project: Path) -> None:
    found = needed({"helpers": 1, "lib_of_mine": 2, "pandas": 3, "sys": 4}, folder=project)
    assert found.installed == {"flash_attn_no_such": 0, "another_no_such": 0, "numpy": 0, "pandas": 3}
    assert set(found.project) == {"helpers", "pkg_of_mine", "lib_of_mine"}
    assert import_roots(found.project, folder=project) == (".", "src")
    assert outside(found.project, folder=project) == {"lib_of_mine": project.parent / "elsewhere/lib_of_mine"}


def test_what_was_installed_elsewhere_is_installed_too(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a cluster's module system puts packages onto the path."""
    for path in ("modules/fftw_of_site/__init__.py", "modules/fftw_of_site-1.0.dist-info/METADATA"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    (project / "unpacked-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(project))
    found = needed({"helpers": 1, "fftw_of_site": 2}, folder=project)
    assert "fftw_of_site" in found.installed
    assert set(found.project) == {"helpers", "pkg_of_mine"}


def test_a_folder_around_the_project_is_no_module_of_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any folder can be imported: one beside the project is a module, and one around it is far more."""
    (project.parent / "loose").mkdir()
    monkeypatch.syspath_prepend(str(project.parent.parent))
    monkeypatch.syspath_prepend(str(project.parent))
    around = project.parent.name.replace("-", "_")
    monkeypatch.setitem(sys.modules, around, _folder_module(around, project.parent))
    assert local_place("loose", folder=project) == project.parent / "loose"
    assert local_place(around, folder=project) is None


def _folder_module(name: str, place: Path) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
    module.__spec__.submodule_search_locations = [str(place)]
    return module
