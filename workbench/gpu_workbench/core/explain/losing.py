"""The cluster took the pod away: evicted, preempted, its node lost, its time over."""

from __future__ import annotations

import re

from gpu_workbench.core.explain.case import Case, clock, event_source, is_leaving, quote
from gpu_workbench.core.explain.nodes import is_ready
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import Kind
from gpu_workbench.core.objects import condition, members, name_of, number, text
from gpu_workbench.core.quantities import show_about
from gpu_workbench.core.wire import JsonObject

_AGAIN = "{again}"  # what to do, as :func:`_again` says it


def _again(fix: str, case: Case) -> str:
    """``fix`` for this workload: the pod of a job or of a Dask cluster is replaced, nobody replaces that of a session."""
    if case.spec.kind not in (Kind.JOB, Kind.DASK):
        again = "Start it again; a session's names are gone"
    elif case.facts.phase.ended:
        again = "Start it again"
    else:
        again = "Another pod takes its place by itself"
    return fix.format(again=again)


def evicted(case: Case) -> Explanation | None:
    """The kubelet ended the pod, to save its node or because the pod used more than it may."""
    event = case.last_event("Evicted")
    if text(case.pod, "status", "reason") == "Evicted":
        message, source = text(case.pod, "status", "message"), case.source("status.reason")
    elif event:
        message, source = text(event, "message"), event_source(event)
    else:
        return None
    for words, code, sentence, fix in _EVICTIONS:
        found = words.search(message)
        if found:
            told = sentence.format(**{key: value or "" for key, value in found.groupdict().items()})
            return Explanation(code=code, sentence=told, fix=_again(fix, case), source=source, waits=False)
    return Explanation(
        code="evicted",
        sentence=f"Evicted: {quote(message)}",
        fix=_again(_AGAIN, case),
        source=source,
        waits=False,
    )


_MORE_DISK = "Write less there, use a volume (`--volume`), or ask for more room in the profile (`scratch`)"
_EVICTIONS: tuple[tuple[re.Pattern[str], str, str, str], ...] = (
    (
        re.compile(r'EmptyDir volume "(?P<volume>[^"]+)" exceeds the limit "(?P<limit>[^"]+)"'),
        "evicted-disk",
        "Evicted: it wrote more than {limit} to its folder {volume}",
        _MORE_DISK,
    ),
    (
        re.compile(r"ephemeral local storage usage exceeds the total limit of containers (?P<limit>[^\s.]+)"),
        "evicted-disk",
        "Evicted: it wrote more than {limit} to its node's disk",
        _MORE_DISK,
    ),
    (
        re.compile(r'exceeded its local ephemeral storage limit "(?P<limit>[^"]+)"'),
        "evicted-disk",
        "Evicted: it wrote more than {limit} to its node's disk",
        _MORE_DISK,
    ),
    (
        re.compile(r"low on resource: memory"),
        "evicted-memory",
        "Evicted: its node ran out of memory",
        "Ask for the memory it needs with `--memory`, so that it is kept for you",
    ),
    (
        re.compile(r"low on resource: (ephemeral-storage|inodes|nodefs|imagefs)"),
        "evicted-disk",
        "Evicted: its node ran out of disk space",
        f"{_AGAIN}. Write large files to a volume (`--volume`)",
    ),
    (
        re.compile(r"low on resource: (?P<what>[\w-]+)"),
        "evicted",
        "Evicted: its node ran out of {what}",
        _AGAIN,
    ),
)


def node_lost(case: Case) -> Explanation | None:
    """The node does not answer, so nothing it holds can be seen or ended."""
    node, pod = case.node, case.pod
    if not text(pod, "spec", "nodeName"):
        return None
    silent = node is not None and not is_ready(node)
    marked = text(pod, "status", "reason") == "NodeLost"
    if case.facts.nodes is not None and node is None and _was_running(pod):
        return _node_gone(case)
    if not (silent or marked) or _over(pod):
        return None
    name = text(pod, "spec", "nodeName")
    ready = next((item for item in members(node, "status", "conditions") if item.get("type") == "Ready"), {})
    since = clock(text(ready, "lastTransitionTime"))
    when = f" since {since}" if since else ""
    source = f"node {name}: status.conditions[Ready]" if node else case.source("status.reason")
    if is_leaving(pod):
        return Explanation(
            code="node-lost",
            sentence=f"Its node {name} does not answer{when}, so the pod cannot end and no other takes its place",
            fix="`%gpu stop --force` gives it up",
            source=source,
            waits=False,
        )
    return Explanation(
        code="node-silent",
        sentence=f"Its node {name} does not answer{when}" + _patience(pod),
        fix="Wait, or give it up with `%gpu stop --force`",
        source=source,
    )


def _node_gone(case: Case) -> Explanation:
    return Explanation(
        code="node-lost",
        sentence="Its node is no longer part of the cluster",
        fix=_again(f"`%gpu stop --force` gives it up. {_AGAIN}", case),
        source=case.source("spec.nodeName"),
        waits=False,
    )


def _patience(pod: JsonObject) -> str:
    """How long the cluster keeps a pod on a silent node: the pod's own toleration."""
    for toleration in members(pod, "spec", "tolerations"):
        if text(toleration, "key") == "node.kubernetes.io/unreachable" and "tolerationSeconds" in toleration:
            return f"; the cluster gives the pod up after {show_about(number(toleration, 'tolerationSeconds'))} of that"
    return ""


def _was_running(pod: JsonObject) -> bool:
    """A pod that runs well, or has yet to start, may be on a node newer than the list of nodes."""
    return text(pod, "status", "phase") == "Running" and not condition(pod, "Ready")


def _over(pod: JsonObject) -> bool:
    return text(pod, "status", "phase") in ("Succeeded", "Failed")


_DISRUPTIONS = {
    "PreemptionByScheduler": (
        "preempted",
        "It had to give its place to a workload of higher priority",
        f"{_AGAIN}. A queue or a higher priority class keeps it from happening",
    ),
    "DeletionByTaintManager": (
        "node-tainted",
        "Its node was closed or stopped answering, and its pod was removed",
        _AGAIN,
    ),
    "EvictionByEvictionAPI": (
        "drained",
        "Its pod was moved off its node, as for maintenance (evicted through the API)",
        _AGAIN,
    ),
    "DeletionByPodGC": ("node-lost", "Its node went away, and its pod with it", _AGAIN),
    "TerminationByKubelet": (
        "evicted",
        "Its node ended it, to save itself or because it was shut down",
        _AGAIN,
    ),
}
TAKEN_AWAY = frozenset(
    {
        "evicted",
        "disrupted",
        *(code for _, code, *_ in _EVICTIONS),
        *(code for code, *_ in _DISRUPTIONS.values()),
    }
)
"""Codes of what the cluster does to a pod for another's sake: its agent hears no more of it than a signal."""

_EVENTS = {"Preempted": "PreemptionByScheduler", "TaintManagerEviction": "DeletionByTaintManager"}


def disrupted(case: Case) -> Explanation | None:
    """The pod was taken away for something else's sake."""
    target = condition(case.pod, "DisruptionTarget")
    event = case.last_event(*_EVENTS)
    if target:
        reason, source = text(target, "reason"), case.source("status.conditions[DisruptionTarget]")
    elif event and (is_leaving(case.pod) or not case.facts.pods):
        reason, source = _EVENTS[text(event, "reason")], event_source(event)
    else:
        return None
    told = _DISRUPTIONS.get(reason)
    if told is None:
        message = quote(text(target, "message"))
        told = ("disrupted", f"The cluster took its pod away ({message or reason})", _AGAIN)
    code, sentence, fix = told
    if reason == "DeletionByTaintManager" and is_leaving(case.pod):
        fix = f"If its pod does not end, `%gpu stop --force` gives it up. {_AGAIN}"
    return Explanation(code=code, sentence=sentence, fix=_again(fix, case), source=source, waits=False)


def node_refused(case: Case) -> Explanation | None:
    """The kubelet did not take the pod that the scheduler gave it."""
    reason, message = text(case.pod, "status", "reason"), text(case.pod, "status", "message")
    if reason in ("NodeShutdown", "Terminated", "Shutdown"):
        return Explanation(
            code="node-shutdown",
            sentence="Its node was shut down",
            fix=_again(_AGAIN, case),
            source=case.source("status.reason"),
            waits=False,
        )
    if reason in ("UnexpectedAdmissionError", "NodeAffinity", "NodePorts") or reason.startswith("OutOf"):
        return Explanation(
            code="node-refused",
            sentence=f"The node it was given to could not take it after all ({quote(message or reason)})",
            fix=_again(_AGAIN, case),
            source=case.source("status.reason"),
            waits=False,
        )
    return None


def time_limit(case: Case) -> Explanation | None:
    """``activeDeadlineSeconds`` of the Job or the pod has passed."""
    for kind in ("Failed", "FailureTarget"):
        ended = condition(case.facts.job, kind) if case.facts.job else {}
        if text(ended, "reason") == "DeadlineExceeded":
            return _deadline(case, f"job {name_of(case.facts.job)}: status.conditions[{kind}]")
    if text(case.pod, "status", "reason") == "DeadlineExceeded":
        return _deadline(case, case.source("status.reason"))
    return None


def _deadline(case: Case, source: str) -> Explanation:
    seconds = case.spec.time_limit or number(case.facts.job, "spec", "activeDeadlineSeconds")
    limit = f" of {show_about(seconds)}" if seconds else ""
    return Explanation(
        code="time-limit",
        sentence=f"Its time limit{limit} is over",
        fix="Ask for longer with `--time-limit`",
        source=source,
        waits=False,
    )


def job_failed(case: Case) -> Explanation | None:
    """The Job controller gave up, and no pod is left that could tell why."""
    failed = condition(case.facts.job, "Failed") if case.facts.job else {}
    if not failed:
        return None
    return Explanation(
        code="failed",
        sentence=f"It failed, and no pod is left that says why ({quote(text(failed, 'message')) or text(failed, 'reason')})",
        fix="`%gpu logs` shows what was kept",
        source=f"job {name_of(case.facts.job)}: status.conditions[Failed]",
        waits=False,
    )
