"""Reads the lines of ``%%gpu`` and ``%gpu`` and calls what they ask for."""

from __future__ import annotations

from typing import Any

from gpu_workbench.app.notebook import cell_id
from gpu_workbench.surfaces.command_lines import parse_command
from gpu_workbench.surfaces.dask import driver_request
from gpu_workbench.surfaces.flags import parse_cell_line
from gpu_workbench.surfaces.help import cell_help, command_help
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.magics.cell import CellRun, cell_of
from gpu_workbench.surfaces.magics.commands import COMMANDS
from gpu_workbench.surfaces.magics.detach import run_detached
from gpu_workbench.surfaces.magics.dry_run import dry_cell
from gpu_workbench.surfaces.magics.failures import syntax_error
from gpu_workbench.surfaces.magics.packages import install_again


def run_cell(here: Here, shell: Any, line: str, source: str) -> None:
    """``%%gpu``.

    Raises:
        WorkbenchError: it could not be run; nothing was started where the line itself is wrong.
    """
    flags = parse_cell_line(line)
    if flags.help:
        print(cell_help())  # noqa: T201
        return
    request = driver_request(here, flags) if flags.dask else here.request(flags)
    cell = cell_of(
        flags,
        source=source,
        magic=f"%%gpu {line}".rstrip(),
        count=shell.displayhook.prompt_count,
        cell_id=cell_id(getattr(shell, "parent_header", None) or {}),
    )
    try:
        if flags.dry_run:
            print(dry_cell(here, request, flags, cell))  # noqa: T201
        elif flags.detach:
            run_detached(here, shell, request, cell)
        else:
            install_again(here, shell, request)
            CellRun(here, shell, request).run(here.workbench(request.config), cell)
    except SyntaxError as error:
        raise syntax_error(error, count=shell.displayhook.prompt_count) from None


def run_line(here: Here, shell: Any, line: str) -> Any:
    """``%gpu``: the command's own result, or nothing."""
    command = parse_command(line)
    if command.flags.help:
        print(command_help(command.name))  # noqa: T201
        return None
    return COMMANDS[command.name](here, shell, command)
