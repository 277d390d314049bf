"""Where a workload runs, in the words that stand in its view's first line."""

from __future__ import annotations

from gpu_workbench.core.model import Kind, Workload
from gpu_workbench.core.spec import DaskCluster, Handle, WorkloadSpec
from gpu_workbench.surfaces.view.model import Where


def where_of(handle: Handle, workload: Workload) -> Where:
    """In words, from what was asked for and what is there."""
    spec = handle.spec
    if spec.kind is Kind.DASK:
        return _where(handle, workers_of(handle, workload))
    found = [gpu.device for rank in workload.ranks.values() for gpu in rank.gpus]
    asked = spec.resources.gpus
    place = "this machine" if handle.backend == "local" else "the cluster"
    if found:
        kinds = {device.name for device in found}
        gpus = f"{len(found)} {kinds.pop()}" if len(kinds) == 1 else f"{len(found)} GPUs"
    elif workload.ranks or handle.backend == "local":
        gpus = f"CPU · {place}"
    else:
        gpus = f"{asked.count} {asked.kind or 'GPU'}" if asked.count else f"CPU · {place}"
    return _where(handle, gpus)


def _where(handle: Handle, gpus: str) -> Where:
    spec = handle.spec
    return Where(
        backend=handle.backend,
        session=spec.name,
        context=spec.placement.context,
        namespace=spec.placement.namespace,
        gpus=gpus,
        price=spec.placement.price,
        currency=spec.placement.currency,
    )


def workers_of(handle: Handle, workload: Workload) -> str:
    """The workers of a Dask cluster: ``4 workers × 1 H200``; of one that has none yet, those that were asked for."""
    spec = handle.spec
    each = [gpus_each(spec)] if spec.dask is None or not spec.dask.groups else []
    count, gpus = workers_asked(spec), gpus_asked(spec)
    kinds = {spec.resources.gpus.kind} - {""}
    if workload.dask is not None:
        found = workload.dask.workers
        count, gpus = len(found), sum(len(worker.gpus) for worker in found)
        each = list({len(worker.gpus) for worker in found})
        kinds = {worker.device for worker in found if worker.device} or kinds
    workers = f"{count:,} worker{'' if count == 1 else 's'}"
    if not count or (workload.dask is None and handle.backend == "local"):
        return workers  # this machine may have fewer GPUs than were asked for
    kind = kinds.pop() if len(kinds) == 1 else ""
    if not gpus:
        return f"{workers} · CPU"
    shown, times = (each[0], "×") if len(each) == 1 else (gpus, "·")
    return f"{workers} {times} {shown:,} {kind or 'GPU' + ('' if shown == 1 else 's')}"


def workers_asked(spec: WorkloadSpec) -> int:
    """How many workers a Dask cluster was to have at its start."""
    asked = spec.dask or DaskCluster()
    return asked.n_workers + sum(asked.groups.values())


def gpus_asked(spec: WorkloadSpec) -> int:
    """How many GPUs that were: further worker groups have none."""
    return (spec.dask or DaskCluster()).n_workers * gpus_each(spec)


def gpus_each(spec: WorkloadSpec) -> int:
    """GPUs of each worker of the default group."""
    return spec.resources.gpus.count
