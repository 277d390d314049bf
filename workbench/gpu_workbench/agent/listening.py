"""Listens before anything else of the agent is imported: who connects early waits for the answer, and asks once."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpu_workbench.core.port import DEFAULT_PORT

BACKLOG = 1024


def listen(form: Mapping[str, Any]) -> socket.socket:
    """A socket that listens.

    Args:
        form: ``listen`` of the agent's configuration as JSON; see :class:`~gpu_workbench.core.agent_config.Listen`.

    Raises:
        OSError: the port or the path cannot be had.
    """
    if form.get("socket"):
        path = Path(form["socket"])
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        path.chmod(0o600)
    else:
        dual = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual else socket.AF_INET
        address = (form.get("host", ""), form.get("port", DEFAULT_PORT))
        listener = socket.create_server(address, family=family, dualstack_ipv6=dual)
    listener.listen(BACKLOG)
    return listener
