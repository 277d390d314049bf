"""Dask's own dashboard through the server: ``dask/BACKEND/ID/status``, behind the server's log-in, with no port opened.

jupyter-server-proxy passes it on; the way to the scheduler's pod stays here. Its pages come from the cluster and are drawn
in the browser with the user's log-in, so they are for the server's owner alone, and the log-in itself never goes there.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

from tornado import web

from gpu_workbench.backends.dask import RunsDask
from gpu_workbench.core.errors import BackendError, WorkbenchError
from gpu_workbench.core.model import Kind
from gpu_workbench.core.spec import Handle
from gpu_workbench.surfaces.server.endpoint import ONE, nobody
from gpu_workbench.surfaces.server.errors import status_of
from gpu_workbench.surfaces.server.hub import Hub
from gpu_workbench.surfaces.server.permissions import READ, may

_CHUNK = 256 * 1024
_SECRETS = ("Cookie", "Authorization", "X-XSRFToken")


class Ways:
    """Unix sockets in a private folder, one a cluster, each of whose connections goes on to its dashboard."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._servers: dict[str, asyncio.Server] = {}

    async def path(self, backend: RunsDask, handle: Handle) -> str:
        """The socket of that cluster."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="gwb-"))  # for this user alone
        path = self._folder / handle.id
        if handle.id not in self._servers:

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await _serve(backend, handle, reader, writer)

            self._servers[handle.id] = await asyncio.start_unix_server(serve, str(path))
        return str(path)

    def close(self) -> None:
        """Close them all."""
        for server in self._servers.values():
            server.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


async def _serve(
    backend: RunsDask, handle: Handle, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One connection: copy both ways until either end is closed."""
    try:
        end = await backend.dashboard(handle)
    except BackendError:
        writer.close()
        return
    try:
        ways = {asyncio.create_task(_to(reader, end)), asyncio.create_task(_from(end, writer))}
        _, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in left:
            way.cancel()
        await asyncio.gather(*left, return_exceptions=True)
    finally:
        end.close()
        writer.close()


async def _to(reader: asyncio.StreamReader, end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            await asyncio.get_running_loop().sock_sendall(end, data)


async def _from(end: socket.socket, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await asyncio.get_running_loop().sock_recv(end, _CHUNK):
            writer.write(data)
            await writer.drain()


def routes(ways: Ways) -> list[tuple[str, type[Any], dict[str, Any]]]:
    """Path below the server's base URL to what answers there, and its further arguments; none without the proxy."""
    if importlib.util.find_spec("jupyter_server_proxy") is None:
        return []
    return [(rf"/gpu-workbench/dask/(local|kubernetes)/{ONE}/(.*)", _handler(), {"ways": ways})]


def _handler() -> type[Any]:
    from jupyter_server_proxy.handlers import ProxyHandler

    class DashboardProxy(ProxyHandler):  # type: ignore[misc]
        """Requests to one cluster's dashboard: pages and their WebSocket, and nothing that would change it."""

        def initialize(self, hub: Hub, owners: frozenset[str], ways: Ways) -> None:
            self._hub, self._owners, self._ways = hub, owners, ways
            self._looking = contextlib.ExitStack()

        async def prepare(self, *args: Any, **options: Any) -> None:
            """Find the cluster, for who may."""
            await super().prepare(*args, **options)
            if self._finished:
                return
            if self.request.method not in ("GET", "HEAD"):
                raise web.HTTPError(405)
            if not self.current_user or not await may(self, READ, self._owners):
                raise web.HTTPError(403)
            _, workload, _ = self.path_args
            self._looking.enter_context(self._hub.look(nobody))
            try:
                followed = await self._hub.board.find(workload)
            except WorkbenchError as error:
                raise web.HTTPError(status_of(error), str(error)) from None
            handle, backend = followed.subscription.handle, followed.backend
            if (
                handle.spec.kind is not Kind.DASK
                or not isinstance(backend, RunsDask)
                or self._is_over(followed)
            ):
                raise web.HTTPError(404, "There is no such Dask cluster")
            self.unix_socket = await self._ways.path(backend, handle)

        def _is_over(self, followed: Any) -> bool:
            return bool(followed.subscription.over)

        def proxy_request_headers(self) -> Any:
            """What the browser sent, without what lets somebody in here."""
            headers = super().proxy_request_headers()
            for name in _SECRETS:
                headers.pop(name, None)
            return headers

        def get_client_uri(self, *args: Any) -> str:
            """The same path there, and its query without a token."""
            uri: str = super().get_client_uri(*args)
            path, _, query = uri.partition("?")
            kept = [part for part in query.split("&") if part and not part.startswith("token=")]
            return path + (f"?{'&'.join(kept)}" if kept else "")

        async def http_get(self, backend: str, workload: str, path: str) -> Any:
            return await self.proxy("localhost", 0, path)

        async def head(self, backend: str, workload: str, path: str) -> Any:
            return await self.proxy("localhost", 0, path)

        async def open(self, backend: str, workload: str, path: str) -> Any:
            return await self.proxy_open("localhost", 0, path)

        def _get_context_path(self, host: str, port: int) -> str:
            return str(self.request.path).rpartition(f"/{self.path_args[1]}/")[0] + f"/{self.path_args[1]}"

        def on_finish(self) -> None:
            """Look no longer."""
            self._looking.close()
            super().on_finish()

    return DashboardProxy
