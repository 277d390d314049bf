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
from gpu_workbench.app.recorder import Recorder
from gpu_workbench.app.settings import Settings
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.surfaces.backends import make_backend
from gpu_workbench.surfaces.request import project_folder
from gpu_workbench.surfaces.server import agent, dashboard
from gpu_workbench.surfaces.server.event_log import EventLog
from gpu_workbench.surfaces.server.hub import Hub
from gpu_workbench.surfaces.server.openapi import BASE
from gpu_workbench.surfaces.server.openapi_route import described_routes, nothing_else
from gpu_workbench.surfaces.server.socket import TopicSocket
from gpu_workbench.surfaces.server.starting.starter import Starter


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
        found = configuration.load(project=project_folder(root), flags={}, used={})
        names = dict.fromkeys(("local", found.settings.backend))
        self._backends = [make_backend(name, config=found) for name in names]
        targets = [Target(backend, _owner_of(backend)) for backend in self._backends]
        board = Board(targets, recorder=_recorder(found.settings))
        assert self.serverapp is not None
        self.hub = Hub(
            board,
            Capacities(targets),
            saved=found.settings.saved,
            root=root,
            starter=Starter(board, root=root),
            events=EventLog(self.serverapp.event_logger, board),
        )

    def initialize_handlers(self) -> None:
        """Add the routes; the server's base URL is put before them."""
        arguments = {"hub": self.hub, "owners": frozenset(self.owners)}
        live = (rf"{BASE}/live", TopicSocket)
        self.ways = dashboard.Ways()
        self.handlers.extend(
            (path, handler, {**arguments, **further})
            for path, handler, further in dashboard.routes(self.ways)
        )
        routes = (*agent.routes(), *described_routes(), live, nothing_else())
        self.handlers.extend((path, handler, arguments) for path, handler in routes)

    async def stop_extension(self) -> None:
        """Let go of everything; the runs go on."""
        self.ways.close()
        self.hub.capacities.close()
        await self.hub.board.close()
        for backend in self._backends:
            await backend.close()


def _recorder(settings: Settings) -> Recorder | None:
    """What keeps what was seen; ``None`` where nothing may be kept."""
    if not settings.recordings_limit or not settings.recordings_count:
        return None
    folder = settings.data_dir / "recordings"
    return Recorder(folder, limit=settings.recordings_limit, count=settings.recordings_count)


def _owner_of(backend: Backend) -> Any:
    """Whose workloads are looked at, as that backend knows its users."""

    async def here() -> str:
        return local_owner()

    return getattr(backend, "owner", here)
