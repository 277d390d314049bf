"""``%gpu cp``."""

from __future__ import annotations

from typing import Any

from gpu_workbench.app.copying import Copied, parse_ends, receive, send
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.core.errors import RunNotFound
from gpu_workbench.core.quantities import show_bytes
from gpu_workbench.surfaces.command_lines import Command
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.magics.moving import Moving
from gpu_workbench.surfaces.magics.targets import meant, session

_NAMED = 3


def copy(here: Here, shell: Any, command: Command) -> None:
    """Files and folders to or from a session."""
    source, target = parse_ends(*command.words)
    there = _session(here, command, (source.session if target.session is None else target.session) or "")
    coming = target.session is None

    async def work(progress: Moving) -> Copied:
        channel = await there.channel()
        act = receive if coming else send
        return await act(channel, source.path, target.path, progress=progress)

    with Moving("is coming" if coming else "is going") as moving:
        done = here.portal.call(work, moving)
    print(f"Copied {source.path} to {target.path}: {show_bytes(done.size)}{_left(done)}")  # noqa: T201


def _left(done: Copied) -> str:
    if not done.skipped:
        return ""
    named = ", ".join(done.skipped[:_NAMED]) + (" and more" if len(done.skipped) > _NAMED else "")
    return f". Left out, for they lead elsewhere or are no files: {named}"


def _session(here: Here, command: Command, name: str) -> Subscription:
    """This notebook's session of that name, else whatever of mine goes by it."""
    try:
        return session(here, command, name=name)
    except RunNotFound:
        if not name:
            raise
        return meant(here, command, name).subscription
