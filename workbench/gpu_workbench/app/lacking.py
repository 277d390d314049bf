"""What a cell imports for certain and the session does not have: one error for all of it, before the cell runs."""

from __future__ import annotations

import ast
import importlib.metadata
import re
from collections.abc import Mapping

from gpu_workbench.core.errors import UsageError

_CHANGES_WHAT_THERE_IS = re.compile(r"\b(pip|conda|mamba|uv|sys\.path|addsitedir|importlib)\b")


def certain_imports(tree: ast.Module, source: str) -> dict[str, int]:
    """Top-level modules that the cell imports whatever happens, each with its line.

    Nothing is certain in a cell that itself changes what can be imported, with pip for example.
    """
    if _CHANGES_WHAT_THERE_IS.search(source):
        return {}
    found: dict[str, int] = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            found.setdefault(name.partition(".")[0], node.lineno)
    return found


def lacking_error(lacking: Mapping[str, int], *, backend: str) -> UsageError:
    """The one error for all modules that are not there.

    Args:
        lacking: Module to the line that imports it; 0 where it travels as a variable.
        backend: Where the session is.
    """
    names = sorted(lacking)
    many = len(names) > 1
    where = "installed here" if backend == "local" else "in the image"
    lines = [f"line {lacking[name]} imports {name}" for name in names if lacking[name]]
    packages = " ".join(package_of(name) for name in names)
    other = (
        ""
        if backend == "local"
        else ", or choose an image that has " + ("them" if many else "it") + " with --image"
    )
    return UsageError(
        f"{' and '.join([', '.join(names[:-1]), names[-1]] if many else names)} {'are' if many else 'is'} not {where}",
        why=", ".join(lines),
        fix=f"`%gpu pip install {packages}` installs {'them' if many else 'it'} into the session{other}",
    )


def package_of(module: str) -> str:
    """The package to install for a module: that of this Python, where it is installed here, else of the same name."""
    known = importlib.metadata.packages_distributions().get(module)
    return known[0] if known else _OTHER_NAMES.get(module, module)


_OTHER_NAMES = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
    "bs4": "beautifulsoup4",
    "dateutil": "python-dateutil",
    "flash_attn": "flash-attn",
}
"""Modules whose packages are called otherwise."""
