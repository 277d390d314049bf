"""What is left of a run when its agent is gone: the journal and the signed results, where they were stored."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Protocol

from gpu_workbench.core.events import Cursor


@dataclass(frozen=True)
class KeptResult:
    """A stored value: where its bytes are and who vouches for them."""

    name: str
    codec: str
    length: int
    digest: str
    signature: str
    path: Path


class Kept(Protocol):
    """Journal and results of an ended workload."""

    @property
    def run_key(self) -> bytes:
        """The key its results were signed with; empty where it is not here."""
        ...

    @property
    def near(self) -> bool:
        """Whether it lies on this machine, so that it is read in no time."""
        ...

    def journal(self, after: Cursor = Cursor.START) -> AsyncIterator[bytes]:
        """Chunks of whole journal lines after a cursor; from the beginning where that place is not in it.

        Raises:
            BackendError: the store cannot be read.
        """
        ...

    async def result(self, name: str) -> KeptResult | None:
        """A result, unread and unverified, its bytes in a file here; ``None`` where there is none of that name.

        Raises:
            BackendError: the store cannot be read.
        """
        ...

    async def names(self) -> list[str]:
        """The results there are.

        Raises:
            BackendError: the store cannot be read.
        """
        ...


@dataclass(frozen=True)
class KeptFolder:
    """Journal and results in folders of this machine.

    Args:
        journal_dir: Folder of journal segments, or of one such folder for each life of the agent.
        results: Folder of results and their table.
        run_key: The key its results were signed with.
        near: Whether they were here from the beginning.
    """

    journal_dir: Path
    results: Path
    run_key: bytes
    near: bool = True

    async def journal(self, after: Cursor = Cursor.START) -> AsyncIterator[bytes]:
        """Chunks of whole journal lines after a cursor; from the beginning where that place is not in it."""
        for chunk in _chunks(self.journal_dir, after):
            yield chunk

    async def result(self, name: str) -> KeptResult | None:
        """A result, unread and unverified."""
        return result_of(await self.table(), name, folder=self.results)

    async def names(self) -> list[str]:
        """The results there are."""
        return list(await self.table())

    async def table(self) -> dict[str, object]:
        """The table of results as it was written."""
        return read_table(self.results / TABLE)


TABLE = "results.json"


def read_table(path: Path) -> dict[str, object]:
    """The table of results in a file; empty where there is none, or it is no table."""
    try:
        form = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    table = form.get("values", form) if isinstance(form, dict) else {}
    return table if isinstance(table, dict) else {}


def result_of(table: dict[str, object], name: str, *, folder: Path) -> KeptResult | None:
    """What a table says of a result, whose bytes lie in ``folder``; ``None`` where it says nothing usable."""
    facts = table.get(name)
    if not isinstance(facts, dict):
        return None
    file = PurePosixPath(str(facts.get("file", name)))
    if file.is_absolute() or ".." in file.parts or not isinstance(facts.get("length"), int):
        return None
    return KeptResult(
        name=name,
        codec=str(facts.get("codec", "")),
        length=facts["length"],
        digest=str(facts.get("digest", "")),
        signature=str(facts.get("signature", "")),
        path=folder / file,
    )


def _chunks(folder: Path, after: Cursor) -> Iterator[bytes]:
    lives = sorted(
        (path for path in folder.glob("*") if path.is_dir()), key=lambda life: _first(life, "started")
    )
    lives = lives or [folder]
    number = 0
    for index, life in enumerate(lives):
        if after.epoch and _first(life, "epoch") == after.epoch:
            lives, number = lives[index:], after.n
            break
    for life in lives:
        yield from _lines_of(life, number)
        number = 0


def _lines_of(life: Path, number: int) -> Iterator[bytes]:
    """The lines after event ``number`` of one life. A segment goes by the number of its first event; there are no gaps."""
    segments = sorted(life.glob("*.ndjson"))
    while len(segments) > 1 and _begins(segments[1]) <= number + 1:
        segments.pop(0)
    for segment in segments:
        with segment.open("rb") as file:
            deque(islice(file, max(0, number + 1 - _begins(segment))), maxlen=0)
            while chunk := file.readlines(256 * 1024):
                yield b"".join(line for line in chunk if line.endswith(b"\n"))


def _begins(segment: Path) -> int:
    return int(segment.stem) if segment.stem.isdecimal() else 1


def _first(life: Path, name: str) -> str:
    """A member of a journal's first line; empty where it has none."""
    for segment in sorted(life.glob("*.ndjson"))[:1]:
        with segment.open("rb") as file, contextlib.suppress(ValueError):
            return str(json.loads(file.readline()).get(name, ""))
    return ""
