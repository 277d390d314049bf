"""All that a user does with the cluster, each thing once, as far as it calls the API server."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.backends.kubernetes.portforward import connect_forwarded
from gpu_workbench.backends.protocol import Sealed
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Kind
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import Handle, Resources, Volume, WorkloadSpec
from tests.unit.backends.kubernetes.living_server import PENDING, RUNNING, LivingServer

OWNER = "0123456789abcdef"
SPEC = WorkloadSpec(
    id="0123456789ab",
    image="worker:1",
    owner=OWNER,
    resources=Resources(gpus=Gpus(1, "h200")),
    volumes=(Volume("data", "/data"),),
)
STORED = replace(SPEC, kind=Kind.JOB, store="pvc://runs")
NAME = f"gwb-{SPEC.id}"
HERE = "/api/v1/namespaces/ns"
ROOT = f"{HERE}/configmaps/{NAME}"
JOB = f"/apis/batch/v1/namespaces/ns/jobs/{NAME}"


@dataclass
class World:
    """A server of one's own, and a backend that speaks to it."""

    server: LivingServer
    backend: KubernetesBackend


Prepare = Callable[[World], Awaitable[Any]]
Call = Callable[[World, Any], Awaitable[object]]


@dataclass(frozen=True)
class Operation:
    """Something a user does.

    Args:
        call: Does it, with what was prepared; gives what is to come of it.
        prepare: Makes what has to be there before.
        once: It is one attempt; who asked for it asks again.
        by_chance: Paths of what it may list or not, as time falls.
    """

    call: Call
    prepare: Prepare
    once: bool
    by_chance: tuple[str, ...] = ()


OPERATIONS: dict[str, Operation] = {}


def operation(
    prepare: Prepare, *, once: bool = False, by_chance: tuple[str, ...] = ()
) -> Callable[[Call], Call]:
    """Register one under its function's name."""

    def register(call: Call) -> Call:
        OPERATIONS[call.__name__] = Operation(call, prepare, once, by_chance)
        return call

    return register


# what is there before


async def nothing(world: World) -> None:
    pass


async def runs(world: World) -> Handle:
    return await world.backend.start(SPEC)


async def runs_stored(world: World) -> Handle:
    return await world.backend.start(STORED, sealed=Sealed({"job.json": b"{}"}, run_key="ab" * 32))


async def waits(world: World) -> Handle:
    """Its pod has no node yet; of what lies around it there is something of each kind."""
    world.server.pods = PENDING
    handle = await world.backend.start(SPEC)
    world.server.objects[f"{HERE}/pods/{NAME}-0"]["spec"].pop("nodeName")
    job = world.server.objects[JOB]
    job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "team"
    job["spec"]["suspend"] = False
    queued = {"labels": {"kueue.x-k8s.io/job-uid": job["metadata"]["uid"]}}
    for path, fields in {
        f"{HERE}/events/e": {"reason": "Pulling", "involvedObject": {"kind": "Pod", "name": f"{NAME}-0"}},
        "/api/v1/nodes/n": {"status": {"allocatable": {"nvidia.com/gpu": "8"}}},
        f"{HERE}/resourcequotas/q": {},
        f"{HERE}/persistentvolumeclaims/data": {},
        "/apis/kueue.x-k8s.io/v1beta1/namespaces/ns/workloads/w": {"metadata": queued},
        "/api/v1/pods/other": {
            "spec": {"nodeName": "n", "containers": [{"resources": {"limits": {"nvidia.com/gpu": "1"}}}]}
        },
    }.items():
        name = path.rpartition("/")[2]
        metadata = {"name": name, "uid": name, **fields.get("metadata", {})}  # type: ignore[dict-item]
        world.server.objects[path] = {**fields, "metadata": metadata}
    return handle


async def ended_unseen(world: World) -> Handle:
    handle = await world.backend.start(SPEC)
    conditions = [{"type": "Complete", "status": "True"}]
    world.server.objects[JOB]["status"] = {"conditions": conditions, "completionTime": ago(hours=1)}
    return handle


async def ended_long_ago(world: World) -> Handle:
    handle = await world.backend.start(SPEC)
    annotations = world.server.objects[ROOT]["metadata"].setdefault("annotations", {})
    annotations["gpu-workbench.dev/ended"] = ago(days=3)
    return handle


async def has_secret(world: World) -> None:
    await world.backend.set_secret("token", "TOKEN", "old")


def ago(**time: int) -> str:
    return (datetime.now(timezone.utc) - timedelta(**time)).strftime("%Y-%m-%dT%H:%M:%SZ")


# what is done


@operation(nothing)
async def start(world: World, _: None) -> object:
    return (await world.backend.start(SPEC)).id


@operation(runs)
async def start_again(world: World, before: Handle) -> object:
    return (await world.backend.start(SPEC)).id


@operation(nothing)
async def start_detached(world: World, _: None) -> object:
    return (await runs_stored(world)).id


@operation(nothing)
async def who_we_are(world: World, _: None) -> object:
    world.backend._owner = ""
    return await world.backend.owner()


@operation(ended_unseen)
async def list_workloads(world: World, _: Handle) -> object:
    return [(handle.id, handle.ended) for handle in await world.backend.list(owner=OWNER)]


@operation(ended_long_ago)
async def sweep(world: World, _: Handle) -> object:
    await world.backend.list(owner=OWNER)
    await asyncio.gather(*world.backend._forgetting)
    return None


@operation(runs)
async def find(world: World, handle: Handle) -> object:
    return await world.backend.find(handle.id) == handle


@operation(runs)
async def logs(world: World, handle: Handle) -> object:
    return await world.backend.logs(handle, tail=5)


@operation(runs)
async def stop(world: World, handle: Handle) -> object:
    return await world.backend.stop(handle)


@operation(runs)
async def stop_by_force(world: World, handle: Handle) -> object:
    return await world.backend.stop(handle, force=True)


@operation(runs)
async def forget(world: World, handle: Handle) -> object:
    return await world.backend.forget(handle)


@operation(runs_stored)
async def forget_what_is_stored(world: World, handle: Handle) -> object:
    """By a pod of the storekeeper's, which is let go afterwards."""
    await world.backend.forget(handle)
    await world.backend._storekeeper.close()
    return None


@operation(runs_stored)
async def ask_the_storekeeper(world: World, handle: Handle) -> object:
    try:
        return bool(await world.backend._storekeeper.channel(STORED)())
    finally:
        await world.backend._storekeeper.close()


@operation(runs_stored)
async def kept(world: World, handle: Handle) -> object:
    found = await world.backend.kept(handle)
    return found is not None and found.run_key  # type: ignore[attr-defined]


@operation(runs)
async def open_(world: World, handle: Handle) -> object:
    channel = await world.backend.open(handle)
    channel.close()
    return True


@operation(runs, once=True)
async def connect(world: World, handle: Handle) -> object:
    client = await world.backend.connect()
    socket = await connect_forwarded(client, namespace="ns", pod=f"{NAME}-0", port=1)
    with socket:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(socket, b"there and back")
        return await loop.sock_recv(socket, 100)


AROUND = (
    "/api/v1/nodes",
    "/api/v1/pods",
    f"{HERE}/resourcequotas",
    f"{HERE}/persistentvolumeclaims",
    "/apis/kueue.x-k8s.io/v1beta1/namespaces/ns/workloads",
)


@operation(waits, by_chance=AROUND)  # it may have begun before anybody asks why it waits
async def watch_a_start(world: World, handle: Handle) -> object:
    world.server.told = {"pods": RUNNING, "jobs": {"active": 1}}
    await facts_when(
        world, handle, lambda facts: facts.agent_ready and facts.job is not None and "status" in facts.job
    )
    return True


@operation(waits)
async def watch_what_waits(world: World, handle: Handle) -> object:
    world.server.told = {"events": {}}

    def all_seen(facts: Facts) -> bool:
        around = (facts.nodes, facts.quotas, facts.claims, facts.gpu_pods, facts.queue)
        return all(around) and any("status" in event for event in facts.events)

    await facts_when(world, handle, all_seen)
    return True


@operation(ended_unseen)
async def watch_an_end(world: World, handle: Handle) -> object:
    await facts_when(world, handle, lambda facts: facts.phase.ended)
    await world.backend.list(owner=OWNER)  # it makes up for a record that could not be kept
    return True


async def facts_when(world: World, handle: Handle, condition: Callable[[Facts], bool]) -> None:
    async with aclosing(world.backend.watch(handle)) as found:
        async for facts in found:
            if condition(facts):
                return


@operation(waits, by_chance=AROUND)
async def watch_all(world: World, handle: Handle) -> object:
    """The list of all, and one of them in it, with what only watches of its Job and events tell."""
    world.server.told = {"jobs": {"active": 1}, "events": {}}

    def all_seen(facts: Facts) -> bool:
        told = any("status" in event for event in facts.events)
        return told and facts.job is not None and "status" in facts.job and bool(facts.pods)

    async with aclosing(world.backend.watch_all(owner=OWNER)) as listed:
        async for seen in listed:
            if seen.handles and not seen.error:
                await facts_when(world, handle, all_seen)
                return [one.id for one in seen.handles]
    return None


@operation(waits)
async def count_gpus(world: World, _: Handle) -> object:
    return await world.backend.capacity(owner=OWNER)


@operation(nothing)
async def shared_profiles(world: World, _: None) -> object:
    return await world.backend.profiles()


@operation(nothing)
async def doctor(world: World, _: None) -> object:
    return await world.backend.examine(SPEC), await world.backend.role()


@operation(nothing)
async def keep_a_secret(world: World, _: None) -> object:
    return await world.backend.set_secret("token", "TOKEN", "new"), _secret(world)


@operation(has_secret)
async def replace_a_secret(world: World, _: None) -> object:
    await world.backend.set_secret("token", "TOKEN", "new")
    return _secret(world)


def _secret(world: World) -> bytes:
    return base64.b64decode(world.server.objects[f"{HERE}/secrets/token"]["data"]["TOKEN"])


@operation(has_secret)
async def list_secrets(world: World, _: None) -> object:
    return await world.backend.secrets()


@operation(has_secret)
async def remove_a_secret(world: World, _: None) -> object:
    return await world.backend.remove_secret("token")
