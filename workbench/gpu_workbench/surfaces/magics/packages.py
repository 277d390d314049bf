"""``%gpu pip``: runs pip in the session as a run of its own, so that it waits its turn, is shown, and can be interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpu_workbench.app.packages import pip_cell
from gpu_workbench.app.workbench import Cell
from gpu_workbench.surfaces.commands import Command
from gpu_workbench.surfaces.here import Here, Request
from gpu_workbench.surfaces.magics.cell import CellRun
from gpu_workbench.surfaces.magics.notes import note


def pip(here: Here, shell: Any, command: Command) -> None:
    """Run pip in the session."""
    request = here.request(command.flags)
    _run(here, shell, request, command.rest)
    if command.rest[0] == "install":
        here.installed.setdefault((request.backend, request.spec.name), []).append(command.rest)


def install_again(here: Here, shell: Any, request: Request) -> None:
    """Packages that were installed into a session that has ended go into the new one, before its first cell."""
    key = request.backend, request.spec.name
    wanted = here.installed.get(key)
    living = [handle for handle, _ in here.living() if (handle.backend, handle.spec.name) == key]
    if not wanted or living:
        return
    note(shell, "Installing again what the former session had: " + "; ".join(_line(line) for line in wanted))
    for arguments in wanted:
        _run(here, shell, request, arguments)


def _run(here: Here, shell: Any, request: Request, arguments: Sequence[str]) -> None:
    cell = Cell(
        source=pip_cell(tuple(arguments)),
        send=False,
        needs_pip=True,
        magic=_line(arguments),
        count=shell.displayhook.prompt_count,
    )
    CellRun(here, shell, request).run(here.workbench(request.config), cell)


def _line(arguments: Sequence[str]) -> str:
    import shlex

    return f"%gpu pip {shlex.join(arguments)}"
