"""One Dask cluster in a process of its own: what is measured of it is printed as JSON. A program, run by `dask_clusters`.

    python dask_side.py '{"what": "cluster", "kind": "plain", "place": "local", "tasks": 10000}'
    python dask_side.py '{"what": "scheduler", "seconds": 10, "times": 4}'
    python dask_side.py '{"what": "preloads", "image": "...", "namespace": "...", "tasks": 10000, "times": 4}'

It imports nothing before it is told what to measure: how long that takes is part of it.
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import contextlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import secrets  # noqa: E402
import socket  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

LIMIT = 120.0
"""Seconds for anything that has to happen."""

KEPT = 60
"""Results that lie on workers while their number becomes less."""

SCHEDULER = ["python3", "-m", "distributed.cli.dask_scheduler", "--host", "0.0.0.0"]
WORKER = ["python3", "-m", "distributed.cli.dask_worker", "--name", "$(DASK_WORKER_NAME)", "--nthreads", "1"]

CPUS, MEMORY = 0.1, 2**30
"""Of each pod of a cluster."""

_SECURITY = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


# --- A cluster --------------------------------------------------------------------------------------------------------


def cluster(form: dict[str, Any]) -> dict[str, float]:
    """Seconds of all that a cluster does; ``lost`` are results that were gone when workers went.

    Args:
        form: ``kind``: ours or plain; ``place``: local or kubernetes; ``tasks``: how many; ``settle``: seconds between
            the order to adapt and the first task, 0 to leave that out; on Kubernetes ``image`` and ``namespace``.
    """
    made: Any = _MAKERS[form["kind"], form["place"]](form)
    from distributed import Client

    found: dict[str, float] = {}
    with made, Client(made) as client:
        _until(made, 2)
        found["ready"] = time.perf_counter() - BEGAN
        found["tasks"] = _tasks(client, form["tasks"])
        made.scale(1)
        _until(made, 1)
        found["grow"] = _took(lambda: made.scale(4), made, 4)
        kept = client.map(_once, range(KEPT), pure=False)
        had = client.gather(kept)
        found["shrink"] = _took(lambda: made.scale(1), made, 1)
        has = client.gather(kept)
        found["lost"] = sum(one != other for one, other in zip(has, had, strict=True))
        del kept
        if form.get("settle"):
            found["adapt"] = _adapted(made, client, form["settle"])
    return found


def _tasks(client: Any, count: int) -> float:
    from distributed import wait

    wait(client.map(_nothing, range(1000), pure=False))
    began = time.perf_counter()
    wait(client.map(_nothing, range(count), pure=False))
    return time.perf_counter() - began


def _adapted(made: Any, client: Any, settle: float) -> float:
    """From a task to its result, of a cluster without a worker that is looked at now and then."""
    made.scale(0)
    _until(made, 0)
    made.adapt(minimum=0, maximum=1)
    time.sleep(settle)
    began = time.perf_counter()
    client.submit(_once, 0, pure=False).result(timeout=LIMIT)
    return time.perf_counter() - began


def _took(order: Callable[[], object], made: Any, workers: int) -> float:
    began = time.perf_counter()
    order()
    _until(made, workers)
    return time.perf_counter() - began


def _until(made: Any, workers: int) -> None:
    """Wait until the scheduler has that many workers, which it tells the cluster's object at once."""
    end = time.monotonic() + LIMIT
    while len(made.scheduler_info["workers"]) != workers:
        if time.monotonic() > end:
            raise TimeoutError(f"{len(made.scheduler_info['workers'])} workers in place of {workers}")
        time.sleep(0.01)


def _nothing(number: int) -> None:
    pass


def _once(number: int) -> bytes:
    """A result that is another one when it is made again."""
    return os.urandom(16)


def _ours(form: dict[str, Any]) -> Any:
    import gpu_workbench as gw

    if form["place"] == "local":
        return gw.dask(n_workers=2, gpus=0, backend="local")
    return gw.dask(
        n_workers=2,
        gpus=0,
        cpus=CPUS,
        memory=str(MEMORY),
        backend="kubernetes",
        image=form["image"],
        namespace=form["namespace"],
    )


def _local_cluster(form: dict[str, Any]) -> Any:
    from distributed import LocalCluster

    return LocalCluster(n_workers=2, dashboard_address="127.0.0.1:0")


def _kube_cluster(form: dict[str, Any]) -> Any:
    """Its own, but for words that images have now, the security that the namespace wants, and as much as ours asks for."""
    from dask_kubernetes.operator import KubeCluster, make_cluster_spec

    spec = make_cluster_spec(f"plain-{secrets.token_hex(3)}", image=form["image"], n_workers=2)
    arguments = {"scheduler": SCHEDULER, "worker": [*WORKER, "--memory-limit", str(MEMORY)]}
    for role, words in arguments.items():
        (container,) = spec["spec"][role]["spec"]["containers"]
        container.update(
            args=words,
            env=[{"name": "HOME", "value": "/tmp"}],
            workingDir="/tmp",
            resources={
                "requests": {"cpu": str(CPUS), "memory": str(MEMORY)},
                "limits": {"memory": str(MEMORY)},
            },
            securityContext=_SECURITY,
        )
    return KubeCluster(
        custom_cluster_spec=spec, namespace=form["namespace"], port_forward_cluster_ip=True, quiet=True
    )


_MAKERS: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
    ("ours", "local"): _ours,
    ("ours", "kubernetes"): _ours,
    ("plain", "local"): _local_cluster,
    ("plain", "kubernetes"): _kube_cluster,
}


# --- What our preloads cost -----------------------------------------------------------------------------------------


def scheduler(form: dict[str, Any]) -> dict[str, list[float]]:
    """Percent of a core that the process of a scheduler with two workers uses, ``idle`` and ``busy``, watched and bare.

    It is one cluster, in which our preloads are switched off and on again: what differs from process to process is as
    much as what is measured. Its tasks only wait, so that nothing takes the processor from it.

    Args:
        form: ``seconds``: how long each look is; ``times``: how many of each.
    """
    import tempfile

    from distributed import Client, wait

    seconds = float(form["seconds"])
    pauses = [0.01] * int(2 * seconds / 0.01)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gwb-")))
        heard: list[int] = []
        env = {**os.environ, "PYTHONWARNINGS": "ignore", **_watched(folder, heard)}
        file = folder / "scheduler.json"
        where = ("--scheduler-file", str(file))
        first = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
        process = stack.enter_context(_started("dask_scheduler", *where, *first, env=env))
        end = time.monotonic() + LIMIT
        while not file.exists() and time.monotonic() < end:
            time.sleep(0.05)
        for _ in range(2):
            worker = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder))
            stack.enter_context(_started("dask_worker", *where, *worker, env=env))
        client = stack.enter_context(Client(scheduler_file=str(file)))
        client.wait_for_workers(2)
        wait(client.map(time.sleep, [0.01] * 100, pure=False))

        def work() -> None:
            wait(client.map(time.sleep, pauses, pure=False))

        def look() -> dict[str, float]:
            idle = _share(process.pid, lambda: time.sleep(seconds))
            client.run_on_scheduler(_own_seconds)
            began = time.monotonic()
            busy = _share(process.pid, work)
            own = 100 * client.run_on_scheduler(_own_seconds) / (time.monotonic() - began)
            return {"idle": idle, "busy": busy, "own": own}

        found = _with_and_without(client, look, times=form["times"])
    if sum(heard) < 1000:
        raise RuntimeError(f"the scheduler said {sum(heard)} bytes: its preload does not run")
    return found


def preloads(form: dict[str, Any]) -> dict[str, list[float]]:
    """Seconds of ``tasks`` on one cluster of ours on Kubernetes, watched and bare.

    Args:
        form: ``tasks``: how many; ``image``, ``namespace``; ``times``: how often each.
    """
    from distributed import Client

    with _ours({**form, "place": "kubernetes"}) as made, Client(made) as client:
        _until(made, 2)
        return _with_and_without(
            client, lambda: {"tasks": _tasks(client, form["tasks"])}, times=form["times"]
        )


def _with_and_without(
    client: Any, look: Callable[[], dict[str, float]], *, times: int
) -> dict[str, list[float]]:
    """What ``look`` finds with our preloads at work and without, in turn; the first round does not count."""
    found: dict[str, list[float]] = {}
    for round_ in range(times + 1):
        for watched in (True, False) if round_ % 2 else (False, True):
            client.run_on_scheduler(_switch_scheduler, watched=watched)
            client.run(_switch_worker, watched=watched)
            time.sleep(2.0)
            for name, value in look().items():
                if round_:
                    found.setdefault(f"{name} {'watched' if watched else 'bare'}", []).append(value)
    return found


async def _switch_scheduler(dask_scheduler: Any, watched: bool) -> None:
    """Take our plugin and what looks once a second away, or put them back."""
    import asyncio
    import os

    kept = dask_scheduler.__dict__.setdefault("gpu_workbench_kept", {})
    if watched and kept:
        watch = kept.pop("watch")
        dask_scheduler.add_plugin(watch, name=watch.name)
        path = os.environ["GPU_WORKBENCH_DASK_SOCKET"]
        dask_scheduler.gpu_workbench = asyncio.create_task(watch.run(path))
    elif not watched and not kept:
        kept["watch"] = dask_scheduler.plugins["gpu-workbench"]
        dask_scheduler.remove_plugin("gpu-workbench")
        dask_scheduler.gpu_workbench.cancel()


def _own_seconds(dask_scheduler: Any) -> float:
    """Processor seconds that the methods of our plugin took since this was asked before."""
    import functools
    import time

    spent = dask_scheduler.__dict__.setdefault("gpu_workbench_spent", {})
    watch = dask_scheduler.plugins.get("gpu-workbench")
    for name in (
        ("look", "_is_news", "transition", "update_graph", "log_event") if watch and not spent else ()
    ):
        method = getattr(watch, name)

        @functools.wraps(method)
        def timed(*args: Any, _name: str = name, _method: Any = method, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return _method(*args, **named)
            finally:
                spent[_name] = spent.get(_name, 0.0) + time.thread_time() - began

        setattr(watch, name, timed)
    total = sum(spent.values())
    spent.update(dict.fromkeys(spent, 0.0))
    return float(total)


def _switch_worker(dask_worker: Any, watched: bool) -> None:
    """The same for the metrics that ride on a worker's heartbeat."""
    kept = dask_worker.__dict__.setdefault("gpu_workbench_kept", {})
    if watched:
        dask_worker.metrics.update(kept)
        kept.clear()
    else:
        for name in [name for name in dask_worker.metrics if name.startswith("gpu_workbench")]:
            kept[name] = dask_worker.metrics.pop(name)


def _watched(folder: Path, heard: list[int]) -> dict[str, str]:
    """The environment that brings our preloads, and a listener in the agent's place that notes how much it heard."""
    from gpu_workbench.agent.indask.launch import with_preload

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "dask"))
    listener.listen()

    def listen() -> None:
        while True:
            speaking, _ = listener.accept()
            while said := speaking.recv(2**16):
                heard.append(len(said))

    threading.Thread(target=listen, daemon=True).start()
    found = {"GPU_WORKBENCH_DASK_SOCKET": str(folder / "dask")}
    for role in ("scheduler", "worker"):
        found |= with_preload(role, folder=folder, environment={})
    return found


@contextlib.contextmanager
def _started(program: str, *words: str, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", f"distributed.cli.{program}", *words]
    with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def _share(pid: int, work: Callable[[], object]) -> float:
    before, began = _processor_seconds(pid), time.monotonic()
    work()
    return 100 * (_processor_seconds(pid) - before) / (time.monotonic() - began)


def _processor_seconds(pid: int) -> float:
    """To the nanosecond. Source: ``clock_getcpuclockid(3)``, and the ids that Linux makes for it."""
    return time.clock_gettime(~pid << 3 | 2)


_WHAT: dict[str, Callable[[dict[str, Any]], object]] = {
    "cluster": cluster,
    "scheduler": scheduler,
    "preloads": preloads,
}

if __name__ == "__main__":  # not in the workers of a LocalCluster, which begin with this file
    asked = json.loads(sys.argv[1])
    print(json.dumps(_WHAT[asked["what"]](asked)))
