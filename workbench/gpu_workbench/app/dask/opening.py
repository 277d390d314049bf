"""Which Dask cluster a line means: the one of that name, or a new one; and the wait until its scheduler answers."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gpu_workbench.app.outcomes import outcome_of
from gpu_workbench.app.sessions import lives, new_id
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.app.workbench import Workbench
from gpu_workbench.backends.dask import RunsDask, SchedulerAddress
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.core.errors import (
    BackendError,
    FlagError,
    RunNotFound,
    StartFailed,
    UsageError,
    WorkbenchError,
)
from gpu_workbench.core.explain.losing import TAKEN_AWAY
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import Kind
from gpu_workbench.core.spec import Handle, WorkloadSpec, contradictions

log = logging.getLogger(__name__)

_WOKEN = 5.0
"""Seconds that a worker which was asked for has before another look."""

DEFAULT_NAME = "dask"
DEFAULT_GROUP = "default"

_SIZES = ("dask.n_workers",)
"""What a living cluster may have otherwise than is asked: it is changed."""


@dataclass(frozen=True)
class OpenedCluster:
    """A cluster to compute on.

    Args:
        subscription: The living cluster.
        started: It was started now.
    """

    subscription: Subscription
    started: bool


def backend_of(backend: Backend) -> RunsDask:
    """The backend as one that can hold Dask clusters.

    Raises:
        UsageError: it cannot.
    """
    if not isinstance(backend, RunsDask):
        raise UsageError(f"{backend.name} cannot hold a Dask cluster")
    return backend


async def open_cluster(
    workbench: Workbench, backend: str, spec: WorkloadSpec, *, asked: Mapping[str, object]
) -> OpenedCluster:
    """The notebook's cluster of that name, scaled where another size was asked for; or a new one like ``spec``.

    Args:
        workbench: Of this process.
        backend: Where.
        spec: What a new one would be; its id is made here.
        asked: The dotted fields that were given explicitly, which a living cluster must not contradict.

    Raises:
        FlagError: a living cluster is otherwise than asked.
        UsageError: another notebook has one of that name.
        BackendError: it cannot be started or looked for.
    """
    place = workbench.backend(backend)
    found = await _find(place, spec)
    if found is None:
        handle = await place.start(replace(spec, id=new_id()))
        asyncio.get_running_loop().run_in_executor(None, _import_dask)
        return OpenedCluster(await workbench.follow(backend, handle), started=True)
    if spec.notebook and found.spec.notebook != spec.notebook:
        raise UsageError(
            f"There is a Dask cluster {spec.name!r} already",
            why=f"it was started from {found.spec.notebook_path or 'another notebook'}",
            fix=f"`%gpu attach {spec.name}` connects to it; `--name` makes another one beside it",
        )
    fixed = {field: value for field, value in asked.items() if field not in _SIZES}
    if said := contradictions(fixed, found.spec):
        raise FlagError(
            f"The Dask cluster {spec.name!r} is running and is otherwise",
            why="; ".join(said).replace("the session has", "the cluster has"),
            fix="Use `--name` for another one beside it, or `%gpu stop` to end this one first",
        )
    wanted = asked.get("dask.n_workers")
    if isinstance(wanted, int):
        await backend_of(place).scale(found, wanted, group=DEFAULT_GROUP)
    return OpenedCluster(await workbench.follow(backend, found), started=False)


def _import_dask() -> None:
    """The scheduler comes up meanwhile."""
    with contextlib.suppress(ImportError):  # whoever needs it says so
        importlib.import_module("distributed")


async def _find(backend: Backend, spec: WorkloadSpec) -> Handle | None:
    for handle in await backend.list(owner=spec.owner):
        same = handle.spec.kind is Kind.DASK and handle.spec.name == spec.name
        if same and not handle.ended and await lives(backend, handle):
            return handle
    return None


async def cluster_named(workbench: Workbench, backend: str, name: str, *, owner: str) -> Subscription:
    """The living cluster of that name, whichever notebook started it; without a name the only one there is.

    Raises:
        RunNotFound: there is none, or there are several and no name was given.
    """
    place = workbench.backend(backend)
    living = [
        handle
        for handle in await place.list(owner=owner)
        if handle.spec.kind is Kind.DASK and not handle.ended and name in ("", handle.spec.name, handle.id)
    ]
    living = [handle for handle in living if await lives(place, handle)]
    if len(living) != 1:
        listed = ", ".join(sorted(handle.spec.name for handle in living))
        raise RunNotFound(
            f"There is no Dask cluster {name!r}" if name else "There is no Dask cluster to run in",
            why=f"several are: {listed}" if living else "",
            fix="Name one of them" if living else "`%gpu dask` starts one",
        )
    return await workbench.follow(backend, living[0])


def hopeless(subscription: Subscription) -> Explanation | None:
    """Why its scheduler will never come up, where that is known; it is being started again and again meanwhile.

    One that the cluster has taken away for another's sake comes up elsewhere.
    """
    found = subscription.explanation
    return None if found is None or found.waits or found.code in TAKEN_AWAY else found


async def scheduler_of(subscription: Subscription) -> SchedulerAddress:
    """The way to the scheduler, once it answers.

    Raises:
        StartFailed: it never came up, or it has ended.
    """
    await subscription.until(
        lambda: subscription.ready or subscription.over or hopeless(subscription) is not None
    )
    if not subscription.ready:
        raise _failed(subscription)
    return await backend_of(subscription.backend).scheduler(subscription.handle)


def _failed(subscription: Subscription) -> WorkbenchError:
    title = f"The Dask cluster {subscription.handle.spec.name!r} did not start"
    outcome = outcome_of(subscription) if subscription.over else None
    if outcome is not None:
        return StartFailed(title, why=outcome.sentence)
    found = hopeless(subscription)
    return StartFailed(title, why=found.sentence if found else "", fix=found.fix if found else "")


async def adapt(subscription: Subscription, *, minimum: int, maximum: int) -> None:
    """Have a cluster follow its tasks; while this process follows it, it is woken at once when tasks find no worker.

    Raises:
        BackendError: it cannot be done.
    """
    backend, handle = backend_of(subscription.backend), subscription.handle
    await backend.adapt(handle, minimum=minimum, maximum=maximum)
    if not minimum and handle.id not in _waking:
        task = _waking[handle.id] = asyncio.create_task(_wake(subscription), name=f"wake {handle.id}")
        task.add_done_callback(lambda _: _waking.pop(handle.id, None))


_waking: dict[str, asyncio.Task[None]] = {}


async def _wake(subscription: Subscription) -> None:
    backend = backend_of(subscription.backend)

    def needed() -> bool:
        state = subscription.workload.dask
        return state is not None and bool(state.tasks.open) and not state.workers

    while not subscription.over:
        await subscription.until(lambda: subscription.over or needed())
        try:
            if subscription.over or not await backend.wake(subscription.handle):
                return
        except BackendError as error:  # the operator will do it, later
            log.info("The cluster %s was not woken: %s", subscription.handle.id, error)
        await subscription.changed(_WOKEN)


async def logs_of(subscription: Subscription, *, tail: int | None) -> str:
    """What the cluster's scheduler and workers printed, each under its name.

    Args:
        subscription: To the cluster.
        tail: The last lines of each; ``None`` for all.
    """
    logs = await backend_of(subscription.backend).worker_logs(subscription.handle)
    parts = []
    for name, text in sorted(logs.items()):
        lines = text.splitlines()
        shown = lines if tail is None else lines[max(0, len(lines) - tail) :]
        parts += [f"==> {name} <==", *shown, ""]
    return "\n".join(parts).rstrip()
