"""The extension of jupyter_server: its settings, its routes, and what it holds while the server runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Set, Unicode

from gpu_workbench.app import config as configuration
from gpu_workbench.app.board import Board, Target
from gpu_workbench.app.capacities import Capacities
from gpu_workbench.app.notebook import local_owner
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.surfaces.backends import make_backend
from gpu_workbench.surfaces.server import agent, logs
from gpu_workbench.surfaces.server.hub import Hub
from gpu_workbench.surfaces.server.rest import routes
from gpu_workbench.surfaces.server.socket import TopicSocket


class WorkbenchApp(ExtensionApp):
    """GPU Workbench in JupyterLab and Notebook: live runs and the panel."""

    name = "gpu_workbench"
    extension_url = "/gpu-workbench"
    load_other_extensions = True

    owners = Set(
        Unicode(),
        help="Names of the users who may act on runs and see their output; without any, the server's own user.",
    ).tag(config=True)

    def initialize_settings(self) -> None:
        """Read the settings and look at what they name; nothing is asked of a cluster before somebody looks."""
        root = Path(getattr(self.serverapp, "root_dir", "") or ".")
        found = configuration.load(project=root, flags={}, used={})
        names = dict.fromkeys(("local", found.settings.backend))
        self._backends = [make_backend(name, config=found) for name in names]
        targets = [Target(backend, _owner_of(backend)) for backend in self._backends]
        self.hub = Hub(Board(targets), Capacities(targets), saved=found.settings.saved)

    def initialize_handlers(self) -> None:
        """Add the routes; the server's base URL is put before them."""
        arguments = {"hub": self.hub, "owners": frozenset(self.owners)}
        for path, handler in (*agent.routes(), *logs.routes(), *routes()):
            self.handlers.append((path, handler, arguments))
        self.handlers.append((r"/gpu-workbench/api/live", TopicSocket, arguments))

    async def stop_extension(self) -> None:
        """Let go of everything; the runs go on."""
        self.hub.capacities.close()
        await self.hub.board.close()
        for backend in self._backends:
            await backend.close()


def _owner_of(backend: Backend) -> Any:
    """Whose workloads are looked at, as that backend knows its users."""

    async def here() -> str:
        return local_owner()

    return getattr(backend, "owner", here)
