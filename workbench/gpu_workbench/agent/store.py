"""What of a run outlives its agent: a copy of the journal that follows it, and which life of the run this is."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path

from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.results import replace_file

INTERVAL = 1.0
"""Seconds between two looks at what the journal has become."""

LIFE = "life.json"
"""The file that counts the lives of a run."""

_PIECE = 4 * 2**20


class JournalCopy:
    """Keeps ``folder`` like the journal's own folder: what was appended there is appended here, what went there goes here.

    Args:
        journal: To copy.
        folder: Where to; one folder for each epoch.
    """

    def __init__(self, journal: Journal, folder: Path) -> None:
        self._journal = journal
        self._folder = folder / journal.epoch
        self._sizes: dict[str, int] = {}
        self._one_at_a_time = threading.Lock()

    def copy(self) -> None:
        """Copy what is new. Any thread. A folder that fails now may be there a second later."""
        with self._one_at_a_time, contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self._journal.files()
            for path, size in found.items():
                self._append(path, size)
            for gone in self._sizes.keys() - {path.name for path in found}:
                (self._folder / gone).unlink(missing_ok=True)
                del self._sizes[gone]

    def _append(self, path: Path, size: int) -> None:
        done = self._sizes.setdefault(path.name, 0)
        if done >= size:
            return
        with path.open("rb") as source, (self._folder / path.name).open("ab") as target:
            source.seek(done)
            while done < size and (piece := source.read(min(_PIECE, size - done))):
                target.write(piece)
                done += len(piece)
            target.flush()
            os.fsync(target.fileno())
            self._sizes[path.name] = done


def next_life(folder: Path) -> int:
    """The generation of a run that starts now: 0, and one more for each time it was started before with this folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / LIFE
    generation = 0
    try:
        generation = int(json.loads(path.read_text())["generation"]) + 1
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError, OSError):
        generation = 1
    replace_file(path, json.dumps({"generation": generation}).encode())
    return generation
