"""``%%gpu --detach``: sealed and handed over before the cell returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpu_workbench.app.detached import Package, not_kept
from gpu_workbench.app.shipping.project import project_folder
from gpu_workbench.app.workbench import Cell
from gpu_workbench.core.spec import Handle
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.magics.moving import Moving
from gpu_workbench.surfaces.magics.notes import note
from gpu_workbench.surfaces.request import Request
from gpu_workbench.surfaces.sealed import found_again, sealed


def run_detached(here: Here, shell: Any, request: Request, cell: Cell) -> None:
    """Seal ``cell`` and start it as a run of its own.

    Raises:
        WorkbenchError: it could not be sealed or started; nothing was started.
    """
    package: Package = here.portal.call(
        here.workbench(request.config).seal, request.backend, request.spec, cell, project=mirrored(request)
    )
    launch(here, shell, request, package)


def launch(here: Here, shell: Any, request: Request, package: Package, *, watched: bool = False) -> Handle:
    """Start what was sealed. What cannot be kept of it is said before.

    Args:
        watched: It is shown from now on, so nobody needs to be told how to find it again.
    """
    lost = not_kept(package.spec, backend=request.backend)
    if lost:
        note(shell, f"{lost}.")
    with Moving("is going into the store", what="What it needs") as moving:
        handle: Handle = here.portal.call(
            here.workbench(request.config).launch,
            request.backend,
            package,
            progress=lambda sent, size: moving("", sent, size),
        )
    if not watched:
        note(
            shell,
            f"{sealed(package, handle)}. Neither this kernel nor this notebook is needed any more.",
            found_again(package),
        )
    return handle


def mirrored(request: Request) -> Path | None:
    """The folder whose files travel with a detached cell; none where it runs in that very folder."""
    return None if request.backend == "local" else project_folder(Path.cwd())
