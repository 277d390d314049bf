"""The project's modules in a session: where it finds them, and reloading those that changed since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from gpu_workbench.app.shipping.imports import Needed, needed
from gpu_workbench.app.shipping.modules import to_reload


class ProjectModules:
    """The modules of the project that a session's cells import.

    Args:
        folder: The project's folder.
        since: Files changed after this (seconds since 1970) count as changed when they are first seen: the session may have
            imported them before. ``None`` for a session that was started just now.
    """

    def __init__(self, folder: Path, *, since: float | None = None) -> None:
        self.folder = folder
        self._since = since
        self.places: dict[str, Path] = {}
        self._states: dict[Path, tuple[int, int]] = {}
        self._followed: set[str] = set()

    def unknown(self, imports: Mapping[str, int]) -> dict[str, int]:
        """Those of ``imports`` that were not followed yet."""
        return {name: line for name, line in imports.items() if name not in self._followed}

    def follow(self, imports: Mapping[str, int]) -> Needed:
        """Learn where modules come from, and those they import themselves. Returns what was found."""
        found = needed(imports, folder=self.folder)
        self._followed.update(imports)
        self.places.update(found.project)
        return found

    def changed(self) -> tuple[str, ...]:
        """The modules to reload, each after those it imports."""
        modules = {
            name: str(path) for top, place in self.places.items() for name, path in _modules(top, place)
        }
        stale = []
        for path in map(Path, modules.values()):
            state = _state(path)
            before = self._states.get(path)
            late = before is None and self._since is not None and state[0] > self._since * 1e9
            if late or before not in (None, state):
                stale.append(str(path))
            self._states[path] = state
        return to_reload(stale, modules=modules, folder=self.folder) if stale else ()


def reload_notes(answer: Mapping[str, object]) -> list[str]:
    """What a session did with changed modules, as sentences.

    Args:
        answer: Of the agent: names ``reloaded``, and for each that ``failed`` why.
    """
    done, failed = answer.get("reloaded"), answer.get("failed")
    notes = []
    if isinstance(done, list) and done:
        notes.append(
            f"{_listed(map(str, done))} changed and {'was' if len(done) == 1 else 'were'} reloaded in the session"
        )
    if isinstance(failed, Mapping):
        notes += [
            f"{name} changed and cannot be reloaded in the session, which goes on with what it had: {why}"
            for name, why in failed.items()
        ]
    return notes


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _modules(top: str, place: Path) -> Iterable[tuple[str, Path]]:
    if place.is_file():
        return [(top, place)]
    found = []
    for path in sorted(place.rglob("*.py")):
        parts = [top, *path.relative_to(place).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
        found.append((".".join(parts), path))
    return found


def _state(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError:
        return 0, 0
    return state.st_mtime_ns, state.st_size
