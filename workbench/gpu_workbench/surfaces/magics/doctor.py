"""``%gpu doctor``: is everything there that a session needs, and what to do where it is not."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from typing import Any

from gpu_workbench.__about__ import __version__
from gpu_workbench.app.config import unused_kubeconfig
from gpu_workbench.backends.checks import Check, Examinable, GivesRole
from gpu_workbench.core.errors import UsageError, WorkbenchError
from gpu_workbench.surfaces.command_lines import Command
from gpu_workbench.surfaces.flags import CellFlags
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.view import tables
from gpu_workbench.surfaces.view.tables import Rendered

OLDEST = (3, 10)


def doctor(here: Here, shell: Any, command: Command) -> Rendered | None:
    """Check the set-up and the rights."""
    if command.flags.role:
        print(_role(here, command.flags), end="")  # noqa: T201
        return None
    found = [*_here(), *_settings(here, command.flags)]
    return tables.checks([(check.ok, check.what, check.fix) for check in found])


def _role(here: Here, flags: CellFlags) -> str:
    config = here.config({"backend": "kubernetes", **_given(flags)})
    backend: Any = here.workbench(config).backend("kubernetes")
    if not isinstance(backend, GivesRole):
        raise UsageError("Only a cluster has Roles", fix="`%gpu doctor --role --backend kubernetes`")
    found: str = here.portal.call(backend.role)
    return found


def _here() -> list[Check]:
    """This Python and what is installed in it."""
    version = platform.python_version()
    python = Check(
        sys.version_info[:2] >= OLDEST,
        f"Python {version}",
        "" if sys.version_info[:2] >= OLDEST else "3.10 is the oldest",
    )
    checks = [Check(True, f"GPU Workbench {__version__}"), python]
    try:
        checks.append(Check(True, f"ipykernel {importlib.metadata.version('ipykernel')}"))
    except importlib.metadata.PackageNotFoundError:
        checks.append(
            Check(False, "ipykernel is not installed", "pip install ipykernel: local sessions need it")
        )
    return checks


def _settings(here: Here, flags: CellFlags) -> list[Check]:
    """The settings, and what they lead to. An error on the way is a finding."""
    try:
        config = here.config(_given(flags))
    except WorkbenchError as error:
        return [_finding(error)]
    settings = config.settings
    chosen = Check(
        True, f"Backend {settings.backend} (from {config.origins['backend']}), profile {settings.profile}"
    )
    hint = unused_kubeconfig(config)
    checks = [chosen, *([Check(None, hint)] if hint else [])]
    try:
        spec = here.request(flags).spec
        backend: Any = here.workbench(config).backend(settings.backend)
        if isinstance(backend, Examinable):
            checks += here.portal.call(backend.examine, spec)
    except WorkbenchError as error:
        checks.append(_finding(error))
    return checks


def _given(flags: CellFlags) -> dict[str, str]:
    from gpu_workbench.surfaces.request import asked_settings

    return asked_settings(flags)


def _finding(error: WorkbenchError) -> Check:
    return Check(False, f"{error.what}: {error.why}" if error.why else error.what, error.fix)
