"""Where a workload runs, in the words that stand in its view's first line."""

from __future__ import annotations

from gpu_workbench.core.model import Workload
from gpu_workbench.core.spec import Handle
from gpu_workbench.surfaces.view.model import Where


def where_of(handle: Handle, workload: Workload) -> Where:
    """In words, from what was asked for and what is there."""
    spec = handle.spec
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
    return Where(
        backend=handle.backend,
        session=spec.name,
        context=spec.placement.context,
        namespace=spec.placement.namespace,
        gpus=gpus,
        price=spec.placement.price,
        currency=spec.placement.currency,
    )
