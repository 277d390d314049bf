"""A stored journal is read from any place of it: what follows that place comes, once, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.backends.kept import KeptFolder
from gpu_workbench.core.events import AgentStarted, Cursor, Entry, OutputWritten, decode_entry, encode_entry
from gpu_workbench.core.model import Kind

LIVES = {"aa": [4, 1, 5], "bb": [3, 3]}
"""Epoch to the events of each of its segments."""


def write(folder: Path, epoch: str, sizes: list[int], *, started: str) -> list[Cursor]:
    folder.mkdir(parents=True, exist_ok=True)
    number, found = 0, []
    for size in sizes:
        lines = []
        for n in range(number + 1, number + size + 1):
            event = (
                OutputWritten("r", "stream", {"name": "stdout", "text": f"{epoch}{n}"})
                if n > 1
                else AgentStarted(Kind.JOB, "1", started)
            )
            lines.append(encode_entry(Entry(rank=0, epoch=epoch, n=n, t=float(n), event=event)) + "\n")
            found.append(Cursor(epoch, n))
        (folder / f"{number + 1:016d}.ndjson").write_text("".join(lines))
        number += size
    return found


def read(folder: Path, after: Cursor) -> list[Cursor]:
    async def all_of() -> bytes:
        kept = KeptFolder(folder, folder, b"")
        return b"".join([chunk async for chunk in kept.journal(after)])

    entries = [decode_entry(line) for line in asyncio.run(all_of()).splitlines()]
    return [entry.cursor for entry in entries if entry is not None]


@given(at=st.integers(0, 15))
def test_one_life_in_one_folder(tmp_path_factory: object, at: int) -> None:
    folder = tmp_path_factory.mktemp("life")  # type: ignore[attr-defined]
    written = write(folder, "aa", LIVES["aa"], started="2026-01-01T00:00:00Z")
    assert read(folder, Cursor("aa", at)) == written[at:]


@given(at=st.integers(0, 16))
def test_several_lives_one_after_the_other(tmp_path_factory: object, at: int) -> None:
    folder = tmp_path_factory.mktemp("lives")  # type: ignore[attr-defined]
    written = write(folder / "bb", "bb", LIVES["bb"], started="2026-01-01T00:00:00Z")
    written += write(folder / "aa", "aa", LIVES["aa"], started="2026-01-02T00:00:00Z")
    after = Cursor.START if at == 0 else written[at - 1]
    assert read(folder, after) == written[at:]


def test_a_place_that_is_not_in_it_and_a_beginning_that_is_gone(tmp_path: Path) -> None:
    written = write(tmp_path, "aa", LIVES["aa"], started="2026-01-01T00:00:00Z")
    assert read(tmp_path, Cursor("other", 7)) == written
    sorted(tmp_path.glob("*.ndjson"))[0].unlink()
    assert read(tmp_path, Cursor("aa", 2)) == written[4:]
