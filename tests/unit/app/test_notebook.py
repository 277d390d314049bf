"""Who asks: owners, notebooks, cells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpu_workbench.app.notebook import (
    Notebook,
    cell_id,
    find_notebook,
    local_owner,
    owner_of,
    server_base,
)


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")


def test_without_a_notebook_there_is_no_identity() -> None:
    assert find_notebook(owner="o", namespace={}) == Notebook()


def test_the_same_notebook_is_found_again_after_its_kernel_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/ada/a.ipynb")
    first = find_notebook(owner="o", namespace={})
    assert first == find_notebook(owner="o", namespace={"x": 1})
    assert first.path == "/home/ada/a.ipynb"
    assert len(first.id) == 16


def test_another_owner_server_or_path_is_another_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = set()
    for owner, prefix, path in [("o", "/1", "/a"), ("p", "/1", "/a"), ("o", "/2", "/a"), ("o", "/1", "/b")]:
        monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", prefix)
        monkeypatch.setenv("JPY_SESSION_NAME", path)
        ids.add(find_notebook(owner=owner, namespace={}).id)
    assert len(ids) == 4


def test_vs_code_says_its_file_in_the_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/inherited")
    assert find_notebook(owner="o", namespace={"__vsc_ipynb_file__": "/b.ipynb"}).path == "/b.ipynb"


def test_the_cell_is_what_the_request_says() -> None:
    assert cell_id({"header": {}, "metadata": {"cellId": "c-1", "trusted": True}}) == "c-1"
    assert cell_id({"metadata": {}}) == ""
    assert cell_id({}) == ""


def test_an_owner_is_no_readable_name_and_no_users_of_two_kinds_meet() -> None:
    assert owner_of("ada@example.com") == owner_of("ada@example.com") != owner_of("bob@example.com")
    assert "ada" not in owner_of("ada@example.com")
    assert local_owner() != owner_of("1000")


def test_the_servers_base_url_is_what_its_own_record_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert server_base() == "/user/ada/"
    monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("JPY_PARENT_PID", "4711")
    assert server_base() == "/"
    record = tmp_path / "jpserver-4711.json"
    for text, base in (('{"base_url": "/lab/of/ada/"}', "/lab/of/ada/"), ("[]", "/"), ("{", "/")):
        record.write_text(text)
        assert server_base() == base
    record.write_text(json.dumps({"base_url": "https://elsewhere"}))
    assert server_base() == "/"
