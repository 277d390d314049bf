"""Where a workload stands, read from its Job, its pods and its root; nothing but what these objects say."""

from __future__ import annotations

import json
from collections.abc import Sequence

from gpu_workbench.core.explain.case import terminated
from gpu_workbench.core.model import Kind, Phase
from gpu_workbench.core.objects import at, condition, label, member, members, number, text, uid_of
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.dask import is_worker
from gpu_workbench.engines.names import CONTAINER, ENDED_ANNOTATION, INDEX_LABEL, RECORD_KEY

DISRUPTION = "DisruptionTarget"


def head_pod(pods: Sequence[JsonObject], *, node: int = 0) -> JsonObject | None:
    """The pod of rank 0, or of another node; of several, the one that is not being replaced, else the newest."""
    indices = ("", "0") if node == 0 else (str(node),)
    heads = [pod for pod in pods if label(pod, INDEX_LABEL) in indices and not is_worker(pod)]
    alive = [pod for pod in heads if not _pod_over(pod) and not at(pod, "metadata", "deletionTimestamp")]
    return max(alive or heads, key=lambda pod: text(pod, "metadata", "creationTimestamp"), default=None)


def agent_ready(head: JsonObject | None, events: Sequence[JsonObject] = ()) -> bool:
    """Whether the head's container runs, so that its agent can be spoken to.

    Args:
        head: The head's pod, as :func:`head_pod` finds it.
        events: About its pods: a kubelet tells of a container's start at once, in the pod's status up to a second later.
    """
    if head is None or at(head, "metadata", "deletionTimestamp"):
        return False
    if text(head, "status", "phase") == "Pending":
        return any(_tells_of_start(event, head) for event in events)
    return text(head, "status", "phase") == "Running" and bool(member(_container(head), "state", "running"))


def _tells_of_start(event: JsonObject, pod: JsonObject) -> bool:
    return (
        text(event, "reason") == "Started"
        and text(event, "involvedObject", "uid") == uid_of(pod)
        and text(event, "involvedObject", "fieldPath") == f"spec.containers{{{CONTAINER}}}"
    )


def record_of(head: JsonObject | None) -> JsonObject | None:
    """The terminal record that the head agent left in its termination message."""
    return parse_record(_message(head)) if head else None


def tail_of(head: JsonObject | None) -> str:
    """The last lines of the head's container where it ended without a record."""
    message = _message(head) if head else ""
    return "" if parse_record(message) else message


def parse_record(message: str) -> JsonObject | None:
    """A terminal record, or ``None`` where the text is none: the last lines of a log stand there after a crash."""
    try:
        form = json.loads(message)
    except ValueError:
        return None
    return form if isinstance(form, dict) and isinstance(form.get("outcome"), str) else None


def record_of_root(root: JsonObject) -> JsonObject | None:
    """The record that was kept in the root when the workload ended."""
    return parse_record(text(root, "data", RECORD_KEY))


def ended_at(root: JsonObject) -> str:
    """When the workload was seen to have ended, RFC 3339; empty while it has not."""
    return text(root, "metadata", "annotations", ENDED_ANNOTATION)


def job_finished(job: JsonObject) -> bool:
    """Whether the Job controller is done with it."""
    return bool(condition(job, "Complete") or condition(job, "Failed"))


def phase_of(
    *, kind: Kind, root: JsonObject | None, job: JsonObject | None, head: JsonObject | None
) -> Phase:
    """Where the workload stands.

    Args:
        kind: Of the workload; the pod of a job may be replaced, a session ends with its pod.
        root: Its root ConfigMap; ``None`` when it has been forgotten.
        job: Its Job, or its DaskCluster; ``None`` before it is there and after it was released.
        head: The head's pod, as :func:`head_pod` finds it.
    """
    if job is None:
        return _living_phase(head) if head and not _pod_over(head) else _phase_without_job(root)
    if job_finished(job):
        return _ended_phase(kind, job, head)
    if at(job, "metadata", "deletionTimestamp"):
        return Phase.STOPPING
    if at(job, "spec", "suspend") is True:
        return Phase.QUEUED
    if head is None:
        return Phase.PENDING
    if kind is Kind.DASK and _pod_over(head):  # its Deployment starts it again
        return Phase.STARTING
    if _pod_over(head):  # the Job controller will say the same, a moment later
        return (
            Phase.STARTING if kind is Kind.JOB and _will_be_replaced(head) else _ended_phase(kind, job, head)
        )
    return _living_phase(head)


def _phase_without_job(root: JsonObject | None) -> Phase:
    if root is None:
        return Phase.LOST
    phase = _phase_in(record_of_root(root))
    if phase is not None:
        return phase
    return Phase.STOPPED if ended_at(root) else Phase.PENDING


def _living_phase(head: JsonObject) -> Phase:
    if at(head, "metadata", "deletionTimestamp"):
        return Phase.STOPPING
    if members(head, "spec", "schedulingGates"):
        return Phase.QUEUED
    if text(head, "status", "phase") == "Running":
        return Phase.RUNNING
    return Phase.STARTING if text(head, "spec", "nodeName") else Phase.PENDING


def _ended_phase(kind: Kind, job: JsonObject, head: JsonObject | None) -> Phase:
    phase = _phase_in(record_of(head))
    if phase is Phase.STOPPED and head is not None and _taken_away(head):
        return Phase.LOST  # a stop that we ask for takes the Job away, not the pod from under it
    if phase is not None:
        return phase
    if condition(job, "Complete"):
        return Phase.SUCCEEDED if head is not None or kind is Kind.JOB else Phase.LOST
    if head is None or _taken_away(head) or not member(_container(head), "state", "terminated"):
        return Phase.LOST
    return Phase.FAILED if exit_code(head) else Phase.SUCCEEDED


def _phase_in(record: JsonObject | None) -> Phase | None:
    try:
        phase = Phase(text(record, "outcome"))
    except ValueError:
        return None
    return phase if phase.ended else None


def _will_be_replaced(pod: JsonObject) -> bool:
    """Whether the Job controller makes another one, as far as one pod can tell."""
    code = exit_code(pod)
    if code is None:  # its container never ran: its node refused it, or went away before
        return text(pod, "status", "phase") == "Failed"
    if code == 0:
        return False
    return _taken_away(pod) or _phase_in(parse_record(_message(pod))) is None


def _message(pod: JsonObject) -> str:
    return text(terminated(_container(pod)), "message")


def _pod_over(pod: JsonObject) -> bool:
    """Whether its container is done; the pod's own phase follows a second or two later."""
    return text(pod, "status", "phase") in ("Succeeded", "Failed") or bool(
        member(_container(pod), "state", "terminated")
    )


def _taken_away(pod: JsonObject) -> bool:
    """Whether somebody else ended it: evicted, preempted, drained, deleted, or its node is gone."""
    gone = condition(pod, DISRUPTION) or at(pod, "metadata", "deletionTimestamp")
    return bool(gone) or text(pod, "status", "reason") in ("Evicted", "NodeLost", "Terminated")


def _container(pod: JsonObject) -> JsonObject:
    statuses = members(pod, "status", "containerStatuses")
    return next((item for item in statuses if item.get("name") == CONTAINER), {})


def exit_code(head: JsonObject | None) -> int | None:
    """The exit code of the head's container, where it has ended."""
    ended = member(_container(head), "state", "terminated") if head else {}
    return number(ended, "exitCode") if ended else None
