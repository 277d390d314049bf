"""Dask clusters: one contract, on this machine and on Kubernetes with the real operator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from gpu_workbench.app.dask.cluster import Cluster
from gpu_workbench.app.dask.opening import OpenedCluster, cluster_named, open_cluster, scheduler_of
from gpu_workbench.app.portal import Portal
from gpu_workbench.app.workbench import Workbench
from gpu_workbench.core.errors import FlagError, NotFound, RunNotFound, UsageError
from gpu_workbench.core.model import Kind, Phase
from gpu_workbench.core.spec import DaskCluster, Resources
from tests.contract.conftest import BACKENDS, LIMIT, Place

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(params=BACKENDS)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """As the conftest's own, with the operator where that is what makes clusters."""
    from tests.contract import conftest

    folder: Path = request.getfixturevalue("tmp_path")
    if request.param == "local":
        made = conftest._local(folder)
    else:
        request.getfixturevalue("dask_operator")
        made = conftest._kubernetes(request, folder)
    yield made
    await made.close()


class Desk:
    """One process of the user's: its workbench, and the clusters that it has opened."""

    def __init__(self, place: Place, *, notebook: str = "nb") -> None:
        self.place = place
        self.notebook = notebook
        backend = place.backend()
        self.workbench = Workbench(_settings(place), {}, lambda _: backend)

    async def open(
        self, name: str = "dask", *, asked: dict[str, object] | None = None, **dask: Any
    ) -> OpenedCluster:
        spec = self.place.spec(
            id="",
            kind=Kind.DASK,
            name=name,
            notebook=self.notebook,
            dask=DaskCluster(**{"n_workers": 1, **dask}),
            resources=Resources(cpus=0.1, memory=512 * 2**20),
        )
        return await open_cluster(self.workbench, self.place.name, spec, asked=asked or {})

    async def cluster(self, opened: OpenedCluster) -> Cluster:
        address = await asyncio.wait_for(scheduler_of(opened.subscription), LIMIT)
        made = Cluster(
            opened.subscription, address, portal=_Here(), started=opened.started, asynchronous=True
        )
        await made
        return made


class _Here(Portal):
    """A portal in the test's own event loop."""

    async def elsewhere(self, work: Any) -> Any:
        return await work


def _settings(place: Place) -> Any:
    from gpu_workbench.app.settings import Settings

    return Settings(backend=place.name)


async def when(condition: Callable[[], bool], *, limit: float = LIMIT) -> None:
    """Wait for something that is told to another task."""

    async def look() -> None:
        while not condition():
            await asyncio.sleep(0.05)

    await asyncio.wait_for(look(), limit)


def _made_here() -> Callable[[int], int]:
    """A function that travels by value, as those of a notebook do."""

    def twice(number: int) -> int:
        return 2 * number

    return twice


twice = _made_here()


def _made_once() -> Callable[[int], tuple[int, bytes]]:
    """The same, of whose results a second one is another one."""

    def once(number: int) -> tuple[int, bytes]:
        import os

        return number, os.urandom(8)

    return once


once = _made_once()


async def test_a_cluster_computes_grows_shrinks_without_losing_a_result_and_ends_with_its_object(
    place: Place,
) -> None:
    desk = Desk(place)
    opened = await desk.open()
    async with await desk.cluster(opened) as cluster, Client(cluster, asynchronous=True) as client:
        assert await client.gather(client.map(twice, range(5))) == [0, 2, 4, 6, 8]
        cluster.scale(3)  # as with Dask's own, it need not be awaited
        await client.wait_for_workers(3, timeout=LIMIT)
        kept = client.map(once, range(60))
        had = await client.gather(kept)
        await cluster.scale(1)
        await when(lambda: len(cluster.scheduler_info["workers"]) == 1)
        assert await client.gather(kept) == had, "nothing was lost and made again"
        known = opened.subscription.workload.dask
        assert known is not None
        assert known.lost == 0
    await asyncio.wait_for(opened.subscription.ended(), LIMIT)
    assert opened.subscription.phase is Phase.STOPPED


async def test_the_journal_tells_of_workers_tasks_and_clients(place: Place) -> None:
    desk = Desk(place)
    opened = await desk.open(n_workers=2)
    subscription = opened.subscription
    async with await desk.cluster(opened) as cluster, Client(cluster, asynchronous=True) as client:
        await client.wait_for_workers(2, timeout=LIMIT)
        failing = client.submit(lambda: 1 / 0)
        await client.gather(client.map(twice, range(20)))
        with pytest.raises(ZeroDivisionError):
            await failing

        def told() -> bool:
            state = subscription.workload.dask
            if state is None or state.idle_since is None:  # that comes last
                return False
            return state.tasks.done >= 20 and state.tasks.failed == 1

        await when(told)
        state = subscription.workload.dask
        assert state is not None
        assert (len(state.workers), state.clients, state.tasks.open) == (2, 1, 0)
        assert "twice" in state.tasks.groups
        assert all((worker.memory or 0) > 10 * 2**20 and worker.threads for worker in state.workers)
        assert state.dashboard == "status"


async def test_closing_the_object_of_a_cluster_that_was_found_leaves_it(place: Place) -> None:
    first = Desk(place)
    opened = await first.open("etl")
    made = await first.cluster(opened)
    other = Desk(place, notebook="another")
    subscription = await cluster_named(
        other.workbench, place.name, "etl", owner=opened.subscription.handle.spec.owner
    )
    found = await other.cluster(OpenedCluster(subscription, started=False))
    async with found, Client(found, asynchronous=True) as client:
        assert await client.submit(twice, 4) == 8
        await found.scale(2)
        await when(lambda: [len(one.scheduler_info["workers"]) for one in (made, found)] == [2, 2])
    assert not opened.subscription.over
    assert opened.subscription.phase is Phase.RUNNING


async def test_the_same_name_again_is_the_same_cluster_scaled_where_another_size_is_asked(
    place: Place,
) -> None:
    desk = Desk(place)
    first = await desk.open()
    await desk.cluster(first)
    again = await desk.open(n_workers=2, asked={"dask.n_workers": 2})
    assert (again.started, again.subscription.handle.id) == (False, first.subscription.handle.id)

    def two() -> bool:
        state = again.subscription.workload.dask
        return state is not None and len(state.workers) == 2

    await when(two)
    with pytest.raises(FlagError, match="--memory 2"):
        await desk.open(asked={"resources.memory": 2 * 2**30})
    with pytest.raises(UsageError, match="There is a Dask cluster 'dask' already"):
        await Desk(place, notebook="another").open()
    owner = first.subscription.handle.spec.owner
    assert len(await desk.workbench.backend(place.name).list(owner=owner)) == 1


async def test_a_cluster_that_adapts_has_workers_while_there_is_work(place: Place) -> None:
    desk = Desk(place)
    opened = await desk.open(n_workers=0)
    async with await desk.cluster(opened) as cluster, Client(cluster, asynchronous=True) as client:
        await cluster.adapt(minimum=0, maximum=2)
        assert await asyncio.wait_for(client.submit(twice, 21), LIMIT) == 42
        with pytest.raises(UsageError, match="between 3 and 2"):
            cluster.adapt(minimum=3, maximum=2)
        with pytest.raises(UsageError, match="between 0 and None"):
            cluster.adapt()


async def test_there_is_no_cluster_and_no_group_of_that_name(place: Place) -> None:
    desk = Desk(place)
    with pytest.raises(RunNotFound, match="There is no Dask cluster 'nosuch'"):
        await cluster_named(desk.workbench, place.name, "nosuch", owner="")
    opened = await desk.open()
    cluster = await desk.cluster(opened)
    with pytest.raises(NotFound):
        await cluster.scale(1, group="nosuch")
    with pytest.raises(UsageError, match="-1 workers"):
        cluster.scale(-1)


async def test_stopped_while_it_starts_nothing_is_left(place: Place) -> None:
    desk = Desk(place)
    opened = await desk.open()
    await desk.workbench.stop(place.name, opened.subscription.handle)
    await asyncio.wait_for(opened.subscription.ended(), LIMIT)
    assert opened.subscription.phase is Phase.STOPPED


async def test_who_has_no_certificate_is_not_let_in(place: Place) -> None:
    desk = Desk(place)
    opened = await desk.open()
    address = await asyncio.wait_for(scheduler_of(opened.subscription), LIMIT)
    plain = address.address.replace("tls://", "tcp://")
    with pytest.raises(OSError, match=r"Timed out|closed|failed"):
        async with Client(plain, asynchronous=True, timeout=3):
            pass
    from distributed.security import Security

    stranger = Security.temporary()
    with pytest.raises((OSError, Exception)):
        async with Client(address.address, security=stranger, asynchronous=True, timeout=3):
            pass


async def test_an_idle_cluster_that_nobody_is_connected_to_ends_after_the_orphan_limit(place: Place) -> None:
    desk = Desk(place)
    spec = replace(
        place.spec(
            id="",
            kind=Kind.DASK,
            name="forgotten",
            dask=DaskCluster(n_workers=1),
            resources=Resources(cpus=0.1, memory=512 * 2**20),
        ),
        orphan_limit=3.0,
        idle_limit=600.0,
    )
    opened = await open_cluster(desk.workbench, place.name, spec, asked={})
    await asyncio.wait_for(scheduler_of(opened.subscription), LIMIT)
    handle = opened.subscription.handle
    await opened.subscription.close()  # as with the end of its process
    await desk.workbench.close()
    watcher = Desk(place)
    backend = watcher.workbench.backend(place.name)

    async def gone() -> None:
        while not all(one.ended for one in await backend.list(owner="")):
            await asyncio.sleep(0.5)

    if place.name == "kubernetes":  # somebody has to look, and looking is not using
        async for facts in backend.watch(handle):
            if facts.gone:
                break
    await asyncio.wait_for(gone(), LIMIT)


def test_a_cluster_that_a_program_has_closed_leaves_no_thread(tmp_path: Path) -> None:
    from tests.contract import conftest

    code = """
import threading
import gpu_workbench as gw
loops = lambda: [thread.name for thread in threading.enumerate()].count("IO loop")
with gw.dask(n_workers=0, gpus=0):
    assert loops() == 1
assert loops() == 0
print("done")
"""
    said = conftest._local(tmp_path).python(code).communicate(timeout=LIMIT)
    assert said[0] == "done\n", said[1]
