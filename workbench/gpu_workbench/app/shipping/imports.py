"""Which modules a cell will import, and where they come from: the image, the project, or nowhere.

What the image has to have is checked there before the cell runs, by :mod:`gpu_workbench.agent.inkernel.modules`.
"""

from __future__ import annotations

import ast
import dis
import importlib.machinery
import importlib.util
import site
import sys
import sysconfig
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Needed:
    """The modules that a cell and all it uses import.

    Args:
        installed: Top-level module to the line of the cell that imports it; 0 where something it uses does. The image needs
            them, whether or not they are installed here.
        project: Module of the project, or imported from elsewhere without being installed, to its file or folder.
    """

    installed: Mapping[str, int] = field(default_factory=dict)
    project: Mapping[str, Path] = field(default_factory=dict)


def imports_of(tree: ast.AST) -> dict[str, int]:
    """Top-level modules that are imported, each with its line. An import whose failure is caught is not needed."""
    found: dict[str, int] = {}
    optional: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(_catches_import(handler) for handler in node.handlers):
            optional.update(inner for statement in node.body for inner in ast.walk(statement))
        if node in optional:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            found.setdefault(name.partition(".")[0], node.lineno)
    return found


def imports_of_code(code: types.CodeType) -> frozenset[str]:
    """Top-level modules that a function's code, or code inside it, imports."""
    found = {
        step.argval.partition(".")[0] for step in dis.get_instructions(code) if step.opname == "IMPORT_NAME"
    }
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return frozenset(found - {""}).union(*map(imports_of_code, inner))


def needed(imports: Mapping[str, int], *, folder: Path) -> Needed:
    """Where each module comes from; modules of the project are followed to what they import themselves.

    Args:
        imports: Top-level module to line.
        folder: The project folder.
    """
    installed: dict[str, int] = {}
    project: dict[str, Path] = {}
    rest = list(imports.items())
    while rest:
        name, line = rest.pop()
        if name in installed or name in project or name in sys.stdlib_module_names or name == "gpu_workbench":
            continue
        place = local_place(name, folder=folder)
        if place is None:
            installed[name] = line
            continue
        project[name] = place
        for file in [place] if place.is_file() else sorted(place.rglob("*.py")):
            rest.extend((further, 0) for further in _imports_of_file(str(file), file.stat().st_mtime_ns))
    return Needed(dict(sorted(installed.items())), project)


def local_place(name: str, *, folder: Path) -> Path | None:
    """The file or folder of a top-level module that is imported without being installed, else ``None``."""
    spec = _spec(name, folder)
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
    place = Path(places[0]).resolve()
    libraries = [library for library in _libraries() if library != folder]
    if not place.exists() or any(place.is_relative_to(library) for library in libraries):
        return None
    if place in folder.resolve().parents:  # a folder is a module, too, and this one has far more in it
        return None
    return place


def import_roots(project: Mapping[str, Path], *, folder: Path) -> tuple[str, ...]:
    """Folders that have to be on ``sys.path`` for the project's modules, relative to the project; ``.`` is itself."""
    roots = {place.parent for place in project.values() if place.is_relative_to(folder)}
    return tuple(sorted(root.relative_to(folder).as_posix() for root in roots))


def outside(project: Mapping[str, Path], *, folder: Path) -> dict[str, Path]:
    """The modules that lie outside the project folder: file or folder name to where it is."""
    return {place.name: place for place in project.values() if not place.is_relative_to(folder)}


def _catches_import(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    return bool(names & {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


@lru_cache(4096)
def _imports_of_file(file: str, mtime: int) -> tuple[str, ...]:
    try:
        return tuple(imports_of(ast.parse(Path(file).read_bytes())))
    except (OSError, SyntaxError, ValueError):
        return ()


def _spec(name: str, folder: Path) -> importlib.machinery.ModuleSpec | None:
    module = sys.modules.get(name)
    if module is not None and getattr(module, "__spec__", None) is not None:
        return module.__spec__
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        found = None
    return found or importlib.machinery.PathFinder.find_spec(name, [str(folder)])


def _libraries() -> tuple[Path, ...]:
    """Where installed packages and the standard library lie."""
    return _libraries_of(tuple(sys.path))


@lru_cache(8)
def _libraries_of(search: tuple[str, ...]) -> tuple[Path, ...]:
    """Those of this interpreter, and wherever else on its path something was installed, as clusters' module systems do."""
    paths = sysconfig.get_paths()
    found = [*(paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")), *site.getsitepackages()]
    further = [path for path in search if path and any(Path(path).glob("*.dist-info"))]
    return tuple({Path(path).resolve() for path in [*found, site.getusersitepackages(), *further]})
