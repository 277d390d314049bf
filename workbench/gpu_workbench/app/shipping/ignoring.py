"""What lies in a folder and is not ignored: by its ``.gitignore`` files, or because it never belongs to a project."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pathspec import GitIgnoreSpec

ALWAYS = frozenset(
    {
        *(".git", ".hg", ".svn", "__pycache__", ".ipynb_checkpoints", ".venv", "node_modules", ".DS_Store"),
        *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox", ".cache", ".gpu-workbench"),
        *(".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", ".pypirc", ".git-credentials"),
    }
)
"""Version control, caches, environments, and where people keep their keys."""

SETTLED = 2_000_000_000
"""Nanoseconds after which a modification time is believed: a second change within the clock's grain would not show."""

_GITIGNORE = ".gitignore"
_Listing = tuple[list[str], list[str]]


class Ignoring:
    """The listing of a folder tree without what is ignored. A folder that did not change is not listed again.

    Args:
        root: The tree's folder. If it is the home folder, everything hidden is left out too.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._hidden = Path(root) == Path.home()
        self._specs: dict[str, tuple[tuple[int, int], GitIgnoreSpec]] = {}
        self._listings: dict[str, tuple[tuple[int, int], _Listing]] = {}

    def refresh(self) -> None:
        """Look whether a known ``.gitignore`` changed; then everything is listed anew."""
        for folder, (signature, _) in self._specs.items():
            if _signature(f"{self.root}/{folder}{_GITIGNORE}") != signature:
                self._specs.clear()
                self._listings.clear()
                return

    def listing(self, folder: str) -> _Listing:
        """Folders and files in ``folder``, which is relative and ends with ``/`` unless it is the root: ``""``."""
        signature = _signature(f"{self.root}/{folder}")
        known = self._listings.get(folder)
        if known is not None and known[0] == signature and signature != (0, 0):
            return known[1]
        found = self._list(folder)
        if time.time_ns() - signature[0] > SETTLED:
            self._listings[folder] = signature, found
        return found

    def _list(self, folder: str) -> _Listing:
        folders: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(f"{self.root}/{folder}") as entries:
                found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        except OSError:  # gone, or not ours to read
            return [], []
        names = {name for name, _ in found}
        if folder and "pyvenv.cfg" in names:
            return [], []
        if _GITIGNORE in names and folder not in self._specs:
            self._learn(folder)
        for name, is_folder in found:
            path = f"{folder}{name}/" if is_folder else f"{folder}{name}"
            if name in ALWAYS or (self._hidden and name.startswith(".")) or self._ignored(path):
                continue
            (folders if is_folder else files).append(path)
        return folders, files

    def _learn(self, folder: str) -> None:
        file = Path(self.root, folder, _GITIGNORE)
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        self._specs[folder] = _signature(str(file)), GitIgnoreSpec.from_lines(lines)
        for known in [path for path in self._listings if path.startswith(folder)]:
            del self._listings[known]

    def _ignored(self, path: str) -> bool:
        """The nearest ``.gitignore`` that has something to say decides."""
        folder = path.rstrip("/")
        while folder:
            folder = folder.rpartition("/")[0]
            spec = self._specs.get(f"{folder}/" if folder else "")
            if spec is not None:
                said = spec[1].check_file(path[len(folder) + 1 if folder else 0 :]).include
                if said is not None:
                    return said
        return False


def _signature(path: str) -> tuple[int, int]:
    try:
        state = os.stat(path)  # noqa: PTH116 - thousands of paths
    except OSError:
        return 0, 0
    return state.st_mtime_ns, state.st_ino
