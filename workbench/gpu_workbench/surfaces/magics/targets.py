"""Which session or run a line means."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_workbench.app.finding import Found
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.core.spec import DEFAULT_SESSION
from gpu_workbench.surfaces.command_lines import Command
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.picture import settled


def session(here: Here, command: Command, *, name: str = "") -> Subscription:
    """The session of that name, else of ``--session``, else this notebook's own; also where another kernel started it.

    Raises:
        RunNotFound: there is none.
    """
    request = here.request(command.flags)
    workbench = here.workbench(request.config)
    name = name or command.flags.session or DEFAULT_SESSION
    found: Subscription = here.portal.call(
        workbench.session, request.backend, name, owner=request.spec.owner, notebook=request.spec.notebook
    )
    here.portal.call(settled, found)
    return found


@dataclass(frozen=True)
class Target:
    """A workload, or one run of a session.

    Args:
        subscription: To the workload.
        run: The id of the run that was meant; empty for all of it.
    """

    subscription: Subscription
    run: str = ""


def meant(here: Here, command: Command, word: str) -> Target:
    """The run or session that goes by ``word``; without one this notebook's session.

    Raises:
        RunNotFound: none does, or several.
    """
    if not word:
        return Target(session(here, command))
    request = here.request(command.flags)
    workbench = here.workbench(request.config)
    found: Found = here.portal.call(workbench.find, request.backend, word, owner=request.spec.owner)
    subscription: Subscription = here.portal.call(workbench.follow, request.backend, found.handle)
    here.portal.call(settled, subscription)
    return Target(subscription, found.run)
