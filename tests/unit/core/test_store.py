"""A store is written in one of two ways, and what pods cannot see is none."""

from __future__ import annotations

import pytest

from gpu_workbench.core.errors import FlagError
from gpu_workbench.core.store import Store, parse_store


@pytest.mark.parametrize(
    ("text", "store"),
    [
        ("pvc://runs", Store(claim="runs")),
        ("pvc://team.runs-1/llm/2026/", Store(claim="team.runs-1", folder="llm/2026")),
        ("s3://bucket/a folder/", Store(url="s3://bucket/a folder")),
        ("gcs://bucket", Store(url="gcs://bucket")),
        ("simplecache::s3://bucket/x", Store(url="simplecache::s3://bucket/x")),
    ],
)
def test_what_is_written_is_what_is_meant(text: str, store: Store) -> None:
    assert parse_store(text) == store
    assert parse_store(str(store)) == store


@pytest.mark.parametrize(
    "text",
    [
        "",
        "runs",
        "runs:/path",
        "/mnt/runs",
        "pvc://",
        "pvc:///x",
        "pvc://Runs",
        "pvc://runs/../other",
        "s3:/x",
        "S3://x",
    ],
)
def test_what_is_no_store_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(FlagError, match="pvc://claim/folder"):
        parse_store(text)


@pytest.mark.parametrize("text", ["file:///tmp/x", "local://x", "memory://x"])
def test_a_place_of_this_machine_is_refused_and_why(text: str) -> None:
    with pytest.raises(FlagError, match="pods do not see it"):
        parse_store(text)


def test_each_run_has_a_folder_of_its_own() -> None:
    assert parse_store("s3://bucket/runs").url_of("0123456789ab") == "s3://bucket/runs/0123456789ab"
