"""The notebook that a workload was started from, as browsers of this server open it."""

from __future__ import annotations

import os
from pathlib import Path

from gpu_workbench.app.notebook import local_owner, notebook_at
from gpu_workbench.core.spec import WorkloadSpec


def document_path(spec: WorkloadSpec, *, root: Path) -> str:
    """The notebook's path as Jupyter's contents API has it; empty where this server does not serve it.

    A notebook of another server may have the same path: only the one whose identity is the spec's is meant.

    Args:
        root: The folder that the server serves.
    """
    if not spec.notebook_path:
        return ""
    found = notebook_at(spec.notebook_path, owner=local_owner())
    if found.id != spec.notebook:
        return ""
    below = os.path.relpath(found.path, root)
    return "" if below.startswith(os.pardir) else Path(below).as_posix()


def file_name(spec: WorkloadSpec) -> str:
    """The name of its file, wherever that is; empty where it was no notebook."""
    return spec.notebook_path.replace("\\", "/").rpartition("/")[2]
