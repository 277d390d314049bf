"""What all REST routes have: who asks, what was sent, and answers and errors as JSON."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, ClassVar

from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado import web

from gpu_workbench.core.errors import PermissionDenied, UsageError, WorkbenchError
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.surfaces.server.errors import form_of, status_of
from gpu_workbench.surfaces.server.guests import for_guests
from gpu_workbench.surfaces.server.hub import Hub
from gpu_workbench.surfaces.server.openapi import Api
from gpu_workbench.surfaces.server.permissions import RESOURCE, is_owner
from gpu_workbench.surfaces.server.topics import RunTopic

BODY_LIMIT = 64 * 1024
"""Bytes of a request's body."""

ONE = r"([A-Za-z0-9_-]{1,64})"
"""The id of a workload or a run in a path."""


def answers(method: Callable[..., Awaitable[JsonObject]]) -> Callable[..., Awaitable[None]]:
    """The method's result as JSON; an error of ours as JSON with its status."""

    @wraps(method)
    async def answered(self: Endpoint, *args: str) -> None:
        try:
            await self.finish(json.dumps(await method(self, *args)))
        except WorkbenchError as error:
            self.set_status(status_of(error))
            await self.finish(json.dumps(form_of(error)))

    return answered


class Endpoint(ExtensionHandlerMixin, APIHandler):
    """What all of them have."""

    auth_resource = RESOURCE
    _track_activity = False

    api: ClassVar[Api] = {}
    """What OpenAPI says of it."""

    def initialize(self, name: str, hub: Hub, owners: frozenset[str]) -> None:
        """Called by tornado before each request."""
        super().initialize(name)
        self._hub = hub
        self._owners = owners

    @property
    def by_owner(self) -> bool:
        """Whether the server's owner asks."""
        return is_owner(self, self._owners)

    def for_owner(self) -> None:
        """Go on only for the server's owner.

        Raises:
            PermissionDenied: somebody else asks.
        """
        if not self.by_owner:
            raise PermissionDenied("Only the owner of this server may do that", why="you are its guest")

    def form(self) -> JsonObject:
        """The request's body.

        Raises:
            UsageError: it is no JSON object, or too long.
        """
        if len(self.request.body) > BODY_LIMIT:
            raise UsageError("The body is too long", why=f"more than {BODY_LIMIT} bytes")
        try:
            form = json.loads(self.request.body or b"{}")
        except (ValueError, RecursionError):
            form = None
        if not isinstance(form, dict):
            raise UsageError("The body has to be a JSON object")
        return form

    def done(self, action: str, *, workload: str, run: str = "") -> None:
        """Tell whoever collects events what was done, and by whom."""
        user = getattr(self.current_user, "username", "")
        self._hub.events.action(action, workload=workload, run=run, user=user)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """What the server itself refuses, in the form of our errors."""
        status = HTTPStatus(status_code)
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        message = error.log_message if isinstance(error, web.HTTPError) else ""
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            methods = {method.upper() for path in self.api.values() for method in path}
            self.set_header("Allow", ", ".join(sorted(methods)))
        word = status.phrase.title().replace(" ", "")
        self.finish(json.dumps({"error": word, "message": message or status.phrase, "why": "", "fix": ""}))

    def seen(self, topic: str | RunTopic) -> JsonObject:
        """A topic's state, as far as this user may see it.

        Raises:
            RunNotFound: that workload is not there any more.
        """
        state = self._hub.state(topic, all_rows=True)
        told = state if self.by_owner else for_guests(str(topic), state)
        return {name: json.loads(text) for name, text in told.items()}


def nobody(topic: str) -> None:
    """Who asks once is told of no change."""
