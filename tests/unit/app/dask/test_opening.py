"""Which cluster a line means, whether it will ever come up, and what is said where it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from gpu_workbench.app.dask import opening
from gpu_workbench.app.dask.opening import (
    backend_of,
    cluster_named,
    hopeless,
    logs_of,
    open_cluster,
    scheduler_of,
)
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.backends.dask import SchedulerAddress
from gpu_workbench.core.errors import FlagError, RunNotFound, StartFailed, UsageError
from gpu_workbench.core.explain import explain
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import DaskState, DaskTasks, DaskWorker, Kind, Phase
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import DaskCluster, Handle, Resources, WorkloadSpec
from gpu_workbench.core.wire import JsonObject
from tests.unit.core.explain.objects import event_of, pod_of

SPEC = WorkloadSpec(
    id="",
    kind=Kind.DASK,
    name="etl",
    notebook="nb",
    image="worker:1",
    resources=Resources(gpus=Gpus(1)),
    dask=DaskCluster(n_workers=2),
)


class Backend:
    """SIMULATED: a place where clusters are, and of which some have ended."""

    name = "kubernetes"

    def __init__(self, *specs: WorkloadSpec, gone: tuple[str, ...] = ()) -> None:
        self.handles = [Handle(spec=spec, backend=self.name, started=0.0) for spec in specs]
        self.gone = gone
        self.sizes: list[tuple[str, int, str]] = []
        self.facts: dict[str, Facts] = {}
        self.logs: Mapping[str, str] = {}

    async def list(self, *, owner: str) -> list[Handle]:
        return self.handles

    async def watch(self, handle: Handle) -> AsyncIterator[Facts]:
        if handle.id in self.gone:
            yield Facts(phase=Phase.STOPPED, gone=True)
            return
        yield self.facts.get(handle.id, Facts(phase=Phase.PENDING))
        await asyncio.Event().wait()

    async def start(self, spec: WorkloadSpec) -> Handle:
        self.handles.append(Handle(spec=spec, backend=self.name, started=1.0))
        return self.handles[-1]

    async def scale(self, handle: Handle, n_workers: int, *, group: str) -> None:
        self.sizes.append((handle.id, n_workers, group))

    async def scheduler(self, handle: Handle) -> SchedulerAddress:
        return SchedulerAddress(f"tls://{handle.id}:8786", certificate="", key="")

    async def worker_logs(self, handle: Handle) -> Mapping[str, str]:
        return self.logs

    dashboard = adapt = wake = scale


def workbench(backend: object) -> Any:
    """One that follows by giving the handle back."""

    async def follow(_: str, handle: Handle) -> Any:
        return SimpleNamespace(handle=handle, backend=backend)

    return SimpleNamespace(backend=lambda _: backend, follow=follow)


def cluster(number: int, **fields: Any) -> WorkloadSpec:
    return replace(SPEC, id=f"{number:012x}", **fields)


# --- The one of that name, or a new one


async def test_where_there_is_none_of_that_name_one_is_started_with_an_id_of_its_own() -> None:
    others = (cluster(1, name="other"), cluster(2, kind=Kind.SESSION, dask=None), cluster(3))
    place = Backend(*others, gone=(others[2].id,))
    opened = await open_cluster(workbench(place), "kubernetes", SPEC, asked={"dask.n_workers": 2})
    assert opened.started
    assert opened.subscription.handle is place.handles[-1]
    assert len(opened.subscription.handle.id) == 12
    assert replace(opened.subscription.handle.spec, id="") == SPEC
    assert place.sizes == []


async def test_the_one_of_that_name_is_taken_and_has_the_size_that_is_asked() -> None:
    place = Backend(cluster(1))
    opened = await open_cluster(workbench(place), "kubernetes", SPEC, asked={})
    assert (opened.started, opened.subscription.handle.id, place.sizes) == (False, cluster(1).id, [])
    await open_cluster(workbench(place), "kubernetes", SPEC, asked={"dask.n_workers": 5})
    assert place.sizes == [(cluster(1).id, 5, "default")]
    assert len(place.handles) == 1


async def test_what_a_living_cluster_is_not_is_said_and_it_is_left_as_it_is() -> None:
    place = Backend(cluster(1, dask=DaskCluster(groups={"cpu": 2}, threads=1)))
    asked = {
        "dask.n_workers": 5,
        "resources.gpus": Gpus(2),
        "dask.groups": {"cpu": 4, "io": 1},
        "dask.threads": 1,
    }
    with pytest.raises(FlagError, match=r"The Dask cluster 'etl' is running and is otherwise") as caught:
        await open_cluster(workbench(place), "kubernetes", SPEC, asked=asked)
    assert caught.value.why.split("; ") == [
        "--gpus 2 was asked, the cluster has 1",
        "--group cpu: the cluster has another value",
        "--group io: the cluster has none",
    ]
    assert "`--name`" in caught.value.fix
    assert place.sizes == []


async def test_another_notebooks_cluster_is_not_taken_unasked() -> None:
    place = Backend(cluster(1, notebook="another", notebook_path="~/a.ipynb"))
    with pytest.raises(
        UsageError, match=r"There is a Dask cluster 'etl' already: it was started from ~/a.ipynb"
    ):
        await open_cluster(workbench(place), "kubernetes", SPEC, asked={})
    script = replace(SPEC, notebook="")
    opened = await open_cluster(workbench(place), "kubernetes", script, asked={})
    assert not opened.started, "a script has no notebook that it could be mistaken for"


# --- By its name alone


async def test_a_cluster_is_found_by_its_name_or_id_and_alone_by_none() -> None:
    place = Backend(cluster(1), cluster(2, name="other"), cluster(3, name="gone"), gone=(cluster(3).id,))
    here = workbench(place)
    for name, number in (("etl", 1), ("other", 2), (cluster(2).id, 2)):
        assert (await cluster_named(here, "kubernetes", name, owner="")).handle.id == cluster(number).id
    place.gone += (cluster(2).id,)
    assert (await cluster_named(here, "kubernetes", "", owner="")).handle.id == cluster(1).id


@pytest.mark.parametrize(
    ("name", "gone", "says"),
    [
        ("nosuch", 0, r"There is no Dask cluster 'nosuch'. `%gpu dask` starts one"),
        ("", 2, r"There is no Dask cluster to run in. `%gpu dask` starts one"),
        ("etl", 2, r"There is no Dask cluster 'etl'. `%gpu dask` starts one"),
        ("", 0, r"There is no Dask cluster to run in: several are: etl, other. Name one of them"),
    ],
)
async def test_which_cluster_cannot_be_said_says_why(name: str, gone: int, says: str) -> None:
    both = (cluster(1), cluster(2, name="other"))
    place = Backend(*both, gone=tuple(spec.id for spec in both[:gone]))
    with pytest.raises(RunNotFound, match=says):
        await cluster_named(workbench(place), "kubernetes", name, owner="")


def test_a_place_that_holds_no_clusters_says_so() -> None:
    place: Any = SimpleNamespace(name="moon")
    with pytest.raises(UsageError, match="moon cannot hold a Dask cluster"):
        backend_of(place)
    able: Any = Backend()
    assert backend_of(able) is able


# --- Whether it comes up

NO_DASK: JsonObject = {
    "version": 1,
    "outcome": "Failed",
    "failure": {"cause": "not-started", "what": "This image has no Dask", "exit_code": 68},
}


def scheduler(**fields: Any) -> JsonObject:
    return pod_of(name="s", labels={"dask.org/component": "scheduler"}, **fields)


def facts(*pods: JsonObject, **fields: Any) -> Facts:
    job: JsonObject = {"kind": "DaskCluster", "metadata": {"name": "c"}, "status": {"phase": "Running"}}
    return Facts(**{"phase": Phase.STARTING, "job": job, "pods": pods, **fields})


BAD_IMAGE = 'Failed to pull image "worker:1": docker.io/library/worker:1: not found'
PULLING = event_of("Failed", BAD_IMAGE)
UNPULLED: dict[str, Any] = {"node": "n", "waiting": "ImagePullBackOff", "said": BAD_IMAGE}


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (
            facts(
                scheduler(**UNPULLED), events=({**PULLING, "involvedObject": {"kind": "Pod", "name": "s"}},)
            ),
            "image-not-found",
        ),
        (facts(scheduler(node="n", waiting="CrashLoopBackOff"), record=NO_DASK), "image-without-dask"),
        # it may come up yet
        (facts(scheduler(unschedulable="0/1 nodes are available: 1 Insufficient cpu.")), ""),
        (facts(scheduler(node="n", waiting="ContainerCreating")), ""),
        (facts(), ""),
        (facts(error="API server unreachable"), ""),
        # it comes up elsewhere
        (facts(scheduler(node="n", phase="Failed", reason="Evicted", message="low on resource: memory")), ""),
        (
            facts(
                scheduler(
                    node="n",
                    phase="Failed",
                    conditions=[
                        {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
                    ],
                )
            ),
            "",
        ),
        # a worker's trouble is not the scheduler's
        (facts(pod_of(labels={"dask.org/component": "worker"}, **UNPULLED)), ""),
        (None, ""),
    ],
)
def test_what_will_never_come_up_is_told_from_what_may(seen: Facts | None, code: str) -> None:
    spec = cluster(1)
    explained = explain(seen, spec=spec) if seen is not None else None
    subscription: Any = SimpleNamespace(explanation=explained)
    found = hopeless(subscription)
    assert (found.code if found else "") == code


async def subscribed(seen: Facts) -> Subscription:
    """A real subscription to a cluster of which that is seen."""
    place: Any = Backend(cluster(1))
    place.facts[cluster(1).id] = seen
    return Subscription(place, place.handles[0])


async def test_waiting_for_one_that_will_never_come_up_ends_with_the_reason_and_what_to_do() -> None:
    subscription = await subscribed(facts(scheduler(node="n", waiting="CrashLoopBackOff"), record=NO_DASK))
    with pytest.raises(
        StartFailed, match=r"The Dask cluster 'etl' did not start: Image worker:1 has no Dask"
    ) as caught:
        await asyncio.wait_for(scheduler_of(subscription), 10)
    assert "pip install distributed" in caught.value.fix
    await subscription.close()


async def test_waiting_for_one_that_has_ended_ends_with_its_own_word() -> None:
    record: JsonObject = json.loads(json.dumps(NO_DASK))
    ended = Facts(phase=Phase.FAILED, record=record, gone=True)
    subscription = await subscribed(ended)
    with pytest.raises(StartFailed, match="did not start: This image has no Dask"):
        await asyncio.wait_for(scheduler_of(subscription), 10)
    await subscription.close()


async def test_the_address_is_the_backends_once_the_scheduler_is_ready() -> None:
    async def until(condition: Any) -> None:
        assert not condition()
        subscription.ready = True
        assert condition()

    handle = Handle(spec=cluster(1), backend="kubernetes", started=0.0)
    subscription: Any = SimpleNamespace(
        ready=False, over=False, explanation=None, handle=handle, backend=Backend(), until=until
    )
    assert (await scheduler_of(subscription)).address == f"tls://{handle.id}:8786"


# --- What it printed


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (None, "==> s <==\nup\n\n==> w <==\na\nb\nc"),
        (2, "==> s <==\nup\n\n==> w <==\nb\nc"),
        (0, "==> s <==\n\n==> w <=="),
    ],
)
async def test_what_each_part_printed_stands_under_its_name(tail: int | None, expected: str) -> None:
    place = Backend(cluster(1))
    place.logs = {"w": "a\nb\nc\n", "s": "up"}
    subscription: Any = SimpleNamespace(handle=place.handles[0], backend=place)
    assert await logs_of(subscription, tail=tail) == expected


class Told:
    """SIMULATED: a cluster as its journal tells of it, word by word."""

    def __init__(self, backend: object) -> None:
        self.backend = backend
        self.handle = Handle(spec=replace(SPEC, id="0123456789ab"), backend="kubernetes", started=0.0)
        self.over = False
        self.workload = SimpleNamespace(dask=None)
        self._told = asyncio.Event()

    def tell(self, state: DaskState | None) -> None:
        self.workload.dask = state
        self.over = state is None
        self._told.set()

    async def until(self, condition: Any) -> None:
        while not condition():
            self._told.clear()
            await self._told.wait()

    async def changed(self, timeout: float | None = None) -> bool:
        self._told.clear()
        await self._told.wait()
        return True


class Sleeper(Backend):
    """SIMULATED: a cluster that adapts until it is told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.adapts = True
        self.woken: asyncio.Queue[bool] = asyncio.Queue()

    async def adapt(self, handle: Handle, *, minimum: int, maximum: int) -> None:
        self.bounds = (minimum, maximum)

    async def wake(self, handle: Handle) -> bool:
        await self.woken.put(self.adapts)
        return self.adapts


WAITING = DaskState(tasks=DaskTasks(waiting=3))
WORKING = DaskState(workers=(DaskWorker("w"),), tasks=DaskTasks(running=3))


async def test_a_cluster_that_adapts_is_woken_when_tasks_find_no_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opening, "backend_of", lambda backend: backend)
    backend = Sleeper()
    told = Told(backend)
    await opening.adapt(told, minimum=0, maximum=4)  # type: ignore[arg-type]
    assert backend.bounds == (0, 4)
    told.tell(WORKING)
    told.tell(DaskState())
    await asyncio.sleep(0)
    assert backend.woken.empty(), "it does not wait"
    told.tell(WAITING)
    assert await backend.woken.get()
    told.tell(WORKING)
    await asyncio.sleep(0)
    backend.adapts = False
    told.tell(WAITING)
    assert not await backend.woken.get()
    await asyncio.gather(*opening._waking.values())
    assert opening._waking == {}, "one that does not adapt any more is left alone"


async def test_one_that_keeps_a_worker_needs_no_waking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "backend_of", lambda backend: backend)
    await opening.adapt(Told(Sleeper()), minimum=1, maximum=4)  # type: ignore[arg-type]
    assert opening._waking == {}
