"""One Dask cluster in a process of its own: what is measured of it is printed as JSON. A program, run by `dask_clusters`.

    python dask_side.py '{"what": "cluster", "kind": "plain", "place": "local", "tasks": 10000}'
    python dask_side.py '{"what": "scheduler", "watched": true, "seconds": 10}'

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


# --- What its scheduler costs -----------------------------------------------------------------------------------------


def scheduler(form: dict[str, Any]) -> dict[str, float]:
    """Percent of a core that the process of a scheduler with two workers uses: ``idle``, and while they are ``busy``.

    Their tasks only wait, so that nothing takes the processor from it.

    Args:
        form: ``watched``: with our preloads in all three, and somebody who listens; ``seconds``: how long to look.
    """
    import tempfile

    from distributed import Client, wait

    seconds = float(form["seconds"])
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gwb-")))
        env = {**os.environ, "PYTHONWARNINGS": "ignore"}
        heard: list[int] = []
        if form["watched"]:
            env |= _watched(folder, heard)
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
        time.sleep(2.0)
        idle = _share(process.pid, lambda: time.sleep(seconds))
        pauses = [0.01] * int(2 * seconds / 0.01)
        busy = _share(process.pid, lambda: wait(client.map(time.sleep, pauses, pure=False)))
    if form["watched"] and sum(heard) < 1000:
        raise RuntimeError(f"the scheduler said {sum(heard)} bytes: its preload does not run")
    return {"idle": idle, "busy": busy}


def _watched(folder: Path, heard: list[int]) -> dict[str, str]:
    """The environment that brings our preloads, and a listener in the agent's place that notes how much it heard."""
    from gpu_workbench.agent.indask.launch import with_preload

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "dask"))
    listener.listen()

    def listen() -> None:
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


_WHAT = {"cluster": cluster, "scheduler": scheduler}

if __name__ == "__main__":  # not in the workers of a LocalCluster, which begin with this file
    asked = json.loads(sys.argv[1])
    print(json.dumps(_WHAT[asked["what"]](asked)))
