"""Kueue holds the workload back, or somebody has suspended it, or this machine's GPUs are lent.

Source: the conditions of ``kueue.x-k8s.io/v1beta2`` Workloads, and the visibility API for the place in the queue.
"""

from __future__ import annotations

from gpu_workbench.core.explain.case import Case, is_leaving, quote
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import Phase
from gpu_workbench.core.objects import at, condition, name_of, number, text
from gpu_workbench.core.wire import JsonObject

_EVICTED = {
    "Preempted": "It gave its place to a workload of higher priority and waits again",
    "PodsReadyTimeout": "Its pods did not all become ready in time, so it gave its place back and waits again",
    "AdmissionCheck": "A check of the queue took its place back, and it waits again",
    "ClusterQueueStopped": "The queue was stopped by an administrator",
    "LocalQueueStopped": "The queue was stopped by an administrator",
    "NodeFailures": "Its node failed, so it gave its place back and waits again",
    "Deactivated": "It was taken out of the queue",
}
_RECLAIMED = "It gave back GPUs that its queue had borrowed from another team, and waits again"


def queued(case: Case) -> Explanation | None:
    """The queue has not let it in, or has sent it back."""
    workload = case.facts.queue
    if workload is None or not waits_in_queue(workload) or _deleted(case):
        return None
    pending = condition(workload, "QuotaReserved", "False")
    evicted = condition(workload, "Evicted")
    if text(pending, "reason") == "Inadmissible":
        return _told(case, "queue-inadmissible", "The queue cannot take it", pending, waits=False)
    if evicted:
        return _told(case, "queue-preempted", _evicted(workload, evicted), pending)
    if condition(workload, "QuotaReserved"):
        return _told(case, "queue-check", "Its GPUs are reserved; a check of the queue is not done yet", {})
    return _told(case, "queued", "", pending)


def waits_in_queue(workload: JsonObject) -> bool:
    """Whether the queue has not let it in."""
    return not condition(workload, "Finished") and not condition(workload, "Admitted")


def _deleted(case: Case) -> bool:
    return case.facts.job is not None and is_leaving(case.facts.job)


def _evicted(workload: JsonObject, evicted: JsonObject) -> str:
    preempted = condition(workload, "Preempted")
    if text(preempted, "reason") in ("InCohortReclamation", "InCohortReclaimWhileBorrowing"):
        return _RECLAIMED
    reason = text(evicted, "reason")
    known = (words for name, words in _EVICTED.items() if reason.startswith(name))
    return next(known, f"The queue took its place back ({reason}), and it waits again")


def _told(case: Case, code: str, what: str, pending: JsonObject, *, waits: bool = True) -> Explanation:
    """What happened, the place in the queue, and the queue's own message."""
    workload = case.facts.queue or {}
    said = quote(text(pending, "message"))
    parts = [part for part in (what, place_of(workload)) if part]
    sentence = "; ".join(parts) + (f': "{said}"' if said else "")
    return Explanation(
        code=code,
        sentence=sentence[:1].upper() + sentence[1:],
        fix="" if waits else "Choose another queue with `--queue`, or ask your administrator",
        source=f"workload {name_of(workload)}: status.conditions[QuotaReserved]",
        waits=waits,
    )


def place_of(workload: JsonObject) -> str:
    """``next in queue team-a``; empty once its place is reserved."""
    queue = text(workload, "spec", "queueName")
    named = f"queue {queue}" if queue else "the queue"
    if not isinstance(at(workload, "position"), int):
        return f"waits in {named}" if not condition(workload, "QuotaReserved") else ""
    before = number(workload, "position")
    return f"next in {named}" if before == 0 else f"number {before + 1} in {named}"


def suspended(case: Case) -> Explanation | None:
    """Nothing of the workbench's suspends a Job without a queue."""
    if case.facts.job is None or at(case.facts.job, "spec", "suspend") is not True or _deleted(case):
        return None
    named = text(case.facts.job, "metadata", "labels", "kueue.x-k8s.io/queue-name")
    job = name_of(case.facts.job)
    if named:
        return Explanation(
            code="queued", sentence=f"Waits in queue {named}", source=f"job {job}: spec.suspend"
        )
    return Explanation(
        code="suspended",
        sentence="It was suspended from outside; no queue holds it",
        fix=f'Resume it: `kubectl patch job {job} -p \'{{"spec":{{"suspend":false}}}}\'`, or `%gpu stop`',
        source=f"job {job}: spec.suspend",
    )


def lent(case: Case) -> Explanation | None:
    """The GPUs of this machine are lent to sessions and runs that came before."""
    if case.facts.phase is not Phase.QUEUED or not case.facts.waits_for:
        return None
    return Explanation(
        code="gpus-lent",
        sentence=case.facts.waits_for,
        fix="`%gpu ls` lists them, `%gpu stop` ends one",
        source="the leases of this machine's GPUs",
    )


def pods_awaited(case: Case) -> Explanation | None:
    """The queue has let it in; not all pods are up."""
    workload = case.facts.queue
    waiting = condition(workload, "PodsReady", "False") if workload else {}
    if not waiting or case.facts.pods or not condition(workload, "Admitted"):
        return None
    return Explanation(
        code="queue-admitted",
        sentence="The queue has let it in; its pods are being made",
        source=f"workload {name_of(workload)}: status.conditions[PodsReady]",
    )
