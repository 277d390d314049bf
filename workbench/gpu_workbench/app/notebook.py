"""Who asks, from which notebook, and from which of its cells.

A notebook is known by its owner, its Jupyter server and its path, so that after a kernel restart the next cell finds
its session again. Without a path (a plain terminal, a script) there is no identity, and nothing is found again unasked.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DIGITS = 16


@dataclass(frozen=True)
class Notebook:
    """A notebook as the workbench knows it.

    Args:
        id: 16 hexadecimal digits; empty where there is no notebook.
        path: Its file, for people; empty where there is none.
    """

    id: str = ""
    path: str = ""

    @property
    def shown(self) -> str:
        """Its path for others to read: the home folder is ``~``, so that it names no user."""
        home = f"{_home()}/"
        return f"~/{self.path.removeprefix(home)}" if self.path.startswith(home) else self.path


def owner_of(user: str) -> str:
    """The owner that stands on objects instead of a user's name: 16 hexadecimal digits.

    Args:
        user: The user's name as the cluster says it (``SelfSubjectReview``).
    """
    return _hash("user", user)


def local_owner() -> str:
    """The owner of what runs on this machine: the user id of this process."""
    return _hash("uid", str(os.getuid()))


def find_notebook(*, owner: str, namespace: Mapping[str, object]) -> Notebook:
    """The notebook this kernel belongs to.

    Jupyter servers say the path in ``JPY_SESSION_NAME`` (set by jupyter_server's session manager), VS Code in a variable
    of the user's namespace.

    Args:
        owner: Hash of the user's name.
        namespace: The kernel's user namespace.
    """
    said = namespace.get("__vsc_ipynb_file__")
    path = said if isinstance(said, str) and said else os.environ.get("JPY_SESSION_NAME", "")
    return notebook_at(path, owner=owner) if path else Notebook()


def notebook_at(path: str, *, owner: str) -> Notebook:
    """The notebook of that file on this Jupyter server.

    Args:
        path: Its file; ``~`` is this user's home folder.
        owner: Hash of the user's name.
    """
    path = f"{_home()}{path.removeprefix('~')}" if path.startswith("~/") else path
    return Notebook(id=_hash("notebook", owner, _server(), path), path=path)


def cell_id(parent: Mapping[str, object]) -> str:
    """The id of the cell that runs; empty where the frontend does not say.

    Args:
        parent: The request being executed, as ipykernel keeps it. JupyterLab and VS Code put ``cellId`` into its metadata.
    """
    metadata = parent.get("metadata")
    found = metadata.get("cellId") if isinstance(metadata, Mapping) else None
    return found if isinstance(found, str) else ""


def server_base() -> str:
    """The base URL of the Jupyter server that this kernel belongs to, as its own record says; ``/`` where there is none."""
    if hub := os.environ.get("JUPYTERHUB_SERVICE_PREFIX"):
        return hub
    from jupyter_core.paths import jupyter_runtime_dir  # every kernel has it

    file = f"jpserver-{os.environ.get('JPY_PARENT_PID')}.json"
    try:
        record = json.loads(Path(jupyter_runtime_dir(), file).read_text())
    except (OSError, ValueError):
        return "/"
    base = record.get("base_url") if isinstance(record, dict) else None
    return base if isinstance(base, str) and base.startswith("/") else "/"


def _home() -> str:
    """This user's home folder; ``~`` where there is none, as for a user id that the platform made up."""
    return os.path.expanduser("~").rstrip("/")  # noqa: PTH111, Path raises where there is none


def _server() -> str:
    """The Jupyter server: on a hub the user's own address there, which outlives the machine it happens to run on."""
    return os.environ.get("JUPYTERHUB_SERVICE_PREFIX") or socket.gethostname()


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]
