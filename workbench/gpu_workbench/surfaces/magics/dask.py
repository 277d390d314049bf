"""``%gpu dask``: a cluster, its card in the cell, and a connected client in the notebook."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpu_workbench.app.dask.opening import OpenedCluster, hopeless, open_cluster, scheduler_of
from gpu_workbench.app.portal import Pull
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.backends.dask import SchedulerAddress
from gpu_workbench.core.errors import UsageError
from gpu_workbench.surfaces.command_lines import Command
from gpu_workbench.surfaces.dask import cluster_request
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.magics.failures import CellInterrupted
from gpu_workbench.surfaces.magics.notes import note
from gpu_workbench.surfaces.picture import snapshot_of
from gpu_workbench.surfaces.view.bundle import RunView, ipython_publish

if TYPE_CHECKING:
    from gpu_workbench.app.dask.cluster import Cluster

RECONNECT = 120.0
"""Seconds for which a client looks for a scheduler that it has lost: the way to it may be away for longer than it is."""

_LOOK = 0.25


@dataclass
class Connected:
    """A cluster that this notebook is connected to.

    Args:
        names: Of the variables that the client and the cluster are bound to; empty where they were taken.
    """

    cluster: Cluster
    client: Any
    names: tuple[str, ...] = ()


def dask(here: Here, shell: Any, command: Command) -> None:
    """Start a cluster or find the one of that name, and bind a connected client."""
    request = cluster_request(here, command.flags)
    require_dask()
    if command.flags.dry_run:
        from gpu_workbench.surfaces.magics.dry_run import dry_cluster

        print(dry_cluster(request, command.flags))  # noqa: T201
        return
    workbench = here.workbench(request.config)
    opened: OpenedCluster = here.portal.call(
        open_cluster, workbench, request.backend, request.spec, asked=request.asked
    )
    found = connect(here, shell, opened, as_=command.flags.as_)
    if request.adapt is not None:
        found.cluster.adapt(minimum=request.adapt[0], maximum=request.adapt[1])


def connect(here: Here, shell: Any, opened: OpenedCluster, *, as_: str = "") -> Connected:
    """Show the cluster's card, wait until its scheduler answers, and bind a client.

    Raises:
        StartFailed: it does not come up.
        CellInterrupted: waiting was stopped.
    """
    subscription = opened.subscription
    view = RunView(publish=ipython_publish())
    address = _await(here, subscription, view)
    known = here.clusters.get(subscription.handle.id)
    if known is None or known.cluster.status.name != "running":
        connected = make(here, opened, address)
    elif known.client.status == "closed":  # it was without its scheduler for too long
        connected = Connected(known.cluster, _client(known.cluster))
    else:
        connected = known
    here.clusters[subscription.handle.id] = connected
    view.show(snapshot_of(subscription))
    notes = [*_bind(here, connected, as_), *_versions(connected, subscription)]
    if notes:
        note(shell, *notes)
    return connected


def make(here: Here, opened: OpenedCluster, address: SchedulerAddress) -> Connected:
    """A cluster object and a client of it, which is Dask's default from now on."""
    from gpu_workbench.app.dask.cluster import Cluster

    cluster = Cluster(opened.subscription, address, portal=here.portal, started=opened.started)
    return Connected(cluster, _client(cluster))


def _client(cluster: Any) -> Any:
    from distributed import Client

    return Client(cluster, timeout=RECONNECT)


def require_dask() -> None:
    """See that this notebook has Dask itself.

    Raises:
        UsageError: it has not.
    """
    import importlib.util

    if importlib.util.find_spec("distributed") is None:
        raise UsageError(
            "Dask is not installed here",
            why="the client of a cluster runs in this notebook",
            fix='Install it: pip install "jupyter-gpu-workbench[dask]"',
        )


def _await(here: Here, subscription: Subscription, view: RunView) -> SchedulerAddress:
    """Wait for the scheduler, its card in the cell meanwhile."""

    async def looks() -> AsyncIterator[None]:
        while not (subscription.ready or subscription.over or hopeless(subscription)):
            await subscription.changed(_LOOK)
            yield None

    try:
        with Pull(here.portal, looks()) as pull:
            while pull.take() is not None:
                view.update(snapshot_of(subscription))
        found: SchedulerAddress = here.portal.call(scheduler_of, subscription)
    except KeyboardInterrupt:
        name = subscription.handle.spec.name
        raise CellInterrupted(
            f"Waiting was stopped; the Dask cluster {name!r} goes on starting. `%gpu dask --name {name}` waits again, "
            f"`%gpu stop {name}` ends it"
        ) from None
    except BaseException:
        view.finish(snapshot_of(subscription))
        raise
    return found


def _bind(here: Here, connected: Connected, as_: str) -> list[str]:
    """Bind client and cluster where their names are free, or ours; what could not be bound is said."""
    wanted = (as_, f"{as_}_cluster") if as_ else ("client", "cluster")
    values = (connected.client, connected.cluster)
    taken = [name for name in wanted if not as_ and not _is_ours(here.namespace.get(name))]
    if taken:
        are = "are names" if len(taken) > 1 else "is a name"
        return [f"{' and '.join(taken)} {are} of yours already: `--as NAME` binds the client to another one"]
    here.namespace.update(zip(wanted, values, strict=True))
    connected.names = wanted
    return []


def _is_ours(value: object) -> bool:
    """Whether a name is free, or has what was bound here before, of a cluster that is gone too."""
    from gpu_workbench.app.dask.cluster import Cluster

    return value is None or isinstance(value, Cluster) or isinstance(getattr(value, "cluster", None), Cluster)


def _versions(connected: Connected, subscription: Subscription) -> list[str]:
    from gpu_workbench.app.dask.versions import differences, fix

    found = differences(connected.client.get_versions())
    if not found:
        return []
    return [f"Versions differ: {found}. {fix(subscription.handle.spec.image)}."]


def let_go(here: Here, workload_id: str) -> None:
    """Close the client of a cluster that is going, before it can say that its scheduler is gone."""
    known: Connected | None = here.clusters.pop(workload_id, None)
    if known is not None:
        known.cluster.let_go()
        with contextlib.suppress(Exception):  # it may be gone by now
            known.client.close(timeout=2)
            known.cluster.close(timeout=2)


def ship_modules(here: Here) -> list[str]:
    """Before a cell: have every cluster know the notebook's own modules as they are. Returns what could not be done."""
    said = []
    for known in list(here.clusters.values()):
        if known.cluster.status.name != "running":
            continue
        try:
            known.cluster.ship_modules()
        except Exception as error:  # a cell must run whatever became of a cluster
            said.append(
                f"The Dask cluster {known.cluster.name!r} does not have this notebook's modules: {error}"
            )
    return said
