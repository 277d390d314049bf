"""``%gpu pip``: runs pip in the session as a run of its own, so that it waits its turn, is shown, and can be interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpu_workbench.app.packages import pip_cell
from gpu_workbench.app.workbench import Cell
from gpu_workbench.surfaces.command_lines import Command
from gpu_workbench.surfaces.here import Here, Installed
from gpu_workbench.surfaces.magics.cell import CellRun
from gpu_workbench.surfaces.magics.notes import note
from gpu_workbench.surfaces.request import Request


def pip(here: Here, shell: Any, command: Command) -> None:
    """Run pip in the session."""
    request = here.request(command.flags)
    install_again(here, shell, request)
    _run(here, shell, request, command.rest)
    if command.rest[0] == "install":
        installed = here.installed.setdefault(_key(request), Installed())
        installed.lines.append(command.rest)
        installed.sessions.update(_living(here, request))


def install_again(here: Here, shell: Any, request: Request) -> None:
    """What was installed into a session that has ended goes into the one that replaces it, before its first cell."""
    installed = here.installed.get(_key(request))
    if installed is None or installed.sessions & _living(here, request):
        return
    note(shell, "Installing again what the former session had: " + "; ".join(map(_line, installed.lines)))
    for arguments in installed.lines:
        _run(here, shell, request, arguments)
    installed.sessions.update(_living(here, request))


def _key(request: Request) -> tuple[str, str]:
    return request.backend, request.spec.name


def _living(here: Here, request: Request) -> set[str]:
    """The session's id, while it lives."""
    return {handle.id for handle, _ in here.living() if (handle.backend, handle.spec.name) == _key(request)}


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
