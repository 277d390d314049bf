"""The project folder as the session's working directory is to mirror it: what is in it, what changed, what is left out.

A file is read only when its size, modification time or inode changed since it was last read. Two kinds of folder are
mirrored: the project itself, and packages that are imported here from elsewhere without being installed (editable
installs), which are laid into :data:`OUTSIDE`.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gpu_workbench.app.shipping.ignoring import SETTLED, Ignoring
from gpu_workbench.core.sealed import content_hash

TOTAL_LIMIT = 100 * 2**20
FILE_LIMIT = 20 * 2**20
COUNT_LIMIT = 20_000
OUTSIDE = ".gpu-workbench/path"

_FILE, _EXECUTABLE, _LINK = 0o100644, 0o100755, 0o120000


@dataclass(frozen=True)
class FileEntry:
    """One file of the mirror.

    Args:
        hash: :func:`~gpu_workbench.core.sealed.content_hash` of the content; of a link, of where it points.
        mode: As git has it: 0o100644, 0o100755 for what can be executed, 0o120000 for a link.
        size: Bytes.
    """

    hash: str
    mode: int
    size: int


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is not mirrored though nothing ignores it, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Mirror:
    """A project folder at one moment: relative path with ``/`` to file, and what did not fit."""

    files: Mapping[str, FileEntry] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())


@dataclass(frozen=True)
class Change:
    """What turns one mirror into another: files that are new or different, and paths that are gone."""

    files: Mapping[str, FileEntry]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.files or self.remove)


def change(before: Mapping[str, FileEntry], after: Mapping[str, FileEntry]) -> Change:
    """What is to be sent to whom has ``before``, so that it has ``after``."""
    if before == after:
        return Change({}, ())
    files = {path: entry for path, entry in after.items() if before.get(path) != entry}
    return Change(files, tuple(path for path in before if path not in after))


def project_folder(start: Path) -> Path:
    """The project that ``start`` is in: the folder with ``.git`` at or above it, else ``start`` itself.

    A repository at the home folder or above is somebody's settings, not a project.
    """
    start = start.resolve()
    beyond = {Path.home(), *Path.home().parents}
    for folder in (start, *start.parents):
        if folder in beyond:
            break
        if (folder / ".git").exists():
            return folder
    return start


class Project:
    """A project folder, looked at again and again.

    Args:
        folder: The project's folder.
        outside: Name to folder or file of packages imported from elsewhere.
        total_limit: Bytes of all files together; the nearest to the top come first.
        file_limit: Bytes of one file.
        count_limit: Files and folders at most.
    """

    def __init__(
        self,
        folder: Path,
        *,
        outside: Mapping[str, Path] | None = None,
        total_limit: int = TOTAL_LIMIT,
        file_limit: int = FILE_LIMIT,
        count_limit: int = COUNT_LIMIT,
    ) -> None:
        self.folder = folder
        self.outside = dict(outside or {})
        self.total_limit, self.file_limit, self.count_limit = total_limit, file_limit, count_limit
        self._known: dict[str, tuple[tuple[int, int, int, int], FileEntry]] = {}
        self._sources: dict[str, str] = {}
        self._ignoring: dict[str, Ignoring] = {}

    def scan(self) -> Mirror:
        """Look at every file's state, and read those that changed."""
        files: dict[str, FileEntry] = {}
        left_out: list[LeftOut] = []
        known, self._known = self._known, {}
        total, now = 0, time.time_ns()
        for path, full, state in self._walk(left_out):
            signature = (state.st_size, state.st_mtime_ns, state.st_ino, state.st_mode)
            if stat.S_ISREG(state.st_mode) and state.st_size > self.file_limit:
                left_out.append(LeftOut(path, f"{_mib(state.st_size)}, over {_mib(self.file_limit)} a file"))
                continue
            if total + state.st_size > self.total_limit:
                left_out.append(LeftOut(path, f"over {_mib(self.total_limit)} in total"))
                continue
            before = known.get(path)
            if before is not None and before[0] == signature:
                entry = before[1]
            else:
                try:
                    entry = self._read(path, full, state)
                except OSError as error:
                    left_out.append(LeftOut(path, error.strerror or str(error)))
                    continue
                if not entry.hash:
                    left_out.append(LeftOut(path, "a link to outside the project"))
                    continue
            if now - state.st_mtime_ns > SETTLED:
                self._known[path] = signature, entry
            files[path] = entry
            total += entry.size
            self._sources[entry.hash] = full
        return Mirror(files, tuple(left_out))

    def content(self, wanted: str) -> bytes:
        """The content with that hash, as it was at the last scan.

        Raises:
            FileNotFoundError: it is not there any more; scan again.
        """
        full = self._sources.get(wanted)
        if full is not None:
            data = _content(full)
            if content_hash(data) == wanted:
                return data
        raise FileNotFoundError(f"a file of {self.folder} changed while it was being sent")

    def why_absent(self, path: str, mirror: Mirror) -> str:
        """Why a file that code in the session looked for is not there though it is here; empty if it is not here either.

        Args:
            path: As the code gave it, absolute or relative to the project folder.
            mirror: What was sent.
        """
        full = Path(os.path.normpath(self.folder / path))
        if not full.exists():
            return ""
        if not full.is_relative_to(self.folder):
            return f"{path} is outside the project folder {self.folder.name}"
        relative = full.relative_to(self.folder).as_posix()
        for item in mirror.left_out:
            if relative == item.path or relative.startswith(f"{item.path}/"):
                return f"{path} was left out: {item.reason}"
        return "" if relative in mirror.files else f"{path} is ignored by .gitignore"

    def _walk(self, left_out: list[LeftOut]) -> Iterator[tuple[str, str, os.stat_result]]:
        """Relative path, full path and state of each file and link; nearest to the top first."""
        roots = [
            ("", str(self.folder)),
            *((f"{OUTSIDE}/{name}", str(at)) for name, at in self.outside.items()),
        ]
        count = 0
        for prefix, root in roots:
            if not os.path.isdir(root):  # noqa: PTH112 - thousands of paths: strings are several times faster
                if os.path.exists(root):  # noqa: PTH110
                    yield prefix, root, os.stat(root)  # noqa: PTH116
                continue
            ignoring = self._ignoring.setdefault(root, Ignoring(root))
            ignoring.refresh()
            folders = [""]
            for folder in folders:  # grows as we go: breadth first
                inside, found = ignoring.listing(folder)
                folders.extend(inside)
                for name in found:
                    full = f"{root}/{name}"
                    try:
                        state = os.lstat(full)
                    except FileNotFoundError:
                        continue
                    if not (stat.S_ISREG(state.st_mode) or stat.S_ISLNK(state.st_mode)):
                        continue
                    count += 1
                    if count > self.count_limit:
                        left_out.append(
                            LeftOut(folder or ".", f"over {self.count_limit:,} files; the rest too")
                        )
                        return
                    yield f"{prefix}/{name}" if prefix else name, full, state

    def _read(self, path: str, full: str, state: os.stat_result) -> FileEntry:
        data = _content(full)
        if stat.S_ISLNK(state.st_mode):
            target = os.path.normpath(os.path.join(os.path.dirname(path), os.fsdecode(data)))  # noqa: PTH118, PTH120
            inside = not target.startswith(("/", ".."))
            return FileEntry(content_hash(data) if inside else "", _LINK, len(data))
        mode = _EXECUTABLE if state.st_mode & 0o100 else _FILE
        return FileEntry(content_hash(data), mode, len(data))


def _content(full: str) -> bytes:
    if os.path.islink(full):  # noqa: PTH114
        return os.fsencode(os.readlink(full))  # noqa: PTH115
    with open(full, "rb") as file:  # noqa: PTH123
        return file.read()


def _mib(size: int) -> str:
    return f"{size / 2**20:.4g} MiB"
