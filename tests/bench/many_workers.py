"""A Dask cluster of 200 workers: what it costs its scheduler, its agent, and the server's extension with the card open."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gpu_workbench.app.dask.opening import scheduler_of
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.backends.local.backend import LocalBackend
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.core.model import Kind
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import DaskCluster, Placement, Resources, WorkloadSpec
from tests.bench.harness import Figure, Target
from tests.bench.many import _cpu, _read
from tests.bench.place import LIMIT, OnCluster, Place, namespace
from tests.cluster import kwok
from tests.cluster.paths import NODE_IP
from tests.servers import jupyter_server, tab

TITLE = "Many Dask workers"

WORKERS = 200


def measure(place: Place) -> Iterator[Figure]:
    """Real workers of a real scheduler, all in one process. SIMULATED: 200 nodes are not here."""
    count = 20 if place.quick else WORKERS
    yield from asyncio.run(_local(place, count))
    if place.cluster is not None:
        place.cluster.cluster.dask_operator()
        nodes = math.ceil(count / kwok.GPUS)
        with namespace(place.cluster.cluster) as own, kwok.nodes(own.cluster, nodes):
            yield from asyncio.run(_kubernetes(place, own, count))


async def _local(place: Place, count: int) -> list[Figure]:
    state = place.folder / "state"
    backend = LocalBackend(state / "local")
    spec = WorkloadSpec(
        id="0" * 12,
        kind=Kind.DASK,
        name="many",
        dask=DaskCluster(n_workers=0),
        resources=Resources(gpus=Gpus(0)),
        work_dir=str(place.folder),
    )
    async with _cluster(backend, spec) as subscription:
        await asyncio.wait_for(scheduler_of(subscription), LIMIT)
        process = json.loads((state / "local" / spec.id / "process.json").read_text())
        watched = {"agent": int(process["pid"]), "scheduler": _child(int(process["pid"]))}
        env = {"GPU_WORKBENCH_STATE_DIR": str(state)}
        names = [f"gwb-0-default-worker-{number:04d}" for number in range(count)]
        return await _measured(
            place, subscription, names, env=env, watched=watched, where="local", host="127.0.0.1"
        )


async def _kubernetes(place: Place, on: OnCluster, count: int) -> list[Figure]:
    """The cluster's pods pretend to run, and workers with their names come from here."""
    backend = KubernetesBackend(kubeconfig=str(on.cluster.kubeconfig), namespace=on.namespace)
    spec = WorkloadSpec(
        id="1" * 12,
        kind=Kind.DASK,
        name="many",
        owner=await backend.owner(),
        image=on.image,
        dask=DaskCluster(n_workers=count),
        resources=Resources(gpus=Gpus(1, kind=kwok.KIND), cpus=0.1, memory=2**30),
        placement=Placement(namespace=on.namespace),
    )
    try:
        begun = time.monotonic()
        async with _cluster(backend, spec) as subscription:
            names = await _pods(on, count)
            running = time.monotonic() - begun
            env = {
                **on.env,
                "GPU_WORKBENCH_BACKEND": "kubernetes",
                "GPU_WORKBENCH_NAMESPACE": on.namespace,
                "GPU_WORKBENCH_STATE_DIR": str(place.folder / "on-kubernetes"),
            }
            figures = await _measured(
                place, subscription, names, env=env, watched={}, where="kubernetes", host=NODE_IP
            )
            begun = time.monotonic()
            await backend.forget(subscription.handle)
            await _pods(on, 0)
            gone = time.monotonic() - begun
    finally:
        await backend.close()
    what = f"kubernetes, {count} pods that pretend"
    return [
        *figures,
        Figure(f"{what}: from the order to all of them running", "s", [running]),
        Figure(f"{what}: from stop to all of them gone", "s", [gone]),
    ]


async def _pods(on: OnCluster, count: int) -> list[str]:
    """The names that the workers of so many pods have, once they all run."""
    path = f"/api/v1/namespaces/{on.namespace}/pods?labelSelector=dask.org%2Fcomponent%3Dworker"
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        found = (await asyncio.to_thread(on.cluster.api.call, "GET", path))["items"]
        if len(found) == count and all(pod["status"]["phase"] == "Running" for pod in found):
            return [_variable(pod, "DASK_WORKER_NAME") for pod in found]
        await asyncio.sleep(0.5)
    raise TimeoutError(f"{len(found)} pods of {count}")


def _variable(pod: Any, name: str) -> str:
    (found,) = (one["value"] for one in pod["spec"]["containers"][0]["env"] if one["name"] == name)
    return str(found)


@asynccontextmanager
async def _cluster(backend: Backend, spec: WorkloadSpec) -> AsyncIterator[Subscription]:
    """A cluster that is followed, and forgotten afterwards."""
    handle = await backend.start(spec)
    subscription = Subscription(backend, handle, observer=True)
    try:
        yield subscription
    finally:
        await subscription.close()
        await backend.forget(handle)


async def _measured(
    place: Place,
    subscription: Subscription,
    names: list[str],
    *,
    env: Mapping[str, str],
    watched: Mapping[str, int],
    where: str,
    host: str,
) -> list[Figure]:
    """What it costs to have the card of a cluster open.

    Args:
        names: Of the workers.
        env: Of the Jupyter server, so that it finds the cluster.
        watched: Processes of the cluster on this machine, by what they are.
        where: The backend.
        host: Where the scheduler reaches the workers.
    """
    address = await asyncio.wait_for(scheduler_of(subscription), LIMIT)
    form = {
        "address": address.address,
        "certificate": address.certificate,
        "key": address.key,
        "workers": names,
        "host": host,
    }
    process = await asyncio.to_thread(_workers, form)
    count, seconds = len(names), 5 if place.quick else 30
    try:
        with jupyter_server(place.folder / f"server-{where}", env=env) as server:
            begun = time.monotonic()
            async with tab(server) as seen:
                topic = f"run/{subscription.handle.id}"
                await seen.subscribe("runs")
                await seen.subscribe(topic)
                await seen.until(lambda states: f"{count} workers" in str(states.get(topic, "")), 60)
                first = time.monotonic() - begun
                reading = asyncio.create_task(_read(seen))
                pids = {"server": server.pid, **watched}
                quiet = await _shares(pids, asyncio.sleep(seconds))
                busy = await _shares(pids, asyncio.to_thread(_compute, process, seconds))
                reading.cancel()
                size = len(json.dumps(seen.states[topic]))
    finally:
        process.kill()
        process.wait()
    return _figures(f"{where}, {count} workers", quiet, busy, first=first, size=size)


def _figures(
    what: str, quiet: Mapping[str, float], busy: Mapping[str, float], *, first: float, size: int
) -> list[Figure]:
    computing, unit = f"{what}, 100 tasks a second", "% of a core"
    found = [
        Figure(f"{computing}: the server's extension with the card open", unit, [busy["server"]], target=Target(5)),
        Figure("the same while nothing is computed", unit, [quiet["server"]]),
        Figure(f"{what}: from opening the connection to the whole card", "s", [first]),
        Figure(f"{what}: the card's data", "kB", [size / 1000]),
    ]  # fmt: skip
    if "agent" in busy:
        found += [
            Figure(f"{computing}: the agent", unit, [busy["agent"]]),
            Figure("the same while nothing is computed", unit, [quiet["agent"]]),
            Figure(f"{what}: the scheduler itself while nothing is computed", unit, [quiet["scheduler"]]),
        ]  # fmt: skip
    return found


async def _shares(pids: Mapping[str, int], meanwhile: Any) -> dict[str, float]:
    """Per cent of a core of each process, meanwhile."""
    over = asyncio.Event()

    async def wait() -> None:
        await over.wait()

    asking = {name: asyncio.create_task(_cpu(pid, wait())) for name, pid in pids.items()}
    await meanwhile
    over.set()
    return {name: await task for name, task in asking.items()}


def _workers(form: dict[str, Any]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.workers_side", json.dumps(form)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    _heard(process, "there")
    return process


def _compute(process: subprocess.Popen[str], seconds: float) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{seconds}\n")
    process.stdin.flush()
    _heard(process, "done")


def _heard(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    while line := process.stdout.readline():
        if line.strip() == word:
            return
    raise RuntimeError(f"the workers' process ended before it said {word!r}")


def _child(agent: int) -> int:
    """The process that the agent wraps."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = stat.read_text().rpartition(")")[2].split()
        if int(fields[1]) == agent:
            return int(stat.parent.name)
    raise RuntimeError("the agent has no child")
