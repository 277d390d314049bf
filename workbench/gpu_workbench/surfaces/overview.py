"""All workloads of a user, each as a picture of what is known of it now."""

from __future__ import annotations

from gpu_workbench.app.workbench import Workbench
from gpu_workbench.surfaces.picture import all_settled, snapshot_of
from gpu_workbench.surfaces.view.model import Snapshot


async def pictures(workbench: Workbench, backend: str, owner: str, *, every: bool) -> list[Snapshot]:
    """Snapshots of the user's workloads, newest first; ended ones where ``every``."""
    found = await workbench.list(backend, owner=owner)
    shown = []
    await all_settled(found)
    for subscription in found:
        if every or not subscription.over:
            shown.append(snapshot_of(subscription))
        await workbench.unfollow(subscription)
    return shown
