"""Kubernetes objects become a count of GPUs: what the nodes offer, what pods hold of it, and who.

A pod's GPUs are counted as the scheduler does. Sources: the Kubernetes documentation of extended resources, of init and
sidecar containers, of node conditions and of ResourceQuotas; the labels of NVIDIA's GPU feature discovery and of AMD's
node labeller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gpu_workbench.core.capacity import Capacity, GpuKind, Quota, Unseen, Waiting
from gpu_workbench.core.explain.case import is_leaving, seconds_between
from gpu_workbench.core.explain.nodes import is_ready, offered_by
from gpu_workbench.core.explain.queueing import place_of, waits_in_queue
from gpu_workbench.core.objects import at, label, member, members, name_of, text
from gpu_workbench.core.quantities import read_quantity
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.names import OWNER_LABEL

STARTING = 15 * 60.0
"""Seconds after which a node that is not ready is no longer said to be starting."""

_GPU = re.compile(r".+/(gpu(\.[a-z]+)?|mig-[\w.-]+)|gpu\.intel\.com/(i915|xe)", re.ASCII)
_MIG = re.compile(r".+/mig-(.+)")
_UNSAID = ("NVIDIA", "AMD", "SIMULATED")
"""Words of a product's label that stand elsewhere, or are said by the rest of it."""

_STARTING_TAINTS = frozenset(
    {
        "node.kubernetes.io/not-ready",
        "node.cloudprovider.kubernetes.io/uninitialized",
        "karpenter.sh/unregistered",
    }
)


@dataclass(frozen=True)
class Seen:
    """The objects that there are to count, as far as they may be seen; ``None`` where they may not.

    Args:
        namespace: The user's own.
        nodes: Of the cluster.
        pods: Of all namespaces.
        own_pods: Of the user's namespace; asked for where those of all may not be seen.
        quotas: ResourceQuotas of the namespace.
        queue: Kueue's Workloads of this user.
    """

    namespace: str
    nodes: Sequence[JsonObject] | None = None
    pods: Sequence[JsonObject] | None = None
    own_pods: Sequence[JsonObject] | None = None
    quotas: Sequence[JsonObject] | None = None
    queue: Sequence[JsonObject] = ()


def capacity_of(seen: Seen, *, owner: str, now: str) -> Capacity:
    """Count.

    Args:
        seen: What there is.
        owner: The owner on the pods of this user's workloads.
        now: RFC 3339.
    """
    pods = [pod for pod in (seen.pods if seen.pods is not None else seen.own_pods) or () if not _ended(pod)]
    known = _Known(mine=seen.pods is not None or seen.own_pods is not None, others=seen.pods is not None)
    return Capacity(
        namespace=seen.namespace,
        kinds=tuple(_kinds(seen.nodes, _held(pods, owner), known, now)),
        starting=sum(_is_starting(node, now) for node in seen.nodes or ()),
        waiting=tuple(_waiting(pods, owner, known)),
        places=tuple(filter(None, (place_of(item) for item in seen.queue if waits_in_queue(item)))),
        quotas=tuple(_quotas(seen.quotas or ())),
        unseen=tuple(_unseen(seen)),
    )


@dataclass(frozen=True)
class _Known:
    """Whose pods are visible."""

    mine: bool
    others: bool


@dataclass
class _Held:
    """GPUs held by pods."""

    mine: int = 0
    others: int = 0

    def add(self, count: int, *, mine: bool) -> None:
        if mine:
            self.mine += count
        else:
            self.others += count


@dataclass
class _Count:
    """The GPUs of one kind, while they are counted."""

    total: int = 0
    closed: int = 0
    held: _Held = field(default_factory=_Held)
    simulated: bool = False


_Holders = Mapping[tuple[str, str], _Held]
"""Node and resource to who holds how many of it there."""


def is_gpu(resource: str) -> bool:
    """Whether a resource is a kind of GPU, by its name: ``nvidia.com/gpu``, ``nvidia.com/mig-1g.18gb``, ``amd.com/gpu``."""
    return _GPU.fullmatch(resource) is not None


def gpus_of(pod: JsonObject) -> dict[str, int]:
    """How many of each resource that is a GPU the pod holds from its first container to its last.

    Containers run beside each other and beside the sidecars; init containers one after the other, beside the sidecars that
    were started before them.
    """
    beside: dict[str, int] = {}
    most: dict[str, int] = {}
    for container in members(pod, "spec", "initContainers"):
        asked = _asked(container)
        if text(container, "restartPolicy") == "Always":
            beside = _sum(beside, asked)
            most = _most(most, beside)
        else:
            most = _most(most, _sum(beside, asked))
    for container in members(pod, "spec", "containers"):
        beside = _sum(beside, _asked(container))
    return {resource: count for resource, count in _most(most, beside).items() if count}


def _asked(container: JsonObject) -> dict[str, int]:
    wanted = {**member(container, "resources", "limits"), **member(container, "resources", "requests")}
    return {
        resource: max(0, int(read_quantity(amount) or 0))
        for resource, amount in wanted.items()
        if is_gpu(resource)
    }


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {resource: one.get(resource, 0) + other.get(resource, 0) for resource in {**one, **other}}


def _most(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {resource: max(one.get(resource, 0), other.get(resource, 0)) for resource in {**one, **other}}


def _ended(pod: JsonObject) -> bool:
    return text(pod, "status", "phase") in ("Succeeded", "Failed")


def _held(pods: Iterable[JsonObject], owner: str) -> _Holders:
    found: dict[tuple[str, str], _Held] = {}
    for pod in pods:
        node = text(pod, "spec", "nodeName")
        if node:
            for resource, count in gpus_of(pod).items():
                found.setdefault((node, resource), _Held()).add(count, mine=label(pod, OWNER_LABEL) == owner)
    return found


def _kinds(nodes: Sequence[JsonObject] | None, held: _Holders, known: _Known, now: str) -> Iterator[GpuKind]:
    """Those that nodes offer; without a sight of nodes, those that pods hold."""
    found = _of_pods(held) if nodes is None else _of_nodes(nodes, held, now)
    for resource, name in sorted(found, key=lambda kind: (bool(_MIG.fullmatch(kind[0])), kind[1], kind[0])):
        count = found[resource, name]
        free = count.total - count.held.mine - count.held.others
        yield GpuKind(
            name=name,
            resource=resource,
            total=None if nodes is None else count.total,
            mine=count.held.mine if known.mine else None,
            others=count.held.others if known.others else None,
            free=free if nodes is not None and known.others else None,
            closed=count.closed,
            simulated=count.simulated,
        )


def _of_pods(held: _Holders) -> dict[tuple[str, str], _Count]:
    found: dict[tuple[str, str], _Count] = {}
    for (_, resource), holders in held.items():
        count = found.setdefault((resource, _resource_name(resource)), _Count())
        count.held.add(holders.mine, mine=True)
        count.held.add(holders.others, mine=False)
    return found


def _of_nodes(nodes: Iterable[JsonObject], held: _Holders, now: str) -> dict[tuple[str, str], _Count]:
    found: dict[tuple[str, str], _Count] = {}
    for node in nodes:
        for resource in filter(is_gpu, member(node, "status", "allocatable")):
            offered = int(offered_by(node, resource))
            if offered <= 0 or _is_starting(node, now):
                continue
            count = found.setdefault((resource, kind_name(node, resource)), _Count())
            count.simulated = count.simulated or "SIMULATED" in _product(node, resource)
            if not _is_open(node):
                count.closed += offered
                continue
            holders = held.get((name_of(node), resource), _Held())
            mine = min(holders.mine, offered)  # a device that broke is held still, and no longer offered
            count.total += offered
            count.held.add(mine, mine=True)
            count.held.add(min(holders.others, offered - mine), mine=False)
    return found


def _is_open(node: JsonObject) -> bool:
    """Whether it is ready and takes pods. Taints that keep some pods away do not close it."""
    cordoned = at(node, "spec", "unschedulable") is True
    return is_ready(node) and not cordoned and not is_leaving(node) and not _has_starting_taint(node)


def _is_starting(node: JsonObject, now: str) -> bool:
    """Whether it has come a short while ago and is not ready yet."""
    created = text(node, "metadata", "creationTimestamp")
    age = seconds_between(created, now)  # none where its clock is ahead of ours
    young = bool(created) and (age is None or age < STARTING)
    cordoned = at(node, "spec", "unschedulable") is True
    return (
        young and not cordoned and not is_leaving(node) and (not is_ready(node) or _has_starting_taint(node))
    )


def _has_starting_taint(node: JsonObject) -> bool:
    return any(text(taint, "key") in _STARTING_TAINTS for taint in members(node, "spec", "taints"))


def kind_name(node: JsonObject, resource: str) -> str:
    """What people call a node's GPUs: ``H200 140 GiB``, ``H200 MIG 1g.18gb``; the resource's name without labels."""
    product = _product(node, resource)
    if not product:
        return _resource_name(resource)
    words = [word for word in re.split(r"[-_ ]+", product) if word not in _UNSAID]
    if _MIG.fullmatch(resource):
        return " ".join(words if "MIG" in words else [*words, _resource_name(resource)])
    memory = _memory(node, resource)
    if memory:
        words = [word for word in words if not re.fullmatch(r"\d+GB", word)]
        words.append(f"{memory / 2**30:.0f} GiB")
    return " ".join(words)


def _product(node: JsonObject, resource: str) -> str:
    base = _base(resource)
    own = label(node, f"{base}.product") or label(node, f"{base}.product-name")
    whole = label(node, f"{resource.partition('/')[0]}/gpu.product") if _MIG.fullmatch(resource) else ""
    return own or whole


def _memory(node: JsonObject, resource: str) -> float | None:
    """Bytes."""
    base = _base(resource)
    told = label(node, f"{base}.memory")
    if told.isdecimal():
        return float(told) * 2**20
    return read_quantity(label(node, f"{base}.vram").replace("G", "Gi"))  # AMD's labeller counts in 2**30


def _base(resource: str) -> str:
    return resource.removesuffix(".shared")


def _resource_name(resource: str) -> str:
    """Without labels: ``MIG 1g.18gb``, else the resource as it is."""
    found = _MIG.fullmatch(resource)
    return f"MIG {found[1]}" if found else resource


def _waiting(pods: Iterable[JsonObject], owner: str, known: _Known) -> Iterator[Waiting]:
    """What pods without a node ask for."""
    found: dict[str, _Held] = {}
    for pod in pods:
        if text(pod, "spec", "nodeName") or is_leaving(pod):
            continue
        for resource, count in gpus_of(pod).items():
            name = "GPUs" if resource.endswith("/gpu") else _resource_name(resource)
            found.setdefault(name, _Held()).add(count, mine=label(pod, OWNER_LABEL) == owner)
    for name, asked in sorted(found.items()):
        yield Waiting(name, mine=asked.mine, others=asked.others if known.others else None)


def _quotas(quotas: Iterable[JsonObject]) -> Iterator[Quota]:
    for quota in quotas:
        hard = member(quota, "status", "hard") or member(quota, "spec", "hard")
        for key, amount in sorted(hard.items()):
            resource = key.removeprefix("requests.")
            limit = read_quantity(amount)
            if resource != key and is_gpu(resource) and limit is not None:
                used = read_quantity(at(quota, "status", "used", key))
                yield Quota(name_of(quota), resource, int(limit), None if used is None else int(used))


def _unseen(seen: Seen) -> Iterator[Unseen]:
    if seen.nodes is None:
        yield Unseen("list", "nodes")
    if seen.pods is None:
        yield Unseen("list", "pods")
        if seen.own_pods is None:
            yield Unseen("list", "pods", seen.namespace)
    if seen.quotas is None:
        yield Unseen("list", "resourcequotas", seen.namespace)
