"""Project modules that were edited: which to reload in the session, in which order, and where this kernel is behind."""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path


def module_names(paths: Iterable[str], *, roots: Iterable[str]) -> dict[str, str]:
    """Module name to path, for the Python files among ``paths``.

    Args:
        paths: Relative to the project folder, with ``/``.
        roots: Folders on ``sys.path``, relative to it; ``.`` is itself.
    """
    prefixes = sorted(("" if root == "." else f"{root}/" for root in roots), key=len, reverse=True)
    found = {}
    for path in paths:
        prefix = next((prefix for prefix in prefixes if path.startswith(prefix)), None)
        if prefix is None or not path.endswith(".py"):
            continue
        parts = path[len(prefix) : -len(".py")].split("/")
        if parts[-1] == "__init__":
            parts.pop()
        if parts and all(part.isidentifier() for part in parts):
            found[".".join(parts)] = path
    return found


def to_reload(changed: Iterable[str], *, modules: Mapping[str, str], folder: Path) -> tuple[str, ...]:
    """The modules to reload after files changed: theirs, and those that import from them, each after what it imports.

    The session reloads those of them that are imported there.

    Args:
        changed: Paths relative to the project folder.
        modules: All modules of the project: name to path, from :func:`module_names`.
        folder: The project folder.
    """
    imports = {name: imported_by(folder / path, name=name) & modules.keys() for name, path in modules.items()}
    paths = set(changed)
    stale = {name for name, path in modules.items() if path in paths}
    while more := {name for name in modules if name not in stale and imports[name] & stale}:
        stale |= more
    order: dict[str, None] = {}

    def add(name: str, around: frozenset[str]) -> None:
        if name in order or name in around:  # modules that import each other: any order is as good
            return
        for needed in sorted(imports[name] & stale):
            add(needed, around | {name})
        order[name] = None

    for name in sorted(stale):
        add(name, frozenset())
    return tuple(order)


def imported_by(file: Path, *, name: str) -> frozenset[str]:
    """Full names of all modules that the module ``name`` in ``file`` may import; empty where it cannot be read."""
    try:
        return _imported_by(str(file), name, file.stat().st_mtime_ns)
    except (OSError, SyntaxError, ValueError):
        return frozenset()


@lru_cache(8192)
def _imported_by(file: str, name: str, mtime: int) -> frozenset[str]:
    package = name.split(".") if file.endswith("__init__.py") else name.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(Path(file).read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                found.update(".".join(parts[: end + 1]) for end in range(len(parts)))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            where = ".".join([*base, *([node.module] if node.module else [])])
            found.add(where)
            found.update(f"{where}.{alias.name}" for alias in node.names)
    return frozenset(found - {name})


class Imported:
    """The project modules that this kernel has imported, and whether their files changed since.

    Make it when the extension is loaded: what was imported before that counts as it lies on the disk then.

    Args:
        folder: The project folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: dict[str, tuple[int, tuple[int, int]]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Note modules that were imported, or reloaded, since the last time. Call it after every cell."""
        for name, module in list(sys.modules.items()):
            file = _source_file(module)
            if file is None or not file.startswith(f"{self.folder}/") or "/site-packages/" in file:
                continue
            life = id(module.__spec__)  # a reload makes a new one
            if name not in self._seen or self._seen[name][0] != life:
                self._seen[name] = life, _state(file)

    def behind(self) -> tuple[str, ...]:
        """Modules whose file is another than the one this kernel imported."""
        self.refresh()
        return tuple(
            sorted(
                name
                for name, (_, state) in self._seen.items()
                if (file := _source_file(sys.modules.get(name))) is not None and _state(file) != state
            )
        )

    def message(self) -> str:
        """One sentence for the user, or nothing."""
        names = self.behind()
        if not names:
            return ""
        them = "it" if len(names) == 1 else "them"
        return (
            f"{', '.join(names)} changed on disk since imported here: the session has the new text; "
            f"importlib.reload {them} here, or restart this kernel, to have it here too"
        )


def _source_file(module: types.ModuleType | None) -> str | None:
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) and file.endswith(".py") else None


def _state(file: str) -> tuple[int, int]:
    try:
        state = Path(file).stat()
    except OSError:
        return 0, 0
    return state.st_mtime_ns, state.st_size
