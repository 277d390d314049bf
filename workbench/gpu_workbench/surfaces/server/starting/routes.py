"""The routes of the form that starts a session; for the server's owner alone."""

from __future__ import annotations

from tornado import web

from gpu_workbench.core.errors import UsageError
from gpu_workbench.core.wire import JsonObject, encode_fields
from gpu_workbench.surfaces.server.endpoint import Endpoint, answers, nobody
from gpu_workbench.surfaces.server.openapi import BASE, Api, operation, schema_of
from gpu_workbench.surfaces.server.permissions import START, allowed
from gpu_workbench.surfaces.server.starting.form import StartOptions, fields
from gpu_workbench.surfaces.server.starting.starter import Started, StartPlan

DRY_RUN = "dry_run"
"""The member of what is posted that asks for the plan alone."""


_TYPED: JsonObject = {
    "type": ["string", "number", "array", "null"],
    "items": {"type": ["string", "number"]},
}

_ASKED: JsonObject = {
    "type": "object",
    "properties": {
        DRY_RUN: {"type": "boolean", "default": False},
        **{field.key: _TYPED for field in fields()},
    },
    "additionalProperties": False,
    "description": "What was typed into the fields, by their keys: text, or lines of it, as the flags of `%%gpu` take it",
}

_API: Api = {
    "/start": {
        "get": operation(
            "What the form that starts a session offers", answer=schema_of(StartOptions), owner=True
        ),
        "post": operation(
            "Start a session, or say what would be started",
            body=_ASKED,
            answer={"anyOf": [schema_of(StartPlan), schema_of(Started)]},
            errors=[400, 409],
            owner=True,
        ),
    }
}


class Start(Endpoint):
    """What the form offers, and what it asks for."""

    api = _API

    @web.authenticated
    @allowed(START)
    @answers
    async def get(self) -> JsonObject:
        """``GET start``: what the form offers."""
        self.for_owner()
        return encode_fields(await self._hub.starter.options())

    @web.authenticated
    @allowed(START)
    @answers
    async def post(self) -> JsonObject:
        """``POST start``: start a session; with ``"dry_run": true``, say what would be started."""
        self.for_owner()
        form = self.form()
        dry_run = form.pop(DRY_RUN, False)
        if not isinstance(dry_run, bool):
            raise UsageError(f"{DRY_RUN} is true or false")
        with self._hub.look(nobody):
            if dry_run:
                return encode_fields(await self._hub.starter.plan(form))
            started = await self._hub.starter.start(form)
        self.done("start", workload=started.id)
        return encode_fields(started)


def routes() -> list[tuple[str, type[Endpoint]]]:
    """Path below the server's base URL to what answers there."""
    return [(rf"{BASE}/start", Start)]
