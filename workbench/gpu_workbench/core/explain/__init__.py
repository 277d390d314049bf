"""``explain(facts)``: why a workload waits or ended, in one true sentence from what its user may see.

Pure. The table below is the whole order: the first rule that has something to say is heard, so a cause stands above what
follows from it.
"""

from __future__ import annotations

from collections.abc import Callable

from gpu_workbench.core.explain.admission import creation_denied
from gpu_workbench.core.explain.case import Case
from gpu_workbench.core.explain.dask import not_taken_up, of_scheduler, of_workers, refused
from gpu_workbench.core.explain.ending import crashed, out_of_memory, recorded, start_failed
from gpu_workbench.core.explain.images import image_problem, image_pulling
from gpu_workbench.core.explain.losing import (
    disrupted,
    evicted,
    job_failed,
    node_lost,
    node_refused,
    time_limit,
)
from gpu_workbench.core.explain.queueing import lent, pods_awaited, queued, suspended
from gpu_workbench.core.explain.refusals import explain_error, unseen
from gpu_workbench.core.explain.scheduling import node_starting, unschedulable
from gpu_workbench.core.explain.starting import starting, stopping
from gpu_workbench.core.explain.volumes import claim_problem, settings_problem
from gpu_workbench.core.facts import Explanation, Facts
from gpu_workbench.core.model import Phase
from gpu_workbench.core.spec import WorkloadSpec

__all__ = ["RULES", "explain", "explain_error", "explain_workers"]

RULES: tuple[Callable[[Case], Explanation | None], ...] = (
    unseen,  # what follows would be old news
    # the queue: what it holds back now matters more than how the pods it took away have ended
    queued,
    suspended,
    lent,
    # how it ended: the agent's own word before the cluster's
    recorded,
    time_limit,
    out_of_memory,
    evicted,
    node_lost,
    disrupted,
    node_refused,
    stopping,  # a container that ends because it was told to has not crashed
    start_failed,
    crashed,
    # why there is no pod
    creation_denied,
    refused,
    not_taken_up,
    pods_awaited,
    job_failed,
    # why no node has it
    node_starting,
    claim_problem,
    unschedulable,
    # why its node has not started it
    image_problem,
    settings_problem,
    image_pulling,
    starting,
)

_NOTHING_TO_SAY = (Phase.SUCCEEDED, Phase.STOPPED)


def explain(facts: Facts, *, spec: WorkloadSpec) -> Explanation | None:
    """Why it waits or ended; ``None`` where there is nothing to explain.

    Args:
        facts: What the outside says of the workload now.
        spec: What was asked for.
    """
    case = Case(of_scheduler(facts) if spec.dask is not None else facts, spec)
    if facts.phase in _NOTHING_TO_SAY:
        return recorded(case)
    return _first(case)


def explain_workers(facts: Facts, *, spec: WorkloadSpec) -> tuple[int, int, Explanation | None]:
    """The workers of a Dask cluster that should be there, those that wait, and why the first of them does.

    Args:
        facts: What the outside says of the cluster now.
        spec: What was asked for.
    """
    workers = of_workers(facts)
    if not workers.waiting:
        return workers.wanted, 0, None
    found = _first(Case(workers.facts, spec)) if workers.facts.pods else None
    return workers.wanted, workers.waiting, workers.refused or found


def _first(case: Case) -> Explanation | None:
    return next((found for rule in RULES if (found := rule(case)) is not None), None)
