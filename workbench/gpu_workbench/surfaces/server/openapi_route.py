"""What comes after all other routes: their description, and an answer where there is nothing."""

from __future__ import annotations

from tornado import web

from gpu_workbench.core.errors import NotFound
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.surfaces.server import logs, rest, rest_api
from gpu_workbench.surfaces.server.endpoint import Endpoint, answers
from gpu_workbench.surfaces.server.openapi import BASE, description
from gpu_workbench.surfaces.server.permissions import READ, allowed
from gpu_workbench.surfaces.server.starting import routes as starting


class OpenApi(Endpoint):
    """What all routes are."""

    api = rest_api.OPENAPI

    @web.authenticated
    @allowed(READ)
    @answers
    async def get(self) -> JsonObject:
        """``GET openapi.json``."""
        return whole_description()


class Nothing(Endpoint):
    """Any other path."""

    @web.authenticated
    @allowed(READ)
    @answers
    async def get(self) -> JsonObject:
        """Whatever is asked."""
        raise NotFound("There is nothing at this path", fix=f"{BASE}/openapi.json says what there is")

    head = post = put = patch = delete = get


def whole_description() -> JsonObject:
    """The OpenAPI description of all routes."""
    return description(handler.api for _, handler in described_routes())


def described_routes() -> list[tuple[str, type[Endpoint]]]:
    """All routes of OpenAPI's kind. The agent's own, whose paths have any number of parts, are described elsewhere."""
    return [*rest.routes(), *logs.routes(), *starting.routes(), (rf"{BASE}/openapi\.json", OpenApi)]


def nothing_else() -> tuple[str, type[Endpoint]]:
    """What answers where no other route does; to be asked last."""
    return rf"{BASE}/.*", Nothing
