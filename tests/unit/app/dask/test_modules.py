"""The notebook's own modules on a cluster: which travel, when they travel again, and what becomes of them there."""

from __future__ import annotations

import asyncio
import base64
import importlib
import io
import json
import subprocess
import sys
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from gpu_workbench.app.dask import modules, onworkers
from gpu_workbench.app.dask.modules import LocalModules
from gpu_workbench.core.errors import TooLarge


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of modules that this process can import, and forgets afterwards."""
    folder = tmp_path / "project"
    for path, text in {
        ".git/HEAD": "",
        "gwb_helpers.py": "import json\nimport gwb_deeper.inner\nVALUE = 1\ndef f(): import gwb_later\n",
        "gwb_later.py": "",
        "gwb_deeper/__init__.py": "",
        "gwb_deeper/inner.py": "import gwb_third\n",
        "gwb_deeper/data.csv": "1,2",
        "gwb_third.py": "",
        "gwb_unused.py": "",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("gwb_"):
            del sys.modules[name]


def local_modules(project: Path) -> LocalModules:
    """As of a notebook in that project: what these tests themselves have imported lies in another one."""
    made = LocalModules(project)
    made._looked = set(sys.modules)
    return made


def files(archive: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        return {name: found.read(name).decode() for name in found.namelist()}


def test_what_the_notebook_has_imported_travels_with_all_it_imports_of_the_project(project: Path) -> None:
    local = local_modules(project)
    assert local.changed() is None, "nothing is imported"
    importlib.import_module("gwb_helpers")
    found = local.changed()
    assert found is not None
    archive, names = found
    assert names == ("gwb_deeper", "gwb_helpers", "gwb_later", "gwb_third")
    assert set(files(archive)) == {
        "gwb_helpers.py",
        "gwb_deeper/__init__.py",
        "gwb_deeper/inner.py",
        "gwb_later.py",  # which is not imported yet
        "gwb_third.py",
    }
    assert "VALUE = 1" in files(archive)["gwb_helpers.py"]


def test_they_travel_again_when_one_is_new_or_has_changed_and_not_otherwise(project: Path) -> None:
    local = local_modules(project)
    importlib.import_module("gwb_third")
    assert local.changed() is not None
    assert local.changed() is None
    (project / "gwb_third.py").write_text("VALUE = 2\n")
    found = local.changed()
    assert found is not None
    assert files(found[0]) == {"gwb_third.py": "VALUE = 2\n"}
    importlib.import_module("gwb_unused")
    found = local.changed()
    assert found is not None
    assert found[1] == ("gwb_third", "gwb_unused")
    (project / "gwb_deeper/late.py").touch()
    assert local.changed() is None, "nobody imports that package"


def test_what_is_installed_or_has_no_file_does_not_travel(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = local_modules(project)
    monkeypatch.setitem(sys.modules, "gwb_made_here", types.ModuleType("gwb_made_here"))
    local._looked -= {"yaml", "sys", "json"}
    importlib.import_module("yaml")
    assert local.changed() is None


def test_a_module_that_is_gone_from_the_disk_is_no_error(project: Path) -> None:
    local = local_modules(project)
    importlib.import_module("gwb_third")
    importlib.import_module("gwb_unused")
    assert local.changed() is not None
    (project / "gwb_third.py").unlink()
    found = local.changed()
    assert found is not None
    assert set(files(found[0])) == {"gwb_unused.py"}
    assert local.changed() is None


def test_more_than_travels_is_refused_with_where_it_lies(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules, "LIMIT", 10)
    local = local_modules(project)
    importlib.import_module("gwb_helpers")
    for _ in range(2):
        with pytest.raises(TooLarge, match=f"they lie in {project}"):
            local.changed()


# --- In a process of the cluster

PROGRAM = """
import base64, json, pathlib, sys
def run(archives):
    import cloudpickle
    install, remove = cloudpickle.loads(base64.b64decode(sys.stdin.readline()))
    told = {"ours": sorted(name for name in sys.modules if name.partition(".")[0] == "gpu_workbench")}
    import gwb_mod, gwb_pack.inner
    told["image's own"] = [gwb_mod.VALUE, gwb_pack.inner.VALUE]
    folders = []
    for name in ("first", "second"):
        folders.append(install(base64.b64decode(archives[name]), ("gwb_mod", "gwb_pack")))
        import gwb_mod, gwb_pack.inner
        told[name] = [gwb_mod.VALUE, gwb_pack.inner.VALUE]
    for folder in folders:
        remove(folder)
    told["left"] = [folder for folder in folders if pathlib.Path(folder).exists() or folder in sys.path]
    print(json.dumps(told))
run(json.loads(sys.stdin.readline()))
"""


def archive(value: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("gwb_mod.py", f"VALUE = {value}\n")
        made.writestr("gwb_pack/__init__.py", "")
        made.writestr("gwb_pack/inner.py", f"VALUE = {value}\n")
    return buffer.getvalue()


def test_a_worker_imports_what_was_sent_last_in_place_of_what_it_had(tmp_path: Path) -> None:
    """In an interpreter of its own that has nothing of ours, with modules of the same names already imported."""
    with zipfile.ZipFile(io.BytesIO(archive(0))) as found:
        found.extractall(tmp_path)
    cloudpickle.register_pickle_by_value(onworkers)
    try:
        functions = cloudpickle.dumps((onworkers.install, onworkers.remove))
    finally:
        cloudpickle.unregister_pickle_by_value(onworkers)
    archives = {
        name: base64.b64encode(archive(number)).decode() for name, number in (("first", 1), ("second", 2))
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=f"{json.dumps(archives)}\n{base64.b64encode(functions).decode()}\n",
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "ours": [],
        "image's own": [0, 0],
        "first": [1, 1],
        "second": [2, 2],
        "left": [],
    }


@pytest.fixture
def unchanged_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def folders() -> list[str]:
    return [path for path in sys.path if "gpu-workbench-modules-" in path]


def test_a_worker_that_ends_leaves_no_folder(unchanged_path: None) -> None:
    plugin = onworkers.WorkerModules(archive(1), ("gwb_mod", "gwb_pack"))
    plugin.teardown(None)  # before its setup: nothing to do
    plugin.setup(None)
    (folder,) = folders()
    plugin.teardown(None)
    plugin.teardown(None)
    assert folders() == []
    assert not Path(folder).exists()


def test_a_scheduler_has_the_last_modules_alone(unchanged_path: None) -> None:
    scheduler: Any = types.SimpleNamespace()
    for number in (1, 2):
        asyncio.run(onworkers.SchedulerModules(archive(number), ("gwb_mod",)).start(scheduler))
        (folder,) = folders()
        assert (Path(folder) / "gwb_mod.py").read_text() == f"VALUE = {number}\n"
    onworkers.remove(folder)
