"""What is left of a run when its agent is gone: the journal and the signed results, where they were stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


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
        """The key its results were signed with."""
        ...

    def journal(self) -> Iterator[bytes]:
        """Chunks of whole journal lines, from the beginning."""
        ...

    def result(self, name: str) -> KeptResult | None:
        """A result, unread and unverified; ``None`` where there is none of that name."""
        ...

    def names(self) -> list[str]:
        """The results there are."""
        ...


@dataclass(frozen=True)
class KeptFolder:
    """Journal and results in folders of this machine.

    Args:
        journal: Folder of journal segments.
        results: Folder of results.
        run_key: The key its results were signed with.
    """

    journal_dir: Path
    results: Path
    run_key: bytes

    def journal(self) -> Iterator[bytes]:
        """Chunks of whole journal lines, from the beginning."""
        for segment in sorted(self.journal_dir.glob("*.ndjson")):
            with segment.open("rb") as file:
                while chunk := file.readlines(256 * 1024):
                    yield b"".join(line for line in chunk if line.endswith(b"\n"))

    def result(self, name: str) -> KeptResult | None:
        """A result, unread and unverified."""
        facts = self._table().get(name)
        if not isinstance(facts, dict):
            return None
        return KeptResult(
            name=name,
            codec=str(facts.get("codec", "")),
            length=int(facts.get("length", 0)),
            digest=str(facts.get("digest", "")),
            signature=str(facts.get("signature", "")),
            path=self.results / str(facts.get("file", name)),
        )

    def names(self) -> list[str]:
        """The results there are."""
        return list(self._table())

    def _table(self) -> dict[str, object]:
        try:
            form = json.loads((self.results / "results.json").read_text())
        except (OSError, ValueError):
            return {}
        table = form.get("values", form) if isinstance(form, dict) else {}
        return table if isinstance(table, dict) else {}
