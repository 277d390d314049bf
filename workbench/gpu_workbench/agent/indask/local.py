"""A Dask cluster on one machine, as a process that the agent wraps: Dask's own ``LocalCluster``, or dask-cuda's.

It is told what to do by lines on its standard input, one JSON object each: ``{"scale": 4}``, ``{"adapt": [0, 8]}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any


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
        memory: Bytes of each; 0 leaves it to Dask.
        gpus: GPUs of each.
        folder: Where workers spill.
    """
    from distributed import LocalCluster
    from distributed.security import Security

    options: dict[str, Any] = {
        "n_workers": n_workers,
        "threads_per_worker": threads or (1 if gpus else None),
        "memory_limit": memory or "auto",
        "local_directory": folder,
        "asynchronous": True,
        "dashboard_address": "127.0.0.1:0",
        "security": Security(),  # of the configuration that the agent's environment makes: nobody else may connect
    }
    if not n_workers and not options["threads_per_worker"]:
        options["threads_per_worker"] = max(1, (os.cpu_count() or 1) // 4)
    devices = [device for device in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if device]
    if not gpus or not devices:
        return LocalCluster(**options)
    if importlib.util.find_spec("dask_cuda") is not None and gpus == 1:
        from dask_cuda import LocalCUDACluster

        return LocalCUDACluster(CUDA_VISIBLE_DEVICES=devices[:n_workers], **{**options, "n_workers": None})
    return _pinned(devices, gpus=gpus)(**options)


def _pinned(devices: list[str], *, gpus: int) -> type:
    """A ``LocalCluster`` whose workers have devices of their own."""
    from distributed import LocalCluster

    class PinnedCluster(LocalCluster):  # type: ignore[misc]
        def new_worker_spec(self) -> dict[Any, Any]:
            ((name, spec),) = super().new_worker_spec().items()
            first = int(name) * gpus % len(devices)
            own = ",".join(devices[first : first + gpus])
            environment = {**spec["options"].get("env", {}), "CUDA_VISIBLE_DEVICES": own}
            return {name: {**spec, "options": {**spec["options"], "env": environment}}}

    return PinnedCluster


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
                cluster.scale(int(order["scale"]))


if __name__ == "__main__":  # not in the workers' processes, which begin with this very file
    sys.path[0] = str(Path.cwd())  # where the notebook is, with its modules
    asyncio.run(serve(json.loads(sys.argv[1])))
