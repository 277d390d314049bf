"""Our Dask cluster in the shape of distributed's `LocalCluster`, for as much of it as ours has.

What ours does otherwise is done here, as `LocalCluster` does it: it waits for its first workers, each cluster is one of its
own, and a client that is given a bare address has the certificate that it takes.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from typing import Any

import distributed

import gpu_workbench as gw

LIMIT = 60.0
"""Seconds within which first workers have to come."""

_Client = distributed.Client
_securities: dict[str, Any] = {}
asked = 0
"""How many clusters were asked for."""


class SchedulerView:
    """`cluster.scheduler`, for tests that count its workers; the scheduler itself is in another process."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster

    @property
    def workers(self) -> Any:
        """By address."""
        return self._cluster.scheduler_info["workers"]


class NoCounterpart(Exception):
    """`LocalCluster` has it, and ours has not."""


def local_cluster(
    n_workers: int | None = None,
    *,
    name: str | None = None,
    threads_per_worker: int | None = None,
    memory_limit: str | None = None,
    asynchronous: bool = False,
    **others: object,
) -> Any:
    """A cluster of ours, on the backend that UPSTREAM_BACKEND names."""
    global asked  # noqa: PLW0603 - pytest's process runs one test at a time
    asked += 1
    # Where its parts run and where they listen is ours to say, and its event loop is its own.
    for known in ("scheduler_port", "dashboard_address", "silence_logs", "processes", "loop"):
        others.pop(known, None)
    if others:
        raise NoCounterpart(f"ours takes no {', '.join(sorted(others))}")
    backend = os.environ.get("UPSTREAM_BACKEND", "local")
    flags: dict[str, Any] = {"backend": backend, "gpus": 0, "name": name or f"u{secrets.token_hex(3)}"}
    if backend == "kubernetes":
        flags |= {"cpus": 0.1, "memory": "512Mi"}
    flags |= {"n_workers": 2 if n_workers is None else n_workers}
    if threads_per_worker:
        flags["nthreads"] = threads_per_worker
    if memory_limit:
        flags["memory"] = memory_limit
    if asynchronous:
        return _Opening(flags)
    cluster = _noted(gw.dask(**flags))
    if flags["n_workers"]:
        cluster.wait_for_workers(flags["n_workers"], timeout=LIMIT)
    return cluster


class _Opening:
    def __init__(self, flags: dict[str, Any]) -> None:
        self._flags = flags

    def __await__(self) -> Generator[Any, None, Any]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Any:
        self._cluster = _noted(await gw.aio.dask(**self._flags))
        if self._flags["n_workers"]:
            await self._cluster.wait_for_workers(self._flags["n_workers"], timeout=LIMIT)
        return self._cluster

    async def __aexit__(self, *exception: object) -> None:
        await self._cluster.close()


def _noted(cluster: Any) -> Any:
    _securities[cluster.scheduler_address] = cluster.security
    cluster.scheduler = SchedulerView(cluster)
    return cluster


def client(address: Any = None, **options: Any) -> Any:
    """A client; of a bare address of a cluster of ours with that one's certificate."""
    if isinstance(address, str) and address in _securities:
        options.setdefault("security", _securities[address])
    return _Client(address, **options)
