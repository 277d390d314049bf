"""The working directory as a mirror of the project folder: contents by hash first, then the layout in one go."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gpu_workbench.core.sealed import content_hash
from gpu_workbench.core.wire import Json, JsonObject
from gpu_workbench.transport.server import HttpError
from gpu_workbench.transport.tar import BadArchive, stays_inside, unpack

ReadInto = Callable[[memoryview], Awaitable[int]]

_HASH = re.compile(r"[0-9a-f]{16,128}")


@dataclass(frozen=True)
class WantedFile:
    """A file of the mirror, or a link, whose content is where it leads."""

    path: PurePosixPath
    hash: str
    mode: int
    link: bool = False


@dataclass
class Mirror:
    """The files this agent laid out, and the contents it holds.

    Args:
        work_dir: Where files go.
        contents: Folder of contents by hash.
    """

    work_dir: Path
    contents: Path
    laid: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.contents.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._record = self.contents / "laid.json"
        if self._record.exists():
            self.laid = json.loads(self._record.read_text())

    def missing(self, manifest: JsonObject) -> list[str]:
        """Hashes of wanted contents that are neither held nor laid out already."""
        files, _ = _wanted(manifest)
        return sorted(
            {
                item.hash
                for item in files
                if not self._is_laid(item) and not (self.contents / item.hash).exists()
            }
        )

    def _is_laid(self, item: WantedFile) -> bool:
        return self.laid.get(str(item.path)) == item.hash and os.path.lexists(self.work_dir / item.path)

    def content(self, manifest: JsonObject, digest: str) -> bytes:
        """A wanted content that is held, or laid out already.

        Raises:
            HttpError: 409, it is neither, or what is laid out was changed since.
        """
        files, _ = _wanted(manifest)
        laid = next((item for item in files if item.hash == digest), None)
        path = self.contents / digest
        if not path.exists() and laid is not None:
            path = self.work_dir / laid.path
        try:
            content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
        except OSError:
            content = b""
        if content_hash(content) != digest:
            name = laid.path if laid else digest
            raise HttpError(
                409, "missing-content", f"{name} was changed in the session and cannot be passed on"
            )
        return content

    def import_folders(self, manifest: JsonObject) -> list[str]:
        """Where in the mirror modules are imported from, as the manifest says."""
        folders = manifest.get("paths")
        if not isinstance(folders, list):
            return []
        return [str(self.work_dir / str(path)) for path in folders]

    def put(self, digest: str, content: bytes) -> None:
        """Hold a content.

        Raises:
            HttpError: 400, it is not what its hash says.
        """
        if not _HASH.fullmatch(digest) or content_hash(content) != digest:
            raise HttpError(400, "bad-hash", "The content is not what its hash says")
        _write(self.contents / digest, content, 0o600)

    async def put_all(self, readinto: ReadInto, *, length: int) -> None:
        """Hold many contents: a stream of tar whose files are named by their hashes.

        Raises:
            HttpError: 400, it is none, or a content is not what its hash says.
        """
        folder = Path(tempfile.mkdtemp(dir=self.contents, prefix="incoming-"))
        try:
            await unpack(readinto, folder, length=length)
            await asyncio.to_thread(self._hold_all, folder)
        except (BadArchive, OSError) as error:
            raise HttpError(400, "bad-archive", str(error)) from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _hold_all(self, folder: Path) -> None:
        for path in folder.iterdir():
            self.put(path.name, path.read_bytes())

    def commit(self, manifest: JsonObject) -> list[str]:
        """Write what differs from the wanted mirror and remove what it names; returns the paths touched.

        A manifest that says it is the ``whole`` mirror also removes everything laid out before that is not in it.

        Raises:
            HttpError: 409, a content is missing.
        """
        files, removed = _wanted(manifest)
        if manifest.get("whole"):
            wanted = {str(item.path) for item in files}
            removed = [PurePosixPath(path) for path in self.laid if path not in wanted]
        touched = [str(gone) for gone in removed]
        for gone in removed:
            self._remove(gone)
        try:
            for item in files:
                if not self._is_laid(item):
                    self._lay(item)
                    touched.append(str(item.path))
        finally:
            self._record.write_text(json.dumps(self.laid))
        for item in files:
            (self.contents / item.hash).unlink(missing_ok=True)
        return touched

    def _lay(self, item: WantedFile) -> None:
        source = self.contents / item.hash
        if not source.exists():
            raise HttpError(409, "missing-content", f"The content of {item.path} was not sent")
        target = self._inside(item.path)
        if target.is_dir() and not target.is_symlink():
            self._clear(target)
        if item.link:
            leads_to = os.fsdecode(source.read_bytes())
            if not stays_inside(str(item.path), leads_to):
                raise HttpError(400, "bad-path", f"The link {item.path} leads out of the working directory")
            target.unlink(missing_ok=True)
            target.symlink_to(leads_to)
        else:
            _write(target, source.read_bytes(), item.mode)
            for compiled in (target.parent / "__pycache__").glob(f"{target.stem}.*.pyc"):
                compiled.unlink(missing_ok=True)  # Python tells files apart by size and second only
        self.laid[str(item.path)] = item.hash

    def _remove(self, path: PurePosixPath) -> None:
        """Take a file away, and the folders that it leaves empty."""
        target = self.work_dir / path
        self.laid.pop(str(path), None)
        try:
            target.unlink()
            for folder in (self.work_dir / parent for parent in path.parents[:-1]):
                folder.rmdir()
        except OSError:  # it was gone already, or the folder holds something else
            return

    def _clear(self, folder: Path) -> None:
        """A file takes the place of a folder that the session itself made, if that is empty."""
        try:
            folder.rmdir()
        except OSError:
            raise HttpError(
                409, "in-the-way", f"{folder.name} is a folder there, with files of the session"
            ) from None

    def _inside(self, path: PurePosixPath) -> Path:
        """``path`` within the working directory, its folders made; a link must not lead out of it."""
        target = self.work_dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        root = self.work_dir.resolve()
        if not target.parent.resolve().is_relative_to(root):
            raise HttpError(400, "bad-path", f"{path} leads out of the working directory")
        return target


def _wanted(manifest: JsonObject) -> tuple[list[WantedFile], list[PurePosixPath]]:
    files, removed = manifest.get("files"), manifest.get("remove")
    if not isinstance(files, dict) or not isinstance(removed, list | None):
        raise HttpError(400, "bad-manifest", "A manifest has files and what to remove")
    wanted = []
    for path, facts in files.items():
        digest = facts.get("hash") if isinstance(facts, dict) else None
        mode = facts.get("mode", 0o644) if isinstance(facts, dict) else None
        if not isinstance(digest, str) or not _HASH.fullmatch(digest) or not isinstance(mode, int):
            raise HttpError(400, "bad-manifest", f"{path} has no hash")
        wanted.append(WantedFile(_relative(path), digest, mode & 0o777, stat.S_ISLNK(mode)))
    return wanted, [_relative(path) for path in removed or []]


def _relative(path: Json) -> PurePosixPath:
    pure = PurePosixPath(str(path))
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise HttpError(400, "bad-path", f"{path} is not a path within the project")
    return pure


def _write(target: Path, content: bytes, mode: int) -> None:
    """Write by renaming, so that nobody ever reads half a file."""
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".gwb-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).chmod(mode)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
