"""Our Dask cluster in the shape of dask-kubernetes' `KubeCluster`, for as much of it as ours has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

from dask_kubernetes.exceptions import ValidationError

import gpu_workbench as gw
from gpu_workbench.core.errors import UsageError

WORKER_MODULE = "distributed.cli.dask_worker"
SMALL = {"backend": "kubernetes", "gpus": 0, "cpus": 0.1, "memory": "512Mi"}


class NoCounterpart(Exception):
    """`KubeCluster` has it, and ours has not."""


class Refused(ValidationError, ValueError):
    """A `UsageError` of ours in the types that theirs raises: both say that nothing was started."""


class KubeCluster:
    """Arguments of `KubeCluster`; what is made of them is a cluster of ours, and nothing around it."""

    def __new__(cls, *, asynchronous: bool = False, **arguments: Any) -> Any:
        flags = _flags(**arguments)
        if asynchronous:
            return Opening(lambda: gw.aio.dask(**flags))
        return _translated(lambda: gw.dask(**flags))

    @classmethod
    def from_name(cls, name: str, *, asynchronous: bool = False, **arguments: Any) -> Any:
        flags = {"backend": "kubernetes", **_place(**arguments)}
        if asynchronous:
            return Opening(lambda: gw.aio.attach(name, **flags))
        return _translated(lambda: gw.attach(name, **flags))


class Opening:
    """A cluster that is opened where it is awaited or entered, as theirs is."""

    def __init__(self, begin: Callable[[], Awaitable[Any]]) -> None:
        self._begin = begin
        self._cluster: Any = None

    def __await__(self) -> Generator[Any, None, Any]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Any:
        if self._cluster is None:
            try:
                self._cluster = await self._begin()
            except UsageError as error:
                raise Refused(str(error)) from error
        return self._cluster

    async def __aexit__(self, *exception: object) -> None:
        await self._cluster.close()


def _translated(begin: Callable[[], Any]) -> Any:
    try:
        return begin()
    except UsageError as error:
        raise Refused(str(error)) from error


def _flags(
    *,
    name: str | None = None,
    image: str | None = None,
    n_workers: int = 3,
    resources: dict[str, Any] | None = None,
    worker_command: str | list[str] | None = None,
    idle_timeout: int | None = None,
    namespace: str | None = None,
    quiet: bool = False,
    **others: object,
) -> dict[str, Any]:
    """The flags of ours. What has no counterpart is said so; what ours does not know, ours refuses."""
    if others:
        raise NoCounterpart(f"ours takes no {', '.join(sorted(others))}")
    words = worker_command.split() if isinstance(worker_command, str) else worker_command or [WORKER_MODULE]
    if WORKER_MODULE not in words:
        raise NoCounterpart("the worker's command is ours, and it is Dask's own worker")
    flags: dict[str, Any] = {**SMALL, "n_workers": n_workers, **_place(namespace=namespace)}
    flags |= {key: value for key, value in {"name": name, "image": image}.items() if value is not None}
    if idle_timeout:
        flags["idle_limit"] = f"{idle_timeout}s"
    for field, value in (resources or {}).items():
        flags |= _limits(value) if field == "limits" else {field: value}
    return flags


def _limits(limits: dict[str, Any]) -> dict[str, Any]:
    names = {"cpu": "cpus", "memory": "memory", "nvidia.com/gpu": "gpus"}
    return {names.get(name, name): value for name, value in limits.items()}


def _place(*, namespace: str | None = None) -> dict[str, Any]:
    return {"namespace": namespace} if namespace else {}
