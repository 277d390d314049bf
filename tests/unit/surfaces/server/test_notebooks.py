"""The notebook of a workload: found where this server serves it, and never mistaken for another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_workbench.app.notebook import find_notebook, local_owner
from gpu_workbench.core.spec import WorkloadSpec
from gpu_workbench.surfaces.server.notebooks import document_path, file_name


def started_from(path: str, monkeypatch: pytest.MonkeyPatch, *, server: str = "/user/ada/") -> WorkloadSpec:
    """What a cell of that notebook asks for."""
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", server)
    monkeypatch.setenv("JPY_SESSION_NAME", path)
    found = find_notebook(owner=local_owner(), namespace={})
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
    return WorkloadSpec(id="a", notebook=found.id, notebook_path=found.shown)


def test_it_is_found_below_the_folder_that_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = started_from("/srv/work/deep/train.ipynb", monkeypatch)
    assert document_path(spec, root=Path("/srv/work")) == "deep/train.ipynb"
    assert document_path(spec, root=Path("/srv/work/deep")) == "train.ipynb"
    assert document_path(spec, root=Path("/srv/other")) == ""
    assert file_name(spec) == "train.ipynb"


def test_its_path_names_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    spec = started_from("/home/ada/train.ipynb", monkeypatch)
    assert spec.notebook_path == "~/train.ipynb"
    assert document_path(spec, root=Path("/home/ada")) == "train.ipynb"


@pytest.mark.parametrize("home", ["/", "/home/adam"])
def test_a_home_that_is_no_folder_above_it_changes_nothing(
    home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", home)
    assert document_path(started_from("/home/ada/x.ipynb", monkeypatch), root=Path("/home/ada")) == "x.ipynb"


def test_the_same_path_on_another_server_is_another_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = started_from("/srv/work/train.ipynb", monkeypatch, server="/user/bob/")
    assert document_path(spec, root=Path("/srv/work")) == ""
    assert file_name(spec) == "train.ipynb"


def test_what_no_notebook_started_has_none() -> None:
    assert document_path(WorkloadSpec(id="a"), root=Path("/")) == ""
    assert file_name(WorkloadSpec(id="a")) == ""
