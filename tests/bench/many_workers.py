"""A Dask cluster of 200 workers: what it costs its scheduler, its agent, and the server's extension with the card open."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpu_workbench.app.dask.opening import scheduler_of
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.backends.local.backend import LocalBackend
from gpu_workbench.core.model import Kind
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import DaskCluster, Resources, WorkloadSpec
from tests.bench.harness import Figure, Target
from tests.bench.many import _cpu, _read
from tests.bench.place import Place
from tests.servers import jupyter_server, tab

TITLE = "Many Dask workers"

WORKERS = 200


def measure(place: Place) -> Iterator[Figure]:
    """Real workers of a real scheduler, all in one process. SIMULATED: 200 nodes are not here."""
    yield from asyncio.run(_measure(place))


async def _measure(place: Place) -> list[Figure]:
    count, seconds = (20, 5) if place.quick else (WORKERS, 30)
    backend = LocalBackend(place.folder / "state" / "local")
    spec = WorkloadSpec(
        id="0" * 12,
        kind=Kind.DASK,
        name="many",
        dask=DaskCluster(n_workers=0),
        resources=Resources(gpus=Gpus(0)),
        work_dir=str(place.folder),
    )
    handle = await backend.start(spec)
    subscription = Subscription(backend, handle, observer=True)
    process = None
    try:
        address = await asyncio.wait_for(scheduler_of(subscription), 60)
        form = {
            "address": address.address,
            "certificate": address.certificate,
            "key": address.key,
            "workers": count,
        }
        process = await asyncio.to_thread(_workers, form)
        return await _with_workers(place, subscription, process, count=count, seconds=seconds)
    finally:
        if process is not None:
            process.kill()
            process.wait()
        await subscription.close()
        await backend.forget(handle)


async def _with_workers(
    place: Place, subscription: Subscription, process: subprocess.Popen[str], *, count: int, seconds: int
) -> list[Figure]:
    agent = json.loads(
        (place.folder / "state" / "local" / subscription.handle.id / "process.json").read_text()
    )["pid"]
    scheduler = _child(agent)
    env = {"GPU_WORKBENCH_STATE_DIR": str(place.folder / "state")}
    with jupyter_server(place.folder / "server", env=env) as server:
        begun = time.monotonic()
        async with tab(server) as seen:
            topic = f"run/{subscription.handle.id}"
            await seen.subscribe("runs")
            await seen.subscribe(topic)
            await seen.until(lambda states: f"{count} workers" in str(states.get(topic, "")), 60)
            first = time.monotonic() - begun
            reading = asyncio.create_task(_read(seen))
            quiet = await _three(agent, scheduler, server.pid, asyncio.sleep(seconds))
            busy = await _three(agent, scheduler, server.pid, asyncio.to_thread(_compute, process, seconds))
            reading.cancel()
            size = len(json.dumps(seen.states[topic]))
    what = f"{count} workers, 100 tasks a second"
    unit = "% of a core"
    return [
        Figure(f"server's extension with the card open: {what}", unit, [busy[2]], target=Target(5)),
        Figure("the same while nothing is computed", unit, [quiet[2]]),
        Figure(f"agent: {what}", unit, [busy[0]]),
        Figure("the same while nothing is computed", unit, [quiet[0]]),
        Figure("scheduler itself, heartbeats and all, while nothing is computed", unit, [quiet[1]]),
        Figure("from opening the connection to the whole card", "s", [first]),
        Figure("the card's data", "kB", [size / 1000]),
    ]  # fmt: skip


async def _three(agent: int, scheduler: int, server: int, meanwhile: Any) -> tuple[float, float, float]:
    """Per cent of a core of each, meanwhile."""
    over = asyncio.Event()

    async def wait() -> None:
        await over.wait()

    asking = [asyncio.create_task(_cpu(pid, wait())) for pid in (agent, scheduler, server)]
    await meanwhile
    over.set()
    found = await asyncio.gather(*asking)
    return found[0], found[1], found[2]


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
