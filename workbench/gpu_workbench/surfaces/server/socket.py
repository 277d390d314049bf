"""The one WebSocket of a browser tab: topics that it asks for, and their newest states, each at most once a second.

The tab sends ``{"subscribe": TOPIC}`` or ``{"unsubscribe": TOPIC}``, and ``{"seen": [ID, …]}`` with the workloads whose rows
are on its screen: of those alone the list is kept up to date every second. It is sent what :mod:`.topics` makes, and
``{"topic": TOPIC, "error": {…}}`` where a topic cannot be had, or is not there any more. ``{"error": {…}}`` answers what is
neither; after too many of them the connection is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from gpu_workbench.core.errors import UsageError, WorkbenchError
from gpu_workbench.core.wire import Json, JsonObject
from gpu_workbench.surfaces.server.errors import form_of
from gpu_workbench.surfaces.server.guests import for_guests
from gpu_workbench.surfaces.server.hub import Hub
from gpu_workbench.surfaces.server.outbox import Outbox
from gpu_workbench.surfaces.server.permissions import READ, RESOURCE, allowed, is_owner
from gpu_workbench.surfaces.server.topics import RUNS, RunTopic, is_id, parse_topic
from gpu_workbench.transport.timing import within

MESSAGE_LIMIT = 16 * 1024
"""Characters of a message from a browser."""

SEEN_LIMIT = 200
"""Rows that a browser may have on its screen."""

MISTAKES = 20
"""Messages that are not understood, after which the connection is closed."""

POLICY_VIOLATION = 1008

log = logging.getLogger(__name__)


class TopicSocket(ExtensionHandlerMixin, WebSocketMixin, WebSocketHandler, JupyterHandler):
    """``/gpu-workbench/api/live``."""

    auth_resource = RESOURCE
    _track_activity = False

    def initialize(self, name: str, hub: Hub, owners: frozenset[str]) -> None:
        """Called by tornado before each request."""
        super().initialize(name)
        self._hub, self._owners, self._owner = hub, owners, False
        self._outbox = Outbox()
        self._parsed: dict[str, str | RunTopic] = {}
        self._news = asyncio.Event()
        self._wanted: dict[str, contextlib.ExitStack] = {}
        self._looking = contextlib.ExitStack()
        self._sending: asyncio.Task[None] | None = None
        self._mistakes = 0

    def set_default_headers(self) -> None:
        """A WebSocket has none."""

    @ws_authenticated
    @allowed(READ)
    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Open it."""
        await super().get(*args, **kwargs)

    def open(self, *args: Any, **kwargs: Any) -> None:
        """Begin to send."""
        super().open(*args, **kwargs)
        self._owner = is_owner(self, self._owners)
        self._looking.enter_context(self._hub.look(self._changed))
        self._hub.on_screen(self, None)
        self._looking.callback(self._hub.off_screen, self)
        self._sending = asyncio.create_task(self._send())

    def on_message(self, message: str | bytes) -> None:
        """Take what the browser asks for."""
        try:
            self._take(message)
        except UsageError as error:
            self._mistakes += 1
            if self._mistakes > MISTAKES:
                self.close(POLICY_VIOLATION, "too many messages that are not understood")
                return
            self._tell({"error": form_of(error)})

    def _take(self, message: str | bytes) -> None:
        form = _parse(message)
        word, topic = next(iter(form.items()))
        if word == "seen":
            self._hub.on_screen(self, _rows(topic))
            self._changed(RUNS)
            return
        parsed = parse_topic(topic)
        if word not in ("subscribe", "unsubscribe") or parsed is None:
            raise UsageError("That message is not understood", why=f"{word!r:.40} of {topic!r:.80}")
        name = str(parsed)
        if word == "unsubscribe":
            self._drop(name)
            return
        if not self._outbox.subscribe(name):
            raise UsageError("That is one topic too many", fix="Unsubscribe from what is not on the screen")
        if name not in self._wanted:
            self._wanted[name] = contextlib.ExitStack()
            self._parsed[name] = parsed
            self._wanted[name].enter_context(self._hub.want(parsed, self._changed))
        self._news.set()

    def _drop(self, topic: str) -> None:
        self._outbox.unsubscribe(topic)
        self._parsed.pop(topic, None)
        if topic in self._wanted:
            self._wanted.pop(topic).close()

    def _changed(self, topic: str) -> None:
        self._outbox.changed(topic)
        self._news.set()

    async def _send(self) -> None:
        """Send what is due, and wait for the browser to have taken it: a slow one gets newer states, not more of them."""
        clock = asyncio.get_running_loop().time
        try:
            await self._hub.board.listed()
            while True:
                self._news.clear()
                for topic in self._outbox.due(clock()):
                    await self._send_topic(topic, clock())
                    await asyncio.sleep(0)  # requests that came meanwhile do not wait for the other topics
                with contextlib.suppress(asyncio.TimeoutError):
                    await within(self._news.wait(), self._outbox.wait(clock()))
        except WebSocketClosedError:
            pass
        except Exception:
            log.exception("Nothing more can be sent to a browser")
            self.close(1011, "something is wrong in the server; its log says what")

    async def _send_topic(self, topic: str, now: float) -> None:
        parsed = self._parsed.get(topic)
        if isinstance(parsed, RunTopic):
            await self._hub.board.recall(parsed.workload)
        if parsed is None or topic not in self._outbox:  # it was dropped while another one was sent
            return
        try:
            state = self._hub.state(parsed)
        except WorkbenchError as error:
            self._drop(topic)
            await self._write({"topic": topic, "error": form_of(error)})
            return
        state = state if self._owner else for_guests(topic, state)
        text = self._outbox.take(topic, state, now)
        if text is not None:
            await self.write_message(text)

    async def _write(self, form: JsonObject) -> None:
        await self.write_message(json.dumps(form))

    def _tell(self, form: JsonObject) -> None:
        with contextlib.suppress(WebSocketClosedError):
            self.write_message(json.dumps(form))

    def on_close(self) -> None:
        """Look no longer."""
        if self._sending is not None:
            self._sending.cancel()
        for wanted in self._wanted.values():
            wanted.close()
        self._looking.close()
        super().on_close()


def _parse(message: str | bytes) -> JsonObject:
    if len(message) > MESSAGE_LIMIT or isinstance(message, bytes):
        raise UsageError("That message is not understood", why="it is binary, or too long")
    try:
        form = json.loads(message)
    except (ValueError, RecursionError):
        raise UsageError("That message is not understood", why="it is not JSON") from None
    if not isinstance(form, dict) or len(form) != 1:
        raise UsageError("That message is not understood", why="it is not an object with one member")
    return form


def _rows(value: Json) -> frozenset[str]:
    """The workloads whose rows a browser sees."""
    rows = [one for one in value if isinstance(one, str) and is_id(one)] if isinstance(value, list) else []
    if not isinstance(value, list) or len(rows) != len(value) or len(rows) > SEEN_LIMIT:
        raise UsageError(
            "That message is not understood", why=f"rows that are seen are at most {SEEN_LIMIT} ids"
        )
    return frozenset(rows)
