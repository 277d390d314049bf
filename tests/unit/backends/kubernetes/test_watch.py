"""A Dask cluster that its operator ends: seen, told apart from one that cannot be seen, and written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.watch import Watcher
from gpu_workbench.backends.kubernetes.watching import Watching
from gpu_workbench.core.errors import Unreachable, WorkbenchError
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Kind, Phase
from gpu_workbench.core.spec import Handle, WorkloadSpec
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.job import root_manifest
from gpu_workbench.transport.timing import TimedEvent
from tests.unit.backends.kubernetes.api_server import ApiServer

SPEC = WorkloadSpec(id="0123456789ab", kind=Kind.DASK, owner="me")
ROOT = "/api/v1/namespaces/ns/configmaps/gwb-0123456789ab"
CLUSTER: JsonObject = {"kind": "DaskCluster", "metadata": {"name": "gwb-0123456789ab"}, "status": {}}


def scheduler(*, record: JsonObject | None = None) -> JsonObject:
    """Its pod; with a record it has ended."""
    ended: JsonObject = {"exitCode": 0, "message": json.dumps(record)}
    state: JsonObject = (
        {"terminated": ended} if record else {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    )
    return {
        "metadata": {"name": "s", "labels": {"dask.org/component": "scheduler"}},
        "spec": {"nodeName": "n"},
        "status": {"phase": "Running", "containerStatuses": [{"name": "agent", "state": state}]},
    }


@dataclass
class Objects:
    """What is seen of one kind."""

    objects: dict[str, JsonObject] = field(default_factory=dict)
    error: WorkbenchError | None = None
    synced = True


class Scene:
    """A source of facts in the test's hands."""

    closed = False
    known = True

    def __init__(self) -> None:
        self.jobs, self.pods, self.deployments = Objects(), Objects(), Objects()
        self.root_seen: JsonObject | None = root_manifest(SPEC)
        self.changed = TimedEvent()
        self.show(cluster=CLUSTER, pod=scheduler())

    def show(self, *, cluster: JsonObject | None = None, pod: JsonObject | None = None) -> None:
        """This is there from now on, and nothing else."""
        self.jobs.objects = {"c": cluster} if cluster else {}
        self.pods.objects = {"p": pod} if pod else {}
        self.changed.set()

    async def root(self) -> JsonObject | None:
        return self.root_seen

    def events(self) -> list[JsonObject]:
        return []

    def follow_events(self, names: Sequence[str]) -> None:
        pass

    def check(self) -> None:
        pass

    async def close(self) -> None:
        pass


class NothingAround:
    """No nodes, no quotas."""

    wanted = False
    nodes = gpu_pods = queue = None
    quotas = claims = ()

    async def refresh(self, **_: object) -> bool:
        return False


@asynccontextmanager
async def watched(
    scene: Scene, spec: WorkloadSpec = SPEC
) -> AsyncIterator[tuple[Watcher, AsyncIterator[Facts]]]:
    handle = Handle(spec=spec, backend="kubernetes", started=0.0)
    watcher = Watcher(handle, source=scene, surroundings=NothingAround(), changed=scene.changed)  # type: ignore[arg-type]
    async with aclosing(watcher.facts()) as found:  # type: ignore[type-var]
        yield watcher, found


async def test_a_cluster_that_goes_stops_and_was_taken_away_once_its_scheduler_is_gone_too() -> None:
    scene = Scene()
    async with watched(scene) as (watcher, found):
        assert (await anext(found)).phase is Phase.RUNNING
        scene.show(pod=scheduler())
        assert (await anext(found)).phase is Phase.STOPPING
        assert not watcher.was_taken_away, "its end is not yet written down by the agent"
        scene.show()
        facts = await anext(found)
        assert (facts.phase, facts.gone) == (Phase.STOPPING, False)
        assert watcher.was_taken_away


async def test_the_word_of_its_scheduler_is_enough() -> None:
    scene = Scene()
    async with watched(scene) as (watcher, found):
        await anext(found)
        scene.show(pod=scheduler(record={"version": 1, "outcome": "Stopped", "reason": "idle"}))
        assert (await anext(found)).record == {"version": 1, "outcome": "Stopped", "reason": "idle"}
        assert watcher.was_taken_away


async def test_what_cannot_be_seen_was_not_taken_away() -> None:
    scene = Scene()
    async with watched(scene) as (watcher, found):
        await anext(found)
        scene.jobs.error = Unreachable("the API server is away")
        scene.show()
        assert "the API server is away" in (await anext(found)).error
        assert not watcher.was_taken_away


async def test_what_is_not_there_yet_was_not_taken_away() -> None:
    scene = Scene()
    scene.show()
    async with watched(scene) as (watcher, found):
        assert (await anext(found)).phase is Phase.PENDING
        assert not watcher.was_taken_away


async def test_a_session_without_its_job_is_still_looked_for() -> None:
    scene = Scene()
    async with watched(scene, replace(SPEC, kind=Kind.SESSION)) as (watcher, found):
        await anext(found)
        scene.show()
        assert (await anext(found)).phase is Phase.PENDING
        assert not watcher.was_taken_away


# --- What becomes of the root


@pytest.fixture
async def scene(server: ApiServer) -> Scene:
    """One whose root lies on the server."""
    root: Any = root_manifest(SPEC)
    root["metadata"]["uid"] = "u"
    server.objects[ROOT] = root
    made = Scene()

    async def read() -> JsonObject | None:
        found: JsonObject = json.loads(json.dumps(server.objects[ROOT]))
        return found

    made.root = read  # type: ignore[method-assign]
    return made


@asynccontextmanager
async def followed(client: ApiClient, scene: Scene) -> AsyncIterator[AsyncIterator[Facts]]:
    """As the backend watches one workload."""
    watching = Watching(client)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "_source", lambda *_: scene)
        patch.setattr("gpu_workbench.backends.kubernetes.watching.TimedEvent", lambda: scene.changed)
        handle = Handle(spec=SPEC, backend="kubernetes", started=0.0)
        async with aclosing(watching.one(handle, namespace="ns")) as found:
            yield found


def record(server: ApiServer) -> object:
    return json.loads(server.objects[ROOT]["data"]["record.json"])


async def test_the_end_of_an_idle_cluster_is_written_down_and_then_told_at_once(
    client: ApiClient, server: ApiServer, scene: Scene
) -> None:
    async with followed(client, scene) as found:
        assert (await anext(found)).phase is Phase.RUNNING
        scene.show()
        assert (await anext(found)).phase is Phase.STOPPING
        facts = await asyncio.wait_for(anext(found), 5)
    assert (facts.phase, facts.gone) == (Phase.STOPPED, True)
    assert record(server) == {"version": 1, "outcome": "Stopped"}


async def test_what_its_scheduler_said_last_is_kept(
    client: ApiClient, server: ApiServer, scene: Scene
) -> None:
    async with followed(client, scene) as found:
        await anext(found)
        scene.show(pod=scheduler(record={"version": 1, "outcome": "Succeeded", "reason": "it was idle"}))
        await anext(found)
        await asyncio.wait_for(anext(found), 5)
    assert record(server) == {"version": 1, "outcome": "Stopped", "reason": "it was idle"}


async def test_the_word_of_who_stopped_it_stays(client: ApiClient, server: ApiServer, scene: Scene) -> None:
    async with followed(client, scene) as found:
        await anext(found)
        root = server.objects[ROOT]
        root["metadata"]["annotations"] = {"gpu-workbench.dev/ended": "2026-01-01T00:00:00Z"}
        root["data"]["record.json"] = json.dumps({"version": 1, "outcome": "Failed"})
        scene.show()
        while not (facts := await asyncio.wait_for(anext(found), 5)).phase.ended:
            pass
    assert facts.phase is Phase.FAILED
    assert record(server) == {"version": 1, "outcome": "Failed"}
