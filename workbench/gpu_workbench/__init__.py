"""Run a notebook cell on any number of Kubernetes GPUs as if it ran here.

``%load_ext gpu_workbench`` in a notebook, or ``import gpu_workbench as gw`` anywhere.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from gpu_workbench.__about__ import __version__

if TYPE_CHECKING:
    from gpu_workbench.core import errors
    from gpu_workbench.surfaces.sdk import aio
    from gpu_workbench.surfaces.sdk.blocking import Run, Session, attach, dask, list, remote, session, submit

__all__ = [
    "Run",
    "Session",
    "__version__",
    "aio",
    "attach",
    "dask",
    "errors",
    "list",
    "remote",
    "session",
    "submit",
]

_API = "gpu_workbench.surfaces.sdk.blocking"
_MODULES = {"aio": "gpu_workbench.surfaces.sdk.aio", "errors": "gpu_workbench.core.errors"}


def __getattr__(name: str) -> object:
    """Imported when it is first used, so that ``import gpu_workbench`` costs nothing."""
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in __all__:
        return getattr(importlib.import_module(_API), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> object:
    return __all__


def _jupyter_labextension_paths() -> object:
    """Asked by ``jupyter labextension develop``."""
    return [{"src": "labextension", "dest": "@gpu-workbench/labextension"}]


def _jupyter_server_extension_points() -> object:
    """Asked by jupyter_server, which needs to be there for it."""
    from gpu_workbench.surfaces.server.extension import WorkbenchApp

    return [{"module": "gpu_workbench.surfaces.server.extension", "app": WorkbenchApp}]


def load_ipython_extension(shell: object) -> None:
    """Called by ``%load_ext gpu_workbench``."""
    from gpu_workbench.surfaces.magics.extension import load

    load(shell)
