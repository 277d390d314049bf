"""No node takes the pod: the scheduler's own finding, made exact by the nodes where they are visible.

The scheduler counts, for each node, the first filter the node did not pass. What is told is the filter that came last,
for the nodes counted there are those nearest to fitting.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gpu_workbench.core.explain.capacity import too_little
from gpu_workbench.core.explain.case import Case, event_source, quote
from gpu_workbench.core.explain.nodes import (
    closing_taints,
    is_chosen,
    selected_labels,
    taint_in_words,
)
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.objects import condition, label, text

_NODE_STARTS = ("TriggeredScaleUp", "Nominated")


def node_starting(case: Case) -> Explanation | None:
    """An autoscaler has promised a node."""
    if not condition(case.pod, "PodScheduled", "False"):
        return None
    event = case.last_event(*_NODE_STARTS)
    if event is None:
        return None
    return Explanation(
        code="node-starting", sentence="A new node is being started for it", source=event_source(event)
    )


def unschedulable(case: Case) -> Explanation | None:
    """The scheduler found no node."""
    state = condition(case.pod, "PodScheduled", "False")
    message = text(state, "message")
    if text(state, "reason") != "Unschedulable" or not message:
        return None
    source = case.source("status.conditions[PodScheduled]")
    if text(case.pod, "status", "nominatedNodeName"):
        return Explanation(
            code="making-room",
            sentence="A workload of lower priority is being moved away to make room for it",
            source=case.source("status.nominatedNodeName"),
        )
    found = reasons(message)
    for words, tell in _FILTERS:
        for reason, count in found.items():
            matched = words.search(reason)
            if matched:
                return tell(case, matched, count, source)
    return Explanation(code="unschedulable", sentence=f"No node takes it: {quote(message)}", source=source)


def reasons(message: str) -> dict[str, int]:
    """The scheduler's reasons, each with the count of nodes it gave.

    Args:
        message: Such as ``0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable. preemption: ...``.
    """
    head = re.match(r"0/\d+ nodes are available: (.*)", message, re.DOTALL)
    if not head:
        return {}
    listed = head[1].partition(". ")[0].rstrip(".")
    return {what: int(count) for count, what in re.findall(r"(?:^|, )(\d+) (.+?)(?=, \d+ |$)", listed)}


_Tell = Callable[[Case, "re.Match[str]", int, str], Explanation]


def _insufficient(case: Case, found: re.Match[str], count: int, source: str) -> Explanation:
    return too_little(case, found[1], source=source)


def _full(case: Case, found: re.Match[str], count: int, source: str) -> Explanation:
    return Explanation(
        code="node-full", sentence="Every node that fits runs as many pods as it may", source=source
    )


def _ports(case: Case, found: re.Match[str], count: int, source: str) -> Explanation:
    return Explanation(code="port-taken", sentence="Its port is taken on every node that fits", source=source)


def _taint(case: Case, found: re.Match[str], count: int, source: str) -> Explanation:
    chosen = [node for node in case.facts.nodes or () if is_chosen(case.pod, node)]
    if case.facts.nodes is not None and not chosen:
        return _not_chosen(case, found, count, source)
    taints = [taint for node in chosen for taint in closing_taints(case.pod, node)]
    names = list(dict.fromkeys(taint_in_words(taint) for taint in taints))
    told = [
        match[1] + (f"={match[2]}" if match[2] else "")
        for match in re.finditer(r"\{(\S+?): ?(\S*?)\}", found.string)
    ]
    names = names or told
    states = [words for key, words in _STATES.items() if any(name.startswith(key) for name in names)]
    if states and len(names) <= len(states):
        return Explanation(
            code="node-not-ready",
            sentence=f"No node that fits can take pods now: {_nodes(len(chosen) or count)} {' or '.join(states)}",
            fix="Tell your administrator if it stays so",
            source=source,
        )
    which = " and ".join(names) or "which ones is not visible to you"
    return Explanation(
        code="taint",
        sentence=f"The nodes that fit are reserved by taints it does not tolerate ({which})",
        fix="If they are meant for you, add the toleration to the profile (`tolerations`)",
        source=source,
        waits=False,
    )


_STATES = {
    "node.kubernetes.io/not-ready": "not ready",
    "node.kubernetes.io/unreachable": "not reachable",
    "node.kubernetes.io/unschedulable": "closed for maintenance",
    "node.kubernetes.io/disk-pressure": "out of disk space",
    "node.kubernetes.io/memory-pressure": "out of memory",
    "node.kubernetes.io/pid-pressure": "out of process ids",
    "node.kubernetes.io/network-unavailable": "without network",
    "node.cloudprovider.kubernetes.io/uninitialized": "still starting",
}


def _nodes(count: int) -> str:
    return f"{count} node is" if count == 1 else f"{count} nodes are"


def _cordoned(case: Case, found: re.Match[str], count: int, source: str) -> Explanation:
    return Explanation(
        code="node-cordoned",
        sentence=f"{_nodes(count)} closed for maintenance (cordoned), and no other fits",
        fix="Tell your administrator if it stays so",
        source=source,
    )


def _not_chosen(case: Case, found: re.Match[str], count: int, source: str) -> Explanation:
    gpus, gpu_label = case.spec.resources.gpus, case.spec.resources.gpu_label
    nodes = case.facts.nodes
    wanted = selected_labels(case.pod)
    kind = next((values for key, values in wanted if key == gpu_label), ())
    offered = sorted({label(node, gpu_label) for node in nodes or ()} - {""})
    if gpus.kind and kind and not set(kind) & set(offered):
        there = f"; the nodes have {', '.join(offered)}" if offered else "; no node says what GPUs it has"
        return Explanation(
            code="gpu-kind-missing",
            sentence=f"No node has {gpus.kind.upper()} GPUs"
            + (there if nodes is not None else "")
            + _unseen(nodes),
            fix="Ask for another kind or none: `--gpus N`",
            source=source,
            waits=False,
        )
    labels = [f"{key}={' or '.join(values)}" for key, values in wanted if key != gpu_label or not gpus.kind]
    missing = [
        text_of
        for (key, values), text_of in zip(
            wanted, (f"{key}={' or '.join(values)}" for key, values in wanted), strict=True
        )
        if nodes is not None and not any(label(node, key) in values for node in nodes)
    ]
    which = ", ".join(missing or labels)
    return Explanation(
        code="node-selector",
        sentence=(
            f"No node has the label {which} it asks for" if which else "Its node selector matches no node"
        )
        + _unseen(nodes),
        fix="Correct `node_selector` in the profile",
        source=source,
        waits=False,
    )


def _unseen(nodes: object) -> str:
    return " (nodes are not visible to you)" if nodes is None else ""


def _spread(case: Case, found: re.Match[str], count: int, source: str) -> Explanation:
    return Explanation(
        code="pod-affinity",
        sentence="It may not share the nodes that fit with the pods on them",
        source=source,
    )


# The last filter first: a node counted there has passed all that stand below.
_FILTERS: tuple[tuple[re.Pattern[str], _Tell], ...] = (
    (re.compile(r"pod (anti-)?affinity|topology spread"), _spread),
    (re.compile(r"^Insufficient (\S+)"), _insufficient),
    (re.compile(r"^Too many pods"), _full),
    (re.compile(r"free ports"), _ports),
    (re.compile(r"untolerated taint"), _taint),
    (re.compile(r"were unschedulable"), _cordoned),
    (re.compile(r"node affinity/selector|node selector"), _not_chosen),
)
