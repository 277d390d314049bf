"""A workload as a surface shows it: the snapshot of what is known now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.core.explain import explain
from gpu_workbench.core.facts import Explanation
from gpu_workbench.surfaces.view.model import Published, Snapshot
from gpu_workbench.surfaces.view.snapshot import NOTHING_PUBLISHED, snapshot
from gpu_workbench.surfaces.where import where_of

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
    facts = subscription.facts
    return explain(facts, spec=subscription.handle.spec) if facts is not None else None


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
    return snapshot(
        workload,
        run or subscription.last_run,
        where=where_of(subscription.handle, workload),
        explanation=explanation_of(subscription),
        saved=saved,
        published=published,
    )
