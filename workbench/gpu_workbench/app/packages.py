"""pip for sessions whose image has none: this Python's own, which is pure Python and runs from any folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from gpu_workbench.app.copying import Progress, send
from gpu_workbench.backends.channel import Channel

TOOLS = "/tmp/gwb-tools"  # noqa: S108 - the pod's own
"""Where it goes, in a pod."""


def pip_cell(arguments: tuple[str, ...]) -> str:
    """The code that runs pip in a session."""
    return f"__import__('_gwb_session').pip({list(arguments)!r}, tools={TOOLS!r})"


async def bring_pip(channel: Channel, *, progress: Progress | None = None) -> None:
    """Send pip where there is none; where there is none here either, the session says so."""
    found = importlib.util.find_spec("pip")
    if found is None or found.origin is None or not await channel.lacking_modules(["pip"]):
        return
    await send(channel, str(Path(found.origin).parent), f"{TOOLS}/pip", progress=progress)
