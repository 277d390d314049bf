"""The routes of the form that starts a session; for the server's owner alone."""

from __future__ import annotations

from tornado import web

from gpu_workbench.core.wire import JsonObject, encode_fields
from gpu_workbench.surfaces.server.permissions import START, allowed
from gpu_workbench.surfaces.server.rest import BASE, Endpoint, answers, nobody

DRY_RUN = "dry_run"
"""The member of what is posted that asks for the plan alone."""


class Start(Endpoint):
    """What the form offers, and what it asks for."""

    @web.authenticated
    @allowed(START)
    @answers
    async def get(self) -> JsonObject:
        """``GET start``: what the form offers."""
        self.for_owner()
        return encode_fields(self._hub.starter.options())

    @web.authenticated
    @allowed(START)
    @answers
    async def post(self) -> JsonObject:
        """``POST start``: start a session; with ``"dry_run": true``, say what would be started."""
        self.for_owner()
        form = self.form()
        dry_run = form.pop(DRY_RUN, False) is True
        with self._hub.look(nobody):
            if dry_run:
                return encode_fields(await self._hub.starter.plan(form))
            return encode_fields(await self._hub.starter.start(form))


def routes() -> list[tuple[str, type[Endpoint]]]:
    """Path below the server's base URL to what answers there."""
    return [(rf"{BASE}/start", Start)]
