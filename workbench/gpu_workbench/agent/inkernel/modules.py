"""The session's modules: which there are, and reloading those whose files have changed."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import re
import sys
import types
from collections.abc import Iterable
from pathlib import Path


def lacking(names: Iterable[str], *, gpus: bool) -> dict[str, str]:
    """Top-level module to what is wrong with it here, for those that are not here, or see no GPU where there is one.

    Nothing is imported for it, so it takes milliseconds.

    Args:
        names: Modules.
        gpus: Whether there are GPUs, so that a package built for the CPU alone is worth a word.
    """
    importlib.invalidate_caches()
    found = {}
    for name in names:
        origin = _origin(name)
        if origin is None:
            found[name] = "absent"
        elif name == "torch" and gpus and _torch_for_cpu(origin):
            found[name] = "CPU-only"
    return found


def _origin(name: str) -> str | None:
    """Where a module would come from: a file, or a word for what has none; ``None`` where there is no such module."""
    module = sys.modules.get(name)
    try:
        spec = module.__spec__ if module is not None else importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        spec = None
    if spec is None:
        return "" if module is not None else None
    return spec.origin or ""


def _torch_for_cpu(origin: str) -> bool:
    """PyTorch's own ``version.py`` names the CUDA or ROCm it was built for."""
    try:
        text = Path(origin).with_name("version.py").read_text()
    except OSError:
        return False
    built_for: dict[str, str] = dict(re.findall(r"^(cuda|hip)\b[^=\n]*=\s*(\S+)", text, re.M))
    return built_for.get("cuda") == "None" and built_for.get("hip", "None") == "None"


def reload_modules(names: Iterable[str], *, paths: Iterable[str]) -> dict[str, object]:
    """Import those of ``names`` anew that were imported before, in their order.

    Args:
        names: Modules, each after those it imports.
        paths: Folders that modules are to be found in from now on, behind the working directory.
    """
    add_folders(paths)
    importlib.invalidate_caches()
    done, failed = [], {}
    for name in names:
        module = sys.modules.get(name)
        if module is None:
            continue
        try:
            _forget_compiled(module)
            importlib.reload(module)
            done.append(name)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
    return {"reloaded": done, "failed": failed}


def _forget_compiled(module: types.ModuleType) -> None:
    """What was compiled of a file counts while its size and the second of its time are the same: too long for an edit."""
    cached = getattr(module.__spec__, "cached", None)
    if isinstance(cached, str):
        with contextlib.suppress(OSError):
            Path(cached).unlink(missing_ok=True)


def add_folders(paths: Iterable[str]) -> None:
    """Let modules be found in further folders, before those that are installed."""
    place = sys.path.index("") + 1 if "" in sys.path else 0
    for path in paths:
        if path not in sys.path:
            sys.path.insert(place, path)
            place += 1
