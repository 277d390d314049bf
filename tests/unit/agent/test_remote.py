"""A store that is no folder holds what the folder here holds, and says what is wrong in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_workbench.agent.remote import RemoteStore, StoreUnusable
from gpu_workbench.core import events as e
from gpu_workbench.core.model import Phase
from tests.unit.agent.harness import job_agent

pytest.importorskip("fsspec")


def store(folder: Path) -> RemoteStore:
    return RemoteStore(f"file://{folder}")


def lay(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def test_what_is_new_or_has_changed_is_sent_and_what_went_goes(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    lay(here, table="1")
    lay(here / "journal" / "life", first="a", second="b")
    follower = store(there)
    follower.follow(here)
    assert (there / "journal" / "life" / "second").read_text() == "b"
    (there / "table").write_text("somebody else's")
    (here / "journal" / "life" / "second").write_text("b and more")
    (here / "journal" / "life" / "first").unlink()
    follower.follow(here)
    assert (there / "table").read_text() == "somebody else's", "what did not change is not sent again"
    assert [path.name for path in (there / "journal" / "life").iterdir()] == ["second"]
    assert (there / "journal" / "life" / "second").read_text() == "b and more"


def test_a_table_is_sent_after_what_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path / "here", **{"results.json": "{}"})
    lay(tmp_path / "here" / "results", weights="w")
    follower, sent = store(tmp_path / "there"), []
    monkeypatch.setattr(follower._folder, "put", lambda name, source: sent.append(Path(name).name))
    follower.follow(tmp_path / "here")
    assert sent == ["weights", "results.json"]


def test_files_and_folders_come_back(tmp_path: Path) -> None:
    lay(tmp_path / "there", life="7")
    lay(tmp_path / "there" / "sealed" / "values", **{"0": "zero"})
    lay(tmp_path / "there" / "sealed", job="j")
    fetcher = store(tmp_path / "there")
    assert fetcher.fetch("life", tmp_path / "life")
    assert (tmp_path / "life").read_text() == "7"
    assert not fetcher.fetch("nothing", tmp_path / "nothing")
    fetcher.fetch_folder("sealed", tmp_path / "sealed")
    assert (tmp_path / "sealed" / "values" / "0").read_text() == "zero"
    assert (tmp_path / "sealed" / "job").read_text() == "j"


def test_a_store_that_cannot_be_used_says_why() -> None:
    with pytest.raises(StoreUnusable, match="The image has no gcsfs, which the store gcs://bucket needs"):
        RemoteStore("gcs://bucket/0123456789ab")
    with pytest.raises(StoreUnusable, match="Protocol not known: nonsense"):
        RemoteStore("nonsense://bucket/0123456789ab")


def test_a_place_that_is_not_there_is_no_silence(tmp_path: Path) -> None:
    lay(tmp_path / "here", table="1")
    with pytest.raises(StoreUnusable, match="No such file or directory"):
        store(tmp_path / "nobody" / "made" / "this").follow(tmp_path / "here")


async def test_a_run_is_sealed_kept_and_counted_in_a_store(tmp_path: Path) -> None:
    there = tmp_path / "there" / "r1"
    there.mkdir(parents=True)
    for life in range(2):
        agent = job_agent(
            tmp_path / f"pod{life}",
            "print(n)\nanswer = n * 6",
            run="r1",
            out=("answer",),
            values={"n": 7},
            **{"store_dir": "", "store_url": f"file://{there}", "linger": 0.0},
        )
        sealed = tmp_path / f"pod{life}" / "sealed"
        sealed.rename(there / "sealed" if not life else tmp_path / "of no use")  # only the store has it
        try:
            agent.start()
            async with agent.client(after="") as client:
                assert (await client.event(e.AgentStarted)).generation == life
                assert (await client.event(e.RunEnded)).phase is Phase.SUCCEEDED
            assert agent.wait() == 0
        finally:
            agent.stop()
    assert (there / "results" / "answer").exists()
    lives = list((there / "journal").iterdir())
    assert len(lives) == 2
    assert all(b"RankEnded" in next(life.iterdir()).read_bytes() for life in lives)
