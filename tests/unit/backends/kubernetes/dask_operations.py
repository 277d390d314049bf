"""All that a user does with Dask clusters, each thing once, as far as it calls the API server."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Kind
from gpu_workbench.core.spec import DaskCluster, Handle
from tests.unit.backends.kubernetes.living_server import PENDING, RUNNING
from tests.unit.backends.kubernetes.operations import (
    AROUND,
    HERE,
    NAME,
    OPERATIONS,
    OWNER,
    ROOT,
    SPEC,
    World,
    ago,
    facts_when,
    nothing,
    operation,
)

__all__ = ["OPERATIONS"]

DASK = replace(SPEC, kind=Kind.DASK, dask=DaskCluster(n_workers=2, groups={"cpu": 1}))
DASK_API = "/apis/kubernetes.dask.org/v1/namespaces/ns"
CLUSTER = f"{DASK_API}/daskclusters/{NAME}"

# what is there before


async def computes(world: World) -> Handle:
    """A Dask cluster whose scheduler runs."""
    return await world.backend.start(DASK)


async def adapts(world: World) -> Handle:
    handle = await computes(world)
    await world.backend.adapt(handle, minimum=0, maximum=8)
    return handle


async def adapts_with_none(world: World) -> Handle:
    """It has no worker now."""
    handle = await adapts(world)
    world.server.objects[f"{DASK_API}/daskworkergroups/{NAME}-default"]["spec"]["worker"]["replicas"] = 0
    return handle


async def cluster_waits(world: World) -> Handle:
    """Its scheduler has no node yet."""
    world.server.pods = PENDING
    handle = await computes(world)
    world.server.objects[f"{HERE}/pods/{NAME}-scheduler-0"]["spec"].pop("nodeName")
    return handle


async def cluster_was_idle(world: World) -> Handle:
    """Its operator has ended it, and nobody looked."""
    handle = await computes(world)
    world.server.remove(CLUSTER)
    world.server.objects[ROOT]["metadata"]["creationTimestamp"] = ago(hours=1)
    return handle


# what is done


@operation(nothing)
async def start_cluster(world: World, _: None) -> object:
    return (await world.backend.start(DASK)).id


@operation(computes)
async def start_cluster_again(world: World, before: Handle) -> object:
    return (await world.backend.start(DASK)).id


@operation(adapts)
async def stop_cluster(world: World, handle: Handle) -> object:
    return await world.backend.stop(handle)


@operation(cluster_was_idle)
async def list_with_a_cluster_that_is_gone(world: World, _: Handle) -> object:
    return [handle.id for handle in await world.backend.list(owner=OWNER)]


@operation(computes)
async def scale_up(world: World, handle: Handle) -> object:
    await world.backend.scale(handle, 4, group="cpu")
    return _workers(world, "cpu")


@operation(adapts)
async def scale_down(world: World, handle: Handle) -> object:
    """Which ends what had it adapt; that nobody tells its scheduler which group shrinks does not keep it from it."""
    await world.backend.scale(handle, 1, group="default")
    return _workers(world, "default")


def _workers(world: World, group: str) -> object:
    return world.server.objects[f"{DASK_API}/daskworkergroups/{NAME}-{group}"]["spec"]["worker"]["replicas"]


@operation(computes)
async def adapt(world: World, handle: Handle) -> object:
    await world.backend.adapt(handle, minimum=0, maximum=8)
    return _bounds(world)


@operation(adapts)
async def adapt_again(world: World, handle: Handle) -> object:
    await world.backend.adapt(handle, minimum=1, maximum=4)
    return _bounds(world)


@operation(adapts_with_none)
async def wake(world: World, handle: Handle) -> object:
    return await world.backend.wake(handle), _workers(world, "default")


@operation(computes)
async def wake_what_does_not_adapt(world: World, handle: Handle) -> object:
    return await world.backend.wake(handle), _workers(world, "default")


def _bounds(world: World) -> object:
    spec = world.server.objects[f"{DASK_API}/daskautoscalers/{NAME}"]["spec"]
    return spec["minimum"], spec["maximum"]


@operation(computes)
async def speak_to_the_scheduler(world: World, handle: Handle) -> object:
    """As Dask does: a connection that is closed is made again."""
    found = await world.backend.scheduler(handle)
    port = int(found.address.rpartition(":")[2])
    while not (answer := await _there_and_back(port)):
        pass
    return answer, bool(found.certificate and found.key)


async def _there_and_back(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"there and back")
        return await reader.read(100)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@operation(computes, once=True)
async def connect_to_the_dashboard(world: World, handle: Handle) -> object:
    with await world.backend.dashboard(handle) as connection:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(connection, b"there and back")
        return await loop.sock_recv(connection, 100)


@operation(computes)
async def logs_of_workers(world: World, handle: Handle) -> object:
    return await world.backend.worker_logs(handle)


_CLUSTER_STARTS: dict[str, dict] = {
    "pods": RUNNING,
    "daskclusters": {"phase": "Running"},
    "deployments": {"replicas": 1},
}


def _cluster_seen(facts: Facts) -> bool:
    job_told = facts.job is not None and "status" in facts.job
    return (
        facts.agent_ready
        and job_told
        and all("status" in one for one in facts.deployments)
        and len(facts.deployments) == 2
    )


@operation(cluster_waits, by_chance=AROUND)
async def watch_a_cluster(world: World, handle: Handle) -> object:
    world.server.told = _CLUSTER_STARTS
    await facts_when(world, handle, _cluster_seen)
    return True


@operation(cluster_waits, by_chance=AROUND)
async def watch_a_cluster_among_all(world: World, handle: Handle) -> object:
    world.server.told = _CLUSTER_STARTS
    async with aclosing(world.backend.watch_all(owner=OWNER)) as listed:
        async for seen in listed:
            if seen.handles and not seen.error:
                await facts_when(world, handle, _cluster_seen)
                return [one.id for one in seen.handles]
    return None
