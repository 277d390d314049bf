"""Nothing is wrong: it is on its way up, or on its way down."""

from __future__ import annotations

from gpu_workbench.core.explain.case import Case, is_leaving
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import Phase
from gpu_workbench.core.objects import at, condition, member, members, name_of, number, text
from gpu_workbench.core.quantities import show_about


def stopping(case: Case) -> Explanation | None:
    """Pods have been told to end."""
    leaving = case.facts.job is not None and is_leaving(case.facts.job)
    if not leaving and not is_leaving(case.pod) and case.facts.phase is not Phase.STOPPING:
        return None
    grace = number(case.pod, "metadata", "deletionGracePeriodSeconds")
    bound = f"; its processes are given {show_about(grace)} to end" if grace else ""
    source = case.source("metadata.deletionTimestamp") if case.pod else "job: metadata.deletionTimestamp"
    return Explanation(code="stopping", sentence=f"It is being stopped{bound}", source=source)


def starting(case: Case) -> Explanation | None:
    """The steps between being asked for and running, one after the other."""
    if not case.facts.pods:
        return _without_pod(case)
    if not text(case.pod, "spec", "nodeName"):
        if condition(case.pod, "PodScheduled", "False"):
            return None
        return Explanation(
            code="scheduling",
            sentence="The cluster is choosing a node for it",
            source=case.source("spec.nodeName"),
        )
    if any(case.waiting()) or not case.containers:
        return _preparing(case)
    running = any(member(status, "state", "running") for status in case.containers)
    if running and not case.facts.agent_ready:
        return Explanation(
            code="agent-starting",
            sentence="Its container has started and its agent is coming up",
            source=case.source("status.containerStatuses[0].state.running"),
        )
    return None


def _without_pod(case: Case) -> Explanation | None:
    if case.facts.job is None:
        return None
    return Explanation(
        code="pod-creating",
        sentence="Its pod is being made",
        source=f"job {name_of(case.facts.job)}: status",
    )


def _preparing(case: Case) -> Explanation:
    init = [status for status in members(case.pod, "status", "initContainerStatuses") if not _done(status)]
    started = case.last_event("Created", "Started")
    if init and started:
        sentence = f"Its container {text(init[0], 'name')} prepares the pod before the agent starts"
    elif at(case.pod, "spec", "volumes"):
        sentence = "Its node mounts the volumes and makes the container"
    else:
        sentence = "Its node makes the container"
    return Explanation(
        code="container-creating",
        sentence=sentence,
        source=case.source("status.containerStatuses[0].state.waiting"),
    )


def _done(status: object) -> bool:
    return isinstance(status, dict) and bool(member(status, "state", "terminated"))
