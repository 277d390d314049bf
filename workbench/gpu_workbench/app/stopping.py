"""The end of a workload that somebody wants gone."""

from __future__ import annotations

import asyncio
import contextlib

from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.core.errors import WorkbenchError
from gpu_workbench.core.model import Kind
from gpu_workbench.transport.timing import within

STOP_SEEN = 5.0
"""Seconds within which a stopped workload's end is waited for; it ends all the same."""


async def stop(subscription: Subscription, *, force: bool) -> None:
    """Release its pods or processes and its GPUs. Its agent is asked first, so that it says why it ended.

    The sessions that drive a Dask cluster end with it.

    Args:
        subscription: To the workload.
        force: Do not ask, and do not wait for a node that no longer answers.

    Raises:
        BackendError: the backend refuses, or does not answer.
    """
    if subscription.handle.spec.kind is Kind.DASK:
        await _stop_drivers(subscription, force=force)
    if not force:
        with contextlib.suppress(WorkbenchError):
            await (await subscription.channel()).stop("you stopped it")
    await subscription.backend.stop(subscription.handle, force=force)
    with contextlib.suppress(asyncio.TimeoutError):
        await within(subscription.ended(), STOP_SEEN)


async def _stop_drivers(cluster: Subscription, *, force: bool) -> None:
    handle = cluster.handle
    for driver in await cluster.backend.list(owner=handle.spec.owner):
        if driver.spec.drives == handle.id and not driver.ended:
            following = Subscription(cluster.backend, driver)
            try:
                await stop(following, force=force)
            finally:
                await following.close()
