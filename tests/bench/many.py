"""Many runs in the panel: 1,000 of them with 5,000 pods, of which 50 change each second."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.core.objects import uid_of
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import Resources, WorkloadSpec
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.job import job_manifest, root_manifest
from tests.bench.harness import Figure, Target
from tests.bench.place import OnCluster, Place, namespace
from tests.servers import jupyter_server, tab

TITLE = "Many runs"

RUNS = 1000
PODS_EACH = 5
CHANGES = 50
"""Pods that change each second."""

ON_SCREEN = 25
"""Rows that a panel of a usual height draws."""

AT_ONCE = 32
SETTLE = 10.0


def measure(place: Place) -> Iterator[Figure]:
    """What the server's extension costs, of one core, with a panel open; and how long the panel waits for its first list."""
    if place.cluster is None:
        return
    # The place's own namespace has records of all that was measured before.
    with namespace(place.cluster.cluster) as own:
        yield from asyncio.run(_measure(place, own))


async def _measure(place: Place, on: OnCluster) -> list[Figure]:
    runs, seconds = (50, 5) if place.quick else (RUNS, 30)
    env = {
        "KUBECONFIG": str(on.cluster.kubeconfig),
        "GPU_WORKBENCH_BACKEND": "kubernetes",
        "GPU_WORKBENCH_NAMESPACE": on.namespace,
        "GPU_WORKBENCH_STATE_DIR": str(place.folder / "state"),
    }
    pods = await _make(on, runs)
    with jupyter_server(place.folder / "server", env=env) as server:
        begun = time.monotonic()
        async with tab(server) as seen:
            await seen.subscribe("runs")
            await seen.until(lambda states: len(states.get("runs", ())) == runs, 120)
            first = time.monotonic() - begun
            await seen.say({"seen": sorted(seen.states["runs"])[:ON_SCREEN]})
            reading = asyncio.create_task(_read(seen))
            await asyncio.sleep(SETTLE)
            idle = await _cpu(server.pid, asyncio.sleep(seconds))
            messages = len(seen.messages)
            changing = await _cpu(server.pid, _change(on, pods, seconds))
            told = len(seen.messages) - messages
            reading.cancel()
            size = _resident(server.pid)
    what = f"{runs:,} runs, {len(pods):,} pods"
    note = f"{told} messages reached the browser in {seconds} s."
    return [
        Figure(f"{what}, {CHANGES} of them change each second", "% of a core", [changing], target=Target(5), note=note),
        Figure("the same while nothing changes", "% of a core", [idle]),
        Figure("from opening the connection to the whole list", "s", [first]),
        Figure("memory of the server", "MB", [size / 1e6]),
    ]  # fmt: skip


async def _make(on: OnCluster, runs: int) -> list[str]:
    """Runs that nothing starts: no controller takes their Jobs, and no scheduler their pods."""
    backend = KubernetesBackend(kubeconfig=str(on.cluster.kubeconfig), namespace=on.namespace)
    owner = await backend.owner()
    await backend.close()
    room = asyncio.Semaphore(AT_ONCE)

    async def make(number: int) -> list[str]:
        async with room:
            return await asyncio.to_thread(_make_run, on, owner, number)

    made = await asyncio.gather(*map(make, range(runs)))
    return [name for names in made for name in names]


def _make_run(on: OnCluster, owner: str, number: int) -> list[str]:
    spec = WorkloadSpec(
        id=f"{number:012x}",
        name=f"run-{number}",
        owner=owner,
        image=on.image,
        resources=Resources(cpus=0.05, gpus=Gpus(8)),
    )
    spec = replace(spec, placement=replace(spec.placement, namespace=on.namespace))
    root = _call(on, "POST", "api/v1", "configmaps", root_manifest(spec))
    job: Any = job_manifest(spec, root_uid=uid_of(root), archive_digest="0" * 16)
    job["spec"] |= {
        "managedBy": "gpu-workbench.dev/bench",
        "parallelism": PODS_EACH,
        "completions": PODS_EACH,
    }
    _call(on, "POST", "apis/batch/v1", "jobs", job)
    pods = [_pod(job, rank=rank) for rank in range(PODS_EACH)]
    for pod in pods:
        _call(on, "POST", "api/v1", "pods", pod)
        _call(on, "PATCH", "api/v1", f"pods/{pod['metadata']['name']}/status", _status(step=0))
    return [pod["metadata"]["name"] for pod in pods]


def _call(on: OnCluster, method: str, api: str, path: str, body: JsonObject) -> JsonObject:
    return on.cluster.api.call(method, f"/{api}/namespaces/{on.namespace}/{path}", body)


def _pod(job: Any, *, rank: int) -> Any:
    """A pod as the Job's controller would make it; it owns nothing, so that the controller leaves it alone."""
    template = json.loads(json.dumps(job["spec"]["template"]))
    name = f"{job['metadata']['name']}-{rank}"
    metadata = {
        **template["metadata"],
        "name": name,
        "annotations": {"batch.kubernetes.io/job-completion-index": str(rank)},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {**template["spec"], "schedulerName": "nobody"},
    }


def _status(*, step: int) -> JsonObject:
    """On a node, where its image is pulled, or cannot be: with each step the other."""
    failing = {"reason": "ImagePullBackOff", "message": f"Back-off pulling image, step {step}"}
    waiting: JsonObject = {**failing} if step % 2 else {"reason": "ContainerCreating"}
    container: JsonObject = {
        "name": "main",
        "ready": False,
        "restartCount": 0,
        "image": "image",
        "imageID": "",
        "state": {"waiting": waiting},
    }
    scheduled: JsonObject = {"type": "PodScheduled", "status": "True"}
    return {"status": {"phase": "Pending", "conditions": [scheduled], "containerStatuses": [container]}}


async def _change(on: OnCluster, pods: list[str], seconds: int) -> None:
    """Change so many pods in every second, spread over it and over all runs."""
    begun = time.monotonic()
    changes = []
    for step in range(CHANGES * seconds):
        await asyncio.sleep(max(0.0, begun + step / CHANGES - time.monotonic()))
        path = f"pods/{pods[(step * 7919) % len(pods)]}/status"
        change = _status(step=step + 1)
        changes.append(asyncio.create_task(asyncio.to_thread(_call, on, "PATCH", "api/v1", path, change)))
    await asyncio.gather(*changes)


async def _read(seen: Any) -> None:
    """As a browser does."""
    while True:
        await seen.receive(3600)


async def _cpu(pid: int, meanwhile: Coroutine[Any, Any, None]) -> float:
    """Per cent of a core that a process takes meanwhile."""
    begun, before = time.monotonic(), _ticks(pid)
    await meanwhile
    spent = (_ticks(pid) - before) / os.sysconf("SC_CLK_TCK")
    return 100 * spent / (time.monotonic() - begun)


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
