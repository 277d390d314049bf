"""``%gpu secret``: values that are typed unseen, kept by the cluster, and given to pods as environment variables."""

from __future__ import annotations

import getpass
import time
from typing import Any

from gpu_workbench.backends.checks import KeepsSecrets
from gpu_workbench.core.errors import FlagError, UsageError
from gpu_workbench.core.quantities import show_about
from gpu_workbench.surfaces.command_lines import Command
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.readers import VARIABLE, secret_object
from gpu_workbench.surfaces.view import tables
from gpu_workbench.surfaces.view.tables import Rendered


def secret(here: Here, shell: Any, command: Command) -> Rendered | None:
    """Make, list or remove secrets."""
    request = here.request(command.flags)
    backend: Any = here.workbench(request.config).backend(request.backend)
    if not isinstance(backend, KeepsSecrets):
        raise UsageError(
            "Secrets are kept by a cluster",
            why="cells on this machine see the environment of this kernel as it is",
            fix="Set the variable with os.environ before the session starts, or `%gpu use kubernetes`",
        )
    action, variable = command.words[0], command.words[-1]
    if action == "ls":
        return _listed(here.portal.call(backend.secrets))
    name = secret_object(variable)
    if action == "rm":
        here.portal.call(backend.remove_secret, name)
        print(f"Removed {name}. Sessions that have it keep it until they end")  # noqa: T201
        return None
    if not VARIABLE.fullmatch(variable):
        raise FlagError(
            f"{variable!r} is no name of an environment variable",
            fix=f"Write it as the program reads it: {name.upper().replace('-', '_').replace('.', '_')}",
        )
    value = getpass.getpass(f"{variable}: ")
    if not value:
        raise UsageError(f"Nothing was typed, and {variable} is as it was")
    replaced = here.portal.call(backend.set_secret, name, variable, value)
    print(  # noqa: T201
        f"{'Replaced' if replaced else 'Kept'} {variable} as Secret {name}. --secret {variable} gives it to a new session"
    )
    return None


def _listed(found: tuple[tuple[str, tuple[str, ...], float], ...]) -> Rendered:
    rows = [
        (name, ", ".join(keys), f"{show_about(max(time.time() - made, 0))} ago") for name, keys, made in found
    ]
    return tables.plain(
        ("secret", "variable", "set"), rows, empty="No secrets: `%gpu secret set NAME` keeps one"
    )
