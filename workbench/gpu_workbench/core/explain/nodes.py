"""Which nodes a pod may go to, and what they have: the scheduler's filters, as far as they can be told from objects.

Source: the Kubernetes documentation of assigning pods to nodes, and of taints and tolerations.
"""

from __future__ import annotations

from collections.abc import Iterable

from gpu_workbench.core.objects import at, condition, label, member, members, name_of, strings, text
from gpu_workbench.core.quantities import read_quantity
from gpu_workbench.core.wire import JsonObject

_CLOSING = ("NoSchedule", "NoExecute")


def wanted_by(pod: JsonObject, resource: str) -> float:
    """How much of a resource the pod asks for, all containers together."""
    return sum(_request(item, resource) for item in members(pod, "spec", "containers"))


def _request(container: JsonObject, resource: str) -> float:
    for kind in ("requests", "limits"):
        amount = read_quantity(at(container, "resources", kind, resource))
        if amount is not None:
            return amount
    return 0.0


def offered_by(node: JsonObject, resource: str) -> float:
    """How much of a resource the node gives to pods."""
    return read_quantity(at(node, "status", "allocatable", resource)) or 0.0


def is_chosen(pod: JsonObject, node: JsonObject) -> bool:
    """Whether the pod's node selector and required node affinity take this node."""
    labels = member(node, "metadata", "labels")
    selector = member(pod, "spec", "nodeSelector")
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    required = member(
        pod, "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"
    )
    terms = members(required, "nodeSelectorTerms")
    return not terms or any(
        all(
            _matches(expression, label(node, text(expression, "key")), node)
            for expression in members(term, "matchExpressions")
        )
        for term in terms
    )


def _matches(expression: JsonObject, value: str, node: JsonObject) -> bool:
    values, there = (
        strings(expression, "values"),
        text(expression, "key") in member(node, "metadata", "labels"),
    )
    match text(expression, "operator"):
        case "In":
            return there and value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return there
        case "DoesNotExist":
            return not there
        case "Gt" | "Lt" as order:
            bound, amount = read_quantity(next(iter(values), "")), read_quantity(value)
            if bound is None or amount is None:
                return False
            return amount > bound if order == "Gt" else amount < bound
    return True


def selected_labels(pod: JsonObject) -> list[tuple[str, tuple[str, ...]]]:
    """The node labels the pod asks for, each with the values it takes."""
    wanted: list[tuple[str, tuple[str, ...]]] = [
        (key, (str(value),)) for key, value in member(pod, "spec", "nodeSelector").items()
    ]
    required = member(
        pod, "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"
    )
    for term in members(required, "nodeSelectorTerms"):
        for expression in members(term, "matchExpressions"):
            if text(expression, "operator") == "In":
                wanted.append((text(expression, "key"), strings(expression, "values")))
    return wanted


def closing_taints(pod: JsonObject, node: JsonObject) -> list[JsonObject]:
    """The node's taints that keep this pod away."""
    tolerations = members(pod, "spec", "tolerations")
    return [
        taint
        for taint in members(node, "spec", "taints")
        if text(taint, "effect") in _CLOSING and not any(_tolerates(item, taint) for item in tolerations)
    ]


def _tolerates(toleration: JsonObject, taint: JsonObject) -> bool:
    if text(toleration, "effect") not in ("", text(taint, "effect")):
        return False
    key, exists = text(toleration, "key"), text(toleration, "operator") == "Exists"
    if not key:
        return exists
    return key == text(taint, "key") and (exists or text(toleration, "value") == text(taint, "value"))


def taint_in_words(taint: JsonObject) -> str:
    """``team=vision`` as kubectl writes it, without the effect."""
    value = text(taint, "value")
    return text(taint, "key") + (f"={value}" if value else "")


def is_open(pod: JsonObject, node: JsonObject) -> bool:
    """Whether the pod may go to this node, if it has enough left."""
    cordoned = at(node, "spec", "unschedulable") is True
    return not cordoned and is_chosen(pod, node) and not closing_taints(pod, node)


def is_ready(node: JsonObject) -> bool:
    """Whether the node says of itself that it works."""
    return bool(condition(node, "Ready"))


def on_nodes(pods: Iterable[JsonObject], nodes: Iterable[JsonObject]) -> list[JsonObject]:
    """Those pods that are on these nodes."""
    names = {name_of(node) for node in nodes}
    return [pod for pod in pods if text(pod, "spec", "nodeName") in names]
