"""The agent as one file: small enough for a ConfigMap, whatever has to be left out for that."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gpu_workbench.backends import archive


def names_in(data: bytes) -> set[str]:
    return set(zipfile.ZipFile(io.BytesIO(data)).namelist())


def test_what_is_compiled_lies_beside_each_source_and_both_fit() -> None:
    data = archive.agent_archive()
    assert len(data) <= archive.SIZE_LIMIT
    sources = {name for name in names_in(data) if name.endswith(".py")}
    given_as_files = set(archive._PRELOADS)
    assert given_as_files < sources
    assert names_in(data) == sources | {f"{name}c" for name in sources - given_as_files}


def test_where_both_do_not_fit_the_sources_go_alone_and_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(archive, "SIZE_LIMIT", len(archive.agent_archive()) - 1)
    archive.agent_archive.cache_clear()
    data = archive.agent_archive()
    archive.agent_archive.cache_clear()
    assert names_in(data) == archive.agent_sources().keys()
    path = tmp_path / "agent.pyz"
    path.write_bytes(data)
    code = f"import sys; sys.path.insert(0, {str(path)!r}); from gpu_workbench.agent import serving; print(serving.__file__)"
    ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(str(path))


def test_sources_that_do_not_fit_either_are_an_error_with_both_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive, "SIZE_LIMIT", 1000)
    archive.agent_archive.cache_clear()
    with pytest.raises(RuntimeError, match=r"has \d{6} bytes; 1000 are its limit"):
        archive.agent_archive()
