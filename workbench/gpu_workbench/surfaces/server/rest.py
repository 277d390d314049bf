"""What browsers ask for once, and what they may do: ``/gpu-workbench/api/…``."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import wraps

from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado import web

from gpu_workbench.__about__ import __version__
from gpu_workbench.app.board import Followed
from gpu_workbench.app.replay import Replay
from gpu_workbench.app.stopping import stop
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.core.errors import PermissionDenied, RunNotFound, UsageError, WorkbenchError
from gpu_workbench.core.model import RunState
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.surfaces.picture import snapshot_of
from gpu_workbench.surfaces.server.errors import form_of, status_of
from gpu_workbench.surfaces.server.hub import Hub
from gpu_workbench.surfaces.server.outputs import NotebookOutputs, as_form
from gpu_workbench.surfaces.server.permissions import ACT, PRIVATE, READ, RESOURCE, allowed, is_owner
from gpu_workbench.surfaces.server.topics import RUNS, RunTopic, State
from gpu_workbench.surfaces.view.bundle import bundle
from gpu_workbench.surfaces.view.model import Published

WIRE = 1
"""Version of what is said here and on the WebSocket."""

BASE = r"/gpu-workbench/api"
"""What paths begin with, below the server's base URL."""

ONE = r"([A-Za-z0-9_-]{1,64})"
"""The id of a workload or a run in a path."""

_LONGEST_KEEP = 7 * 24 * 3600.0


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
            UsageError: it is no JSON object.
        """
        try:
            form = json.loads(self.request.body or b"{}")
        except (ValueError, RecursionError):
            form = None
        if not isinstance(form, dict):
            raise UsageError("The body has to be a JSON object")
        return form

    def seen(self, state: State) -> JsonObject:
        """A topic's state, as far as this user may see it."""
        return {
            name: json.loads(text) for name, text in state.items() if self.by_owner or name not in PRIVATE
        }


class Hello(Endpoint):
    """Which versions answer here, and what whoever asks may do."""

    @web.authenticated
    @allowed(READ)
    @answers
    async def get(self) -> JsonObject:
        """``GET hello``."""
        return {
            "version": __version__,
            "wire": WIRE,
            "owner": self.by_owner,
            "errors": dict(self._hub.board.errors),
        }


class Runs(Endpoint):
    """All workloads of the user."""

    @web.authenticated
    @allowed(READ)
    @answers
    async def get(self) -> JsonObject:
        """``GET runs``: the rows of the panel, by id."""
        with self._hub.look(nobody):
            await self._hub.board.listed()
            return {"runs": self.seen(self._hub.state(RUNS))}


class OneRun(Endpoint):
    """One workload."""

    @web.authenticated
    @allowed(READ)
    @answers
    async def get(self, workload: str) -> JsonObject:
        """``GET runs/ID``: its view."""
        with self._hub.look(nobody):
            await self._hub.board.find(workload)
            return self.seen(self._hub.state(RunTopic(workload)))


class Outputs(Endpoint):
    """What one run has written, as a notebook has it."""

    @web.authenticated
    @allowed(READ)
    @answers
    async def get(self, workload: str, run: str) -> JsonObject:
        """``GET runs/ID/outputs/RUN``; for the owner alone."""
        self.for_owner()
        with self._hub.look(nobody):
            followed = await self._hub.board.find(workload)
            replay = await Replay.begin(followed.subscription.backend, followed.handle, run)
            found = NotebookOutputs()
            try:
                async for written in replay.outputs(follow=False):
                    found.take(written)
            finally:
                await replay.close()
            state = replay.subscription.workload.runs.get(run)
            if state is None:
                raise RunNotFound(f"There is no run {run!r} in {workload}")
            form = as_form(found, characters=state.characters)
            return {**form, "view": self._view(replay.subscription, state, found)}

    def _view(self, subscription: Subscription, state: RunState, found: NotebookOutputs) -> JsonObject:
        """The run's view as the notebook would have it after these outputs."""
        published = Published(characters=found.characters, displays=state.displays)
        shown = snapshot_of(subscription, state.id, saved=self._hub.saved, published=published)
        data, metadata = bundle(shown, final=state.phase.ended)
        return {"output_type": "display_data", "data": data, "metadata": metadata}


class Action(Endpoint):
    """Something done to a workload."""

    @web.authenticated
    @allowed(ACT)
    @answers
    async def post(self, workload: str, action: str) -> JsonObject:
        """``POST runs/ID/stop``, ``…/keep`` or ``…/interrupt``."""
        self.for_owner()
        form = self.form()
        with self._hub.look(nobody):
            followed = await self._hub.board.find(workload)
            await _ACTIONS[action](followed, form)
        return {}


async def _stop(followed: Followed, form: JsonObject) -> None:
    await stop(followed.subscription, force=form.get("force") is True)


async def _keep(followed: Followed, form: JsonObject) -> None:
    seconds = form.get("seconds")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 < seconds <= _LONGEST_KEEP:
        raise UsageError("For how many seconds?", fix="Write seconds, at most a week")
    await (await followed.subscription.channel()).keep(float(seconds))


async def _interrupt(followed: Followed, form: JsonObject) -> None:
    run, grade = form.get("run"), form.get("grade", 1)
    if not isinstance(run, str) or grade not in (1, 2):
        raise UsageError("Which run, and how?", fix='Write {"run": ID, "grade": 1}')
    await (await followed.subscription.channel()).interrupt(run, grade=int(grade))


_ACTIONS = {"stop": _stop, "keep": _keep, "interrupt": _interrupt}


def nobody(topic: str) -> None:
    """Who asks once is told of no change."""


def routes() -> list[tuple[str, type[Endpoint]]]:
    """Path below the server's base URL to what answers there."""
    return [
        (rf"{BASE}/hello", Hello),
        (rf"{BASE}/runs", Runs),
        (rf"{BASE}/runs/{ONE}", OneRun),
        (rf"{BASE}/runs/{ONE}/outputs/{ONE}", Outputs),
        (rf"{BASE}/runs/{ONE}/({'|'.join(_ACTIONS)})", Action),
    ]
