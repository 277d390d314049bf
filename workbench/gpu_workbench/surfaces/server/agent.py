"""The agent's own HTTP through the server: ``runs/ID/agent/v1/…``, streamed both ways as bytes.

Token, certificate and the way to the pod stay here. What comes back was written by code of the user's, perhaps on a machine
that somebody else has broken into: it is never given to a browser as anything that it would draw or execute.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.extension.handler import ExtensionHandlerMixin
from jupyter_server.utils import ensure_async
from tornado import web
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from gpu_workbench.backends.channel import Channel
from gpu_workbench.core.errors import PermissionDenied, UsageError, WorkbenchError
from gpu_workbench.surfaces.server.endpoint import ONE, Endpoint, nobody
from gpu_workbench.surfaces.server.errors import form_of, status_of
from gpu_workbench.surfaces.server.hub import Hub
from gpu_workbench.surfaces.server.openapi import BASE
from gpu_workbench.surfaces.server.permissions import ACT, READ, RESOURCE, allowed, is_owner
from gpu_workbench.transport.client import Reply
from gpu_workbench.transport.websocket import WebSocket

BODY_LIMIT = 1 << 40
"""Bytes of a request's body; the agent itself has the limits that count."""

_CHUNK = 256 * 1024
_TYPES = ("application/json",)
_OTHER_TYPE = "application/octet-stream"
_PASSED_ON = ("content-length", "retry-after")
_OURS = "gpu-workbench-"


@web.stream_request_body
class AgentProxy(Endpoint):
    """Requests to the agent of one workload, for the server's owner alone."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Find the agent before the body is read, which goes on as it comes: so whoever may not ask is sent away here."""
        self._body: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._asked: asyncio.Task[Reply] | None = None
        self._looking = contextlib.ExitStack()
        await super().prepare()
        if self._finished:
            return
        self.request.connection.set_max_body_size(BODY_LIMIT)  # type: ignore[union-attr]
        try:
            self.for_owner()
            await self._ask_authorizer()
            self._asked = asyncio.create_task(self._ask(await self._channel(), self._length()))
            self._asked.add_done_callback(lambda _: self._drain())
        except WorkbenchError as error:
            self.set_status(status_of(error))
            self.set_header("Connection", "close")  # the body is not wanted
            await self.finish(form_of(error))

    async def _ask_authorizer(self) -> None:
        action = READ if self.request.method == "GET" else ACT
        user, authorizer = self.current_user, self.authorizer
        if not await ensure_async(authorizer.is_authorized(self, user, action, RESOURCE)):
            raise PermissionDenied("This server's authorizer forbids that")

    def _length(self) -> int:
        length = self.request.headers.get("Content-Length", "")
        if not length and self.request.method in ("PUT", "POST"):
            raise UsageError("The body has no length", fix="Send Content-Length")
        return int(length or 0)

    async def _channel(self) -> Channel:
        self._looking.enter_context(self._hub.look(nobody))
        followed = await self._hub.board.find(self.path_args[0])
        return await followed.subscription.channel()

    async def _ask(self, channel: Channel, length: int) -> Reply:
        method, path = str(self.request.method), f"/{self.request.path.partition('/agent/')[2]}"
        query = {name: values[-1].decode() for name, values in self.request.query_arguments.items()}
        body = self._chunks() if length else None
        return await channel.forward(method, path, query=query, body=body, length=length)

    async def _chunks(self) -> AsyncIterator[bytes]:
        while (chunk := await self._body.get()) is not None:
            yield chunk

    def _drain(self) -> None:
        """The agent has answered, perhaps before it had all: what still comes is nobody's."""
        with contextlib.suppress(asyncio.QueueEmpty):
            self._body.get_nowait()

    async def data_received(self, chunk: bytes) -> None:
        """A part of the body: the next one is read when the agent has taken this one."""
        if self._asked is not None and not self._asked.done():
            putting = asyncio.ensure_future(self._body.put(chunk))
            await asyncio.wait((putting, self._asked), return_when=asyncio.FIRST_COMPLETED)
            putting.cancel()

    @web.authenticated
    @allowed(READ)
    async def get(self, workload: str) -> None:
        """``GET runs/ID/agent/v1/…``."""
        await self._answer()

    @web.authenticated
    @allowed(ACT)
    async def put(self, workload: str) -> None:
        """``PUT runs/ID/agent/v1/…``."""
        await self._answer()

    @web.authenticated
    @allowed(ACT)
    async def post(self, workload: str) -> None:
        """``POST runs/ID/agent/v1/…``."""
        await self._answer()

    @web.authenticated
    @allowed(ACT)
    async def delete(self, workload: str) -> None:
        """``DELETE runs/ID/agent/v1/…``."""
        await self._answer()

    async def _answer(self) -> None:
        assert self._asked is not None
        if not self._asked.done():
            await self._body.put(None)
        try:
            reply = await self._asked
        except WorkbenchError as error:
            self.set_status(status_of(error))
            await self.finish(form_of(error))
            return
        self._head(reply)
        try:
            await self._copy(reply)
        finally:
            reply.close()

    def _head(self, reply: Reply) -> None:
        kind = reply.headers.get("content-type", "")
        self.set_status(reply.status)
        self.set_header("Content-Type", kind if kind in _TYPES else _OTHER_TYPE)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Disposition", "attachment")
        for name, value in reply.headers.items():
            if name in _PASSED_ON or name.startswith(_OURS):
                self.set_header(name, value)

    async def _copy(self, reply: Reply) -> None:
        """The body as it comes; a browser that reads slowly makes the agent wait."""
        room = memoryview(bytearray(_CHUNK))
        with contextlib.suppress(StreamClosedError):
            while count := await reply.readinto(room):
                self.write(bytes(room[:count]))
                await self.flush()
            await self.finish(set_content_type=self._headers["Content-Type"])

    def on_finish(self) -> None:
        """Look no longer."""
        self._looking.close()

    def on_connection_close(self) -> None:
        """Whoever asked is gone: so is the request."""
        if self._asked is not None:
            self._asked.cancel()
        self._looking.close()
        super().on_connection_close()


class JournalProxy(ExtensionHandlerMixin, WebSocketMixin, WebSocketHandler, JupyterHandler):
    """``WS runs/ID/agent/v1/journal?after=CURSOR``: the agent's journal, for the server's owner alone."""

    auth_resource = RESOURCE
    _track_activity = False

    def initialize(self, name: str, hub: Hub, owners: frozenset[str]) -> None:
        """Called by tornado before each request."""
        super().initialize(name)
        self._hub, self._owners = hub, owners
        self._looking = contextlib.ExitStack()
        self._socket: WebSocket | None = None
        self._copying: asyncio.Task[None] | None = None

    def set_default_headers(self) -> None:
        """A WebSocket has none."""

    @ws_authenticated
    @allowed(READ)
    async def get(self, workload: str) -> None:
        """Open it, once the agent has."""
        if not is_owner(self, self._owners):
            raise web.HTTPError(403)
        self._looking.enter_context(self._hub.look(nobody))
        try:
            followed = await self._hub.board.find(workload)
            channel = await followed.subscription.channel()
            self._socket = await channel.journal_socket(self.get_query_argument("after", ""))
        except WorkbenchError as error:
            self._looking.close()
            raise web.HTTPError(status_of(error), str(error)) from None
        await super().get(workload)

    def open(self, *args: Any, **kwargs: Any) -> None:
        """Begin to copy."""
        super().open(*args, **kwargs)
        self._copying = asyncio.create_task(self._copy())

    async def _copy(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(WebSocketClosedError):
            while (chunk := await self._socket.receive()) is not None:
                await self.write_message(chunk.decode())
        self.close()

    def on_message(self, message: str | bytes) -> None:
        """A reader of the journal says nothing."""
        self.close(1008, "nothing is to be said here")

    def on_close(self) -> None:
        """Let go of the agent."""
        self._looking.close()
        if self._copying is not None:
            self._copying.cancel()
        if self._socket is not None:
            self._closing = asyncio.create_task(self._socket.close())
        super().on_close()


def routes() -> list[tuple[str, type[Any]]]:
    """Path below the server's base URL to what answers there; the first that fits does."""
    agent = rf"{BASE}/runs/{ONE}/agent/v1"
    return [(rf"{agent}/journal", JournalProxy), (rf"{agent}/.+", AgentProxy)]
