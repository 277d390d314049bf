"""``--dry-run`` of a cell, of ``%gpu start`` and of ``run``."""

from __future__ import annotations

from gpu_workbench.app.detached import Package
from gpu_workbench.app.plans import Plan, of_package
from gpu_workbench.app.workbench import Cell
from gpu_workbench.surfaces import dry_run
from gpu_workbench.surfaces.command_lines import CommandFlags
from gpu_workbench.surfaces.dask import ClusterRequest
from gpu_workbench.surfaces.flags import CellFlags
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.magics.detach import mirrored
from gpu_workbench.surfaces.request import Request


def dry_cell(here: Here, request: Request, flags: CellFlags, cell: Cell) -> str:
    """What the cell would do."""
    if flags.detach:
        package: Package = here.portal.call(
            here.workbench(request.config).seal,
            request.backend,
            request.spec,
            cell,
            project=mirrored(request),
        )
        return _shown(of_package(package), request, flags, cell=cell.source)
    return _shown(_plan(here, request, cell), request, flags, cell=cell.source)


def dry_start(here: Here, request: Request, flags: CellFlags) -> str:
    """What ``%gpu start`` would do."""
    return _shown(_plan(here, request, None), request, flags)


def dry_cluster(request: ClusterRequest, flags: CommandFlags) -> str:
    """What ``%gpu dask`` would do, were there no such cluster."""
    plan = Plan(spec=request.spec)
    if flags.form == "python":
        return dry_run.python_dask(flags)
    if flags.form == "yaml":
        return dry_run.yaml(plan, backend=request.backend).rstrip()
    return dry_run.words(plan, backend=request.backend)


def dry_script(request: Request, flags: CellFlags, package: Package, words: tuple[str, ...]) -> str:
    """What ``run`` would do.

    Args:
        words: The script and its arguments, as they were typed.
    """
    return _shown(of_package(package), request, flags, script=words)


def _plan(here: Here, request: Request, cell: Cell | None) -> Plan:
    plan: Plan = here.portal.call(
        here.workbench(request.config).plan,
        request.backend,
        request.spec,
        cell,
        asked=request.asked,
        project=mirrored(request),
    )
    return plan


def _shown(
    plan: Plan,
    request: Request,
    flags: CellFlags,
    *,
    cell: str | None = None,
    script: tuple[str, ...] = (),
) -> str:
    if flags.form == "python":
        return dry_run.python(flags, cell=cell, script=script).rstrip()
    if flags.form == "yaml":
        return dry_run.yaml(plan, backend=request.backend).rstrip()
    return dry_run.words(plan, backend=request.backend)
