"""The notebook's own modules on a cluster: those that it has imported and that no package brought, as they are now."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from gpu_workbench.app.shipping.imports import local_place, needed
from gpu_workbench.app.shipping.project import project_folder
from gpu_workbench.core.errors import TooLarge
from gpu_workbench.core.quantities import show_bytes

LIMIT = 64 * 2**20
"""Bytes of Python files that are sent; what is more is no module of somebody's project."""


class LocalModules:
    """Modules of the project that this process has imported, and what they import of it in turn.

    Args:
        start: The folder that the notebook runs in; this process's own by default.
    """

    def __init__(self, start: Path | None = None) -> None:
        self._start = start or Path.cwd()
        self._looked: set[str] = set()
        self._places: dict[str, Path] = {}
        self._sent: dict[Path, tuple[int, int]] = {}

    def changed(self) -> tuple[bytes, tuple[str, ...]] | None:
        """Their files as an archive, and their names, where one is new or has changed since the last time; else ``None``.

        Raises:
            TooLarge: they are over :data:`LIMIT`.
        """
        self._look()
        files = {path: name for top, place in self._places.items() for name, path in _files(top, place)}
        states = {path: _state(path) for path in files}
        if states == self._sent:
            return None
        size = sum(size for _, size in states.values())
        if size > LIMIT:
            raise TooLarge(
                f"The notebook's own modules are {show_bytes(size)}, and {show_bytes(LIMIT)} travel to a Dask cluster",
                why=f"they lie in {', '.join(sorted({str(place.parent) for place in self._places.values()}))}",
                fix="Put them into the image, or install them as a package",
            )
        archive = _zipped(files)
        self._sent = states
        return archive, tuple(sorted(self._places))

    def _look(self) -> None:
        """Learn of what was imported since the last look."""
        folder = project_folder(self._start)
        fresh = {name for name in list(sys.modules) if "." not in name and name != "__main__"} - self._looked
        self._looked |= fresh
        local = {
            name: 0
            for name in fresh
            if _lies_somewhere(name) and local_place(name, folder=folder) is not None
        }
        if local:
            self._places.update(needed(local, folder=folder).project)


def _lies_somewhere(name: str) -> bool:
    """Whether a module has files: built-in ones have none, and packages without ``__init__.py`` a folder alone."""
    module = sys.modules.get(name)
    return bool(getattr(module, "__file__", None) or getattr(module, "__path__", None))


def _files(top: str, place: Path) -> list[tuple[str, Path]]:
    if place.is_file():
        return [(place.name, place)]
    return [(f"{top}/{path.relative_to(place).as_posix()}", path) for path in sorted(place.rglob("*.py"))]


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _zipped(files: Mapping[Path, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, name in files.items():
            archive.write(path, name)
    return buffer.getvalue()
