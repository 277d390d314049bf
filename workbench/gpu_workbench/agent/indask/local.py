"""A Dask cluster on one machine, as a process that the agent wraps: Dask's own ``LocalCluster``, or dask-cuda's.

It is told what to do by lines on its standard input, one JSON object each: ``{"scale": 4}``, ``{"adapt": [0, 8]}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import multiprocessing
import os
import sys
import threading
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

DEVICES = "CUDA_VISIBLE_DEVICES"
"""Environment variable of CUDA's own with the devices that a process sees."""

_METHOD = "distributed.worker.multiprocessing-method"
_BEFORE = "distributed.nanny.pre-spawn-environ"
_UNSET = {
    "MALLOC_TRIM_THRESHOLD_": 65536,
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1),
}


def fork_workers() -> None:
    """Have workers forked from a process that imports Dask meanwhile, unless the user's configuration names another way.

    It begins before Dask's scheduler is imported here. That process has the environment that Dask's nanny would give to
    one that it starts itself, and no threads. Source: ``distributed.nanny.Nanny``, ``distributed.utils.get_mp_context``.
    """
    import dask.config

    own = dask.config.collect()
    if dask.config.get(_METHOD, None, config=own) is not None:
        return
    given = {**_UNSET, **dask.config.get(_BEFORE, {}, config=own)}
    told = {name: os.environ.get(name, str(value)) for name, value in given.items() if value is not None}
    if told.get("PYTHONHASHSEED") in (None, "0"):
        told["PYTHONHASHSEED"] = "6640"  # all workers hash alike; Dask's own number
    before = dict(os.environ)
    os.environ.update(told)
    try:
        forking = multiprocessing.get_context("forkserver")
        forking.set_forkserver_preload(["distributed.nanny", "distributed.worker"])
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)
    dask.config.set({_METHOD: "forkserver"})
    import distributed.utils

    # Else all that a worker might want is imported here first, pandas too.
    distributed.utils._forkserver_preload_set = True


class Told:
    """What came on standard input, line by line."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.lines: asyncio.Queue[str] = asyncio.Queue()
        threading.Thread(target=self._read, name="standard input", daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                self._loop.call_soon_threadsafe(self.lines.put_nowait, line)
        os._exit(0)  # the agent is gone, and with it whoever could stop this


def make_cluster(*, n_workers: int, threads: int, memory: int, gpus: int, folder: str) -> Any:
    """The cluster, not started.

    Args:
        n_workers: How many workers.
        threads: Of each; 0 leaves it to Dask.
        memory: Bytes of each; 0 shares out what there is among the first workers, as Dask does it.
        gpus: GPUs of each.
        folder: Where workers spill.
    """
    from distributed import LocalCluster
    from distributed.security import Security
    from distributed.system import MEMORY_LIMIT

    options: dict[str, Any] = {
        "n_workers": n_workers,
        "threads_per_worker": threads or (1 if gpus else None),
        "memory_limit": memory or (MEMORY_LIMIT // n_workers if n_workers else "auto"),
        "local_directory": folder,
        "asynchronous": True,
        "dashboard_address": "127.0.0.1:0",
        "security": Security(),  # of the configuration that the agent's environment makes: nobody else may connect
    }
    if not n_workers and not options["threads_per_worker"]:
        options["threads_per_worker"] = max(1, (os.cpu_count() or 1) // 4)
    devices = [device for device in os.environ.get(DEVICES, "").split(",") if device]
    if not gpus or not devices:
        return LocalCluster(**options)
    if importlib.util.find_spec("dask_cuda") is not None and gpus == 1:
        from dask_cuda import LocalCUDACluster

        return LocalCUDACluster(CUDA_VISIBLE_DEVICES=devices[:n_workers], **{**options, "n_workers": None})
    return _pinned(devices, gpus=gpus)(**options)


def _pinned(devices: list[str], *, gpus: int) -> type:
    """A ``LocalCluster`` whose workers have devices of their own."""
    from distributed import LocalCluster

    shares = [",".join(devices[i : i + gpus]) for i in range(0, len(devices), gpus)]

    class PinnedCluster(LocalCluster):  # type: ignore[misc]
        def __init__(self, *, n_workers: int, **options: Any) -> None:
            super().__init__(n_workers=0, **options)
            for _ in range(n_workers):  # its own first workers it makes all alike
                self.worker_spec.update(self.new_worker_spec())

        def new_worker_spec(self) -> dict[Any, Any]:
            ((name, spec),) = super().new_worker_spec().items()
            taken = [one["options"]["env"][DEVICES] for one in self.worker_spec.values()]
            own = min(shares, key=taken.count)
            environment = {**(spec["options"].get("env") or {}), DEVICES: own}
            return {name: {**spec, "options": {**spec["options"], "env": environment}}}

    return PinnedCluster


async def resize(cluster: Any, n_workers: int) -> None:
    """Have that many workers. Those that hold least go, and hand that to those that stay first.

    Dask's own ``scale`` gives its scheduler names where that wants addresses, and what only they had is lost (distributed
    issue 4069).
    """
    surplus = len(cluster.worker_spec) - n_workers
    if surplus > 0:
        least = await cluster.scheduler_comm.workers_to_close(n=surplus, attribute="name")
        others = [name for name in reversed([*cluster.worker_spec]) if name not in least]  # not even started
        going = [*(name for name in least if name in cluster.worker_spec), *others][:surplus]
        await cluster.scheduler_comm.retire_workers(names=going)
        await cluster.scale_down(going)
    else:
        cluster.scale(n_workers)


async def serve(form: dict[str, Any]) -> None:
    """Run the cluster until standard input ends."""
    told = Told()
    cluster = make_cluster(**form)
    async with cluster:
        while True:
            order = json.loads(await told.lines.get())
            if "adapt" in order:
                minimum, maximum = order["adapt"]
                cluster.adapt(minimum=minimum, maximum=maximum, interval="500ms")
            elif "scale" in order:
                if cluster._adaptive is not None:
                    cluster._adaptive.stop()
                await resize(cluster, int(order["scale"]))


if __name__ == "__main__":  # not in the workers' processes, which begin with this very file
    sys.path[0] = str(Path.cwd())  # where the notebook is, with its modules
    form = json.loads(sys.argv[1])
    if sys.platform == "linux" and not form["gpus"]:  # elsewhere, and with CUDA, a fork breaks libraries
        fork_workers()
    asyncio.run(serve(form))
