"""Which GPUs there are, who holds them and what waits for them: what every surface shows of it. A count, never a name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GpuKind:
    """The GPUs of one kind, on nodes that are ready and take pods. ``None`` is what cannot be seen.

    Args:
        name: What people call it; the resource's own name where nothing else is known.
        resource: What a pod asks for it by.
        total: How many there are.
        mine: How many of them this user's workloads hold.
        others: How many anybody else holds.
        free: How many nobody holds.
        closed: Further ones, on nodes that take no pods now.
        simulated: They are doubles.
    """

    name: str
    resource: str
    total: int | None = None
    mine: int | None = None
    others: int | None = None
    free: int | None = None
    closed: int = 0
    simulated: bool = False


@dataclass(frozen=True)
class Waiting:
    """GPUs that are asked for by what has no place yet. ``None`` is what cannot be seen.

    Args:
        name: What people call them.
        mine: How many this user's workloads ask for.
        others: How many anybody else asks for.
    """

    name: str
    mine: int | None = None
    others: int | None = None


@dataclass(frozen=True)
class Quota:
    """What a namespace may have of a resource.

    Args:
        name: Of the ResourceQuota.
        resource: What a pod asks for.
        hard: How many at most.
        used: How many are taken; ``None`` before that was counted.
    """

    name: str
    resource: str
    hard: int
    used: int | None = None


@dataclass(frozen=True)
class Unseen:
    """Something this user may not see, by the right that is missing.

    Args:
        verb: As RBAC names it.
        resource: As RBAC names it.
        namespace: Where; empty for the whole cluster.
    """

    verb: str
    resource: str
    namespace: str = ""


@dataclass(frozen=True)
class Capacity:
    """The GPUs of one cluster, or of this machine.

    Args:
        namespace: Whose quotas and queues these are; empty on this machine.
        kinds: One for each kind of GPU.
        starting: Nodes that have come and are not ready yet.
        waiting: What is asked for and has no place.
        places: Where this user's workloads stand in a queue, as the queue says it.
        quotas: Those of the namespace that are about GPUs.
        unseen: What is missing here because it may not be seen.
    """

    namespace: str = ""
    kinds: tuple[GpuKind, ...] = ()
    starting: int = 0
    waiting: tuple[Waiting, ...] = ()
    places: tuple[str, ...] = ()
    quotas: tuple[Quota, ...] = ()
    unseen: tuple[Unseen, ...] = ()
