"""A workload as a surface shows it: the snapshot of what is known now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.core.explain import explain_workers
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import Kind
from gpu_workbench.surfaces.view.model import Published, Snapshot
from gpu_workbench.surfaces.view.snapshot import NOTHING_PUBLISHED, snapshot
from gpu_workbench.surfaces.where import where_of, workers_asked

SETTLE = 2.0
"""Seconds that a first look at a workload may take."""


async def settled(subscription: Subscription) -> None:
    """Wait until there is something to show: facts, and the journal's present end where there is an agent."""
    await subscription.settle(SETTLE)


async def all_settled(subscriptions: Iterable[Subscription]) -> None:
    """The same for several, all at once."""
    await asyncio.gather(*map(settled, subscriptions))


def explanation_of(subscription: Subscription) -> Explanation | None:
    """Why it waits, or how it ended."""
    return subscription.explanation


def snapshot_of(
    subscription: Subscription,
    run: str = "",
    *,
    saved: str = "full",
    published: Published = NOTHING_PUBLISHED,
) -> Snapshot:
    """What is known of the workload now, or of one run of a session.

    Args:
        saved: How much of it may be kept in a notebook file: ``summary``, ``full`` or ``none``.
        published: How much of the run's output stands in the cell already.
    """
    from dataclasses import replace

    workload = subscription.workload
    if workload.phase != subscription.phase:
        workload = replace(workload, phase=subscription.phase)
    wanted, waiting = workers_of(subscription)
    return snapshot(
        workload,
        run or subscription.last_run,
        where=where_of(subscription.handle, workload),
        explanation=explanation_of(subscription),
        saved=saved,
        published=published,
        workers_wanted=wanted,
        workers_waiting=waiting,
    )


def workers_of(subscription: Subscription) -> tuple[int | None, Explanation | None]:
    """Of a Dask cluster: how many workers it is to have, where that is known, and why not all of them are there."""
    spec, facts = subscription.handle.spec, subscription.facts
    if spec.kind is not Kind.DASK:
        return None, None
    if facts is not None and (facts.deployments or facts.pods):
        wanted, waiting, why = explain_workers(facts, spec=spec)
        return wanted or None, why if waiting else None
    return (workers_asked(spec) if subscription.workload.dask is None else None), None
