"""What browsers ask for once, and what they may do: ``/gpu-workbench/api/…``."""

from __future__ import annotations

from tornado import web

from gpu_workbench.__about__ import __version__
from gpu_workbench.app.board import Followed
from gpu_workbench.app.replay import Replay
from gpu_workbench.app.stopping import stop
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.backends.channel import Channel
from gpu_workbench.core.errors import (
    Conflict,
    RunNotFound,
    UsageError,
)
from gpu_workbench.core.model import RunState
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.surfaces.picture import snapshot_of
from gpu_workbench.surfaces.server import rest_api
from gpu_workbench.surfaces.server.endpoint import ONE, Endpoint, answers, nobody
from gpu_workbench.surfaces.server.openapi import BASE
from gpu_workbench.surfaces.server.outputs import NotebookOutputs, as_form
from gpu_workbench.surfaces.server.permissions import (
    ACT,
    READ,
    START,
    allowed,
    may,
)
from gpu_workbench.surfaces.server.topics import RUNS, RunTopic, is_id
from gpu_workbench.surfaces.view.bundle import bundle
from gpu_workbench.surfaces.view.model import Published

WIRE = 1
"""Version of what is said here and on the WebSocket."""


class Hello(Endpoint):
    """Which versions answer here, and what whoever asks may do."""

    api = rest_api.HELLO

    @web.authenticated
    @allowed(READ)
    @answers
    async def get(self) -> JsonObject:
        """``GET hello``."""
        return {
            "version": __version__,
            "wire": WIRE,
            "owner": self.by_owner,
            "may": {action: await may(self, action, self._owners) for action in (ACT, START)},
            "errors": dict(self._hub.board.errors),
        }


class Runs(Endpoint):
    """All workloads of the user."""

    api = rest_api.RUNS

    @web.authenticated
    @allowed(READ)
    @answers
    async def get(self) -> JsonObject:
        """``GET runs``: the rows of the panel, by id."""
        with self._hub.look(nobody):
            await self._hub.board.listed()
            return {"runs": self.seen(RUNS)}


class OneRun(Endpoint):
    """One workload."""

    api = rest_api.ONE_RUN

    @web.authenticated
    @allowed(READ)
    @answers
    async def get(self, workload: str) -> JsonObject:
        """``GET runs/ID``: its view."""
        with self._hub.look(nobody):
            followed = await self._hub.board.find(workload)
            followed.want()
            await followed.known()
            return self.seen(RunTopic(workload))

    @web.authenticated
    @allowed(ACT)
    @answers
    async def delete(self, workload: str) -> JsonObject:
        """``DELETE runs/ID``: its last trace, once it has ended."""
        self.for_owner()
        with self._hub.look(nobody):
            await self._hub.board.forget(workload)
        self.done("forget", workload=workload)
        return {}


class Outputs(Endpoint):
    """What one run has written, as a notebook has it."""

    api = rest_api.OUTPUTS

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

    api = rest_api.ACTIONS

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
        self.done(action, workload=workload, run=str(form.get("run", "")))
        return {}


async def _stop(followed: Followed, form: JsonObject) -> None:
    force = form.get("force", False)
    if not isinstance(force, bool):
        raise UsageError("How is it to be stopped?", fix='Write {"force": true} or {"force": false}')
    await stop(followed.subscription, force=force)


async def _keep(followed: Followed, form: JsonObject) -> None:
    seconds = form.get("seconds")
    if (
        not isinstance(seconds, int | float)
        or isinstance(seconds, bool)
        or not 0 < seconds <= rest_api.LONGEST_KEEP
    ):
        raise UsageError("For how many seconds?", fix="Write seconds, at most a week")
    await (await _agent(followed)).keep(float(seconds))


async def _interrupt(followed: Followed, form: JsonObject) -> None:
    run, grade = form.get("run"), form.get("grade", 1)
    if not isinstance(run, str) or not is_id(run) or isinstance(grade, bool) or grade not in (1, 2):
        raise UsageError("Which run, and how?", fix='Write {"run": ID, "grade": 1}')
    await (await _agent(followed)).interrupt(run, grade=int(grade))


async def _agent(followed: Followed) -> Channel:
    """A channel to what has not ended.

    Raises:
        Conflict: it has.
    """
    await followed.known()
    if followed.subscription.over:
        raise Conflict(f"{followed.handle.spec.name} has ended")
    return await followed.subscription.channel()


_ACTIONS = {"stop": _stop, "keep": _keep, "interrupt": _interrupt}


def routes() -> list[tuple[str, type[Endpoint]]]:
    """Path below the server's base URL to what answers there."""
    return [
        (rf"{BASE}/hello", Hello),
        (rf"{BASE}/runs", Runs),
        (rf"{BASE}/runs/{ONE}", OneRun),
        (rf"{BASE}/runs/{ONE}/outputs/{ONE}", Outputs),
        (rf"{BASE}/runs/{ONE}/({'|'.join(_ACTIONS)})", Action),
    ]
