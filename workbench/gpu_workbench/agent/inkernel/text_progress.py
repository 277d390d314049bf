"""tqdm's notebook bars as text: a widget's later states do not travel yet, a line of text does.

``tqdm.auto`` and ``tqdm.notebook`` give the plain bar here, whatever tqdm asks to find out where it runs.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Sequence

_REPLACED = ("tqdm.autonotebook", "tqdm.notebook")


class TextProgress(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds tqdm's notebook modules, and fills them from ``tqdm.std``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A spec for the two modules that draw widgets; nothing for all others."""
        return importlib.util.spec_from_loader(fullname, self) if fullname in _REPLACED else None

    def exec_module(self, module: types.ModuleType) -> None:
        """The plain bar, under the names of the notebook's."""
        from tqdm import std

        module.tqdm = module.tqdm_notebook = std.tqdm  # type: ignore[attr-defined]
        module.trange = module.tnrange = std.trange  # type: ignore[attr-defined]
        module.__all__ = ["tqdm", "trange"]  # type: ignore[attr-defined]


def install() -> None:
    """Put it before all other finders."""
    sys.meta_path.insert(0, TextProgress())
