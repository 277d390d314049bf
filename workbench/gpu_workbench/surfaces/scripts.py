"""``run train.py``: a script as a run of its own, in a notebook or from a shell."""

from __future__ import annotations

from dataclasses import replace

from gpu_workbench.app.detached import Package
from gpu_workbench.surfaces.command_lines import Command
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.request import Request


def pack(here: Here, command: Command) -> tuple[Request, Package]:
    """Seal the script that a line names. Nothing is started.

    Raises:
        UsageError: there is no such script.
        TooLarge: its folder is more than the backend can hold.
    """
    request = here.request(replace(command.flags, detach=True))
    argv = (command.word, *command.rest)
    workbench = here.workbench(request.config)
    package: Package = here.portal.call(workbench.seal_script, request.backend, request.spec, argv)
    return request, package
