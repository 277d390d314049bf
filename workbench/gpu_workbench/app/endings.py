"""Why a workload ended, in words, from all who know of it."""

from __future__ import annotations

from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.core.explain.losing import TAKEN_AWAY


def why_ended(subscription: Subscription) -> str:
    """What the cluster did to it, else its own word, else what the cluster says; empty where nobody says anything."""
    found = subscription.explanation
    if found is not None and found.code in TAKEN_AWAY:
        return found.sentence
    return subscription.stop_reason or (found.sentence if found is not None else "")
