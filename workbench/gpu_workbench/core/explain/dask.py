"""A Dask cluster: what its scheduler waits for, and what its workers do. The operator makes both out of Deployments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gpu_workbench.core.explain.admission import denied
from gpu_workbench.core.explain.case import Case
from gpu_workbench.core.facts import Explanation, Facts
from gpu_workbench.core.model import Phase
from gpu_workbench.core.objects import at, condition, label, name_of, text
from gpu_workbench.core.wire import JsonObject

COMPONENT_LABEL = "dask.org/component"


@dataclass(frozen=True)
class Workers:
    """The workers that there should be.

    Args:
        wanted: How many the operator was told to have.
        waiting: Of those, the ones that do not run.
        facts: What is known of those that wait, for the rules that every pod is looked at by.
        refused: Why the cluster makes no pod for one, where it says so.
    """

    wanted: int
    waiting: int
    facts: Facts
    refused: Explanation | None


def of_scheduler(facts: Facts) -> Facts:
    """The facts about the scheduler alone: its workers have reasons of their own."""
    return replace(facts, pods=_of(facts.pods, "scheduler"), deployments=_of(facts.deployments, "scheduler"))


def of_workers(facts: Facts) -> Workers:
    """The workers, and the facts about those that wait."""
    deployments = [one for one in _of(facts.deployments, "worker") if not _leaves(one)]
    pods = [pod for pod in _of(facts.pods, "worker") if not _leaves(pod)]
    waiting = tuple(pod for pod in pods if not condition(pod, "Ready"))
    wanted = len(deployments) or len(pods)
    refused = next((found for one in deployments if (found := _refused(one)) is not None), None)
    about = replace(facts, phase=Phase.PENDING, job=None, pods=waiting, record=None, log_tail="")
    missing = wanted - len(pods) + len(waiting)  # below 0 where a Deployment is gone before its pod is
    return Workers(wanted, max(0, missing), about, refused)


def not_taken_up(case: Case) -> Explanation | None:
    """The operator has not begun to make anything of it."""
    job = case.facts.job
    if job is None or job.get("kind") != "DaskCluster" or text(job, "status", "phase") or case.facts.pods:
        return None
    return Explanation(
        code="dask-operator-awaited",
        sentence="The Dask operator has not taken it up yet",
        fix="If it stays so, ask your administrator whether the operator runs",
        source=f"daskcluster {name_of(job)}: status.phase",
    )


def refused(case: Case) -> Explanation | None:
    """The scheduler's pod is not let in."""
    if case.facts.pods:
        return None
    return next((found for one in case.facts.deployments if (found := _refused(one)) is not None), None)


def _refused(deployment: JsonObject) -> Explanation | None:
    failure = condition(deployment, "ReplicaFailure")
    if not failure:
        return None
    source = f"deployment {name_of(deployment)}: status.conditions[ReplicaFailure]"
    return denied(text(failure, "message"), source=source)


def _of(found: Sequence[JsonObject], component: str) -> tuple[JsonObject, ...]:
    return tuple(one for one in found if label(one, COMPONENT_LABEL) == component)


def _leaves(found: JsonObject) -> bool:
    return at(found, "metadata", "deletionTimestamp") is not None
