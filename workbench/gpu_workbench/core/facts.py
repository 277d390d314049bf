"""What the outside says of a workload's objects, as it said it.

Facts stand beside the journal and are no events: they are keyed by the object and replace each other. ``explain`` reads
them. Objects are kept as the JSON the Kubernetes API gave; ``local`` speaks of its processes in the same form.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpu_workbench.core.model import Phase
from gpu_workbench.core.wire import JsonObject


@dataclass(frozen=True)
class Facts:
    """All that is known of one workload's objects at a moment. ``None`` means not visible, empty means there are none.

    Args:
        phase: Where the workload stands as far as its objects tell.
        agent_ready: Whether its head agent can be spoken to.
        job: The ``batch/v1`` Job, or the DaskCluster.
        pods: Its pods.
        events: ``v1`` Events about the Job and its pods, oldest first.
        claims: PersistentVolumeClaims its pods name.
        nodes: Nodes of the cluster; ``None`` without the right to see them.
        quotas: ResourceQuotas of the namespace.
        queue: The Kueue Workload of the Job, where there is one.
        deployments: Of a Dask cluster, what makes its pods.
        gpu_pods: Pods of the whole cluster that hold GPUs, where visible.
        record: The terminal record the agent left (container termination message), decoded.
        log_tail: Last lines of a container that ended by itself.
        waits_for: Why it is queued, as a backend without such objects says itself; empty where it is not.
        error: Why nothing newer can be seen, e.g. ``API server unreachable``; empty while the view is good.
        gone: The objects are no more.
        seen: When this was read, by the API server's clock, RFC 3339; empty where it is not known.
    """

    phase: Phase
    agent_ready: bool = False
    job: JsonObject | None = None
    pods: tuple[JsonObject, ...] = ()
    events: tuple[JsonObject, ...] = ()
    claims: tuple[JsonObject, ...] = ()
    nodes: tuple[JsonObject, ...] | None = None
    quotas: tuple[JsonObject, ...] = ()
    queue: JsonObject | None = None
    deployments: tuple[JsonObject, ...] = ()
    gpu_pods: tuple[JsonObject, ...] | None = None
    record: JsonObject | None = None
    log_tail: str = ""
    waits_for: str = ""
    error: str = ""
    gone: bool = False
    seen: str = ""


@dataclass(frozen=True)
class Explanation:
    """Why something waits or ended, in one sentence, with what to do and where it was read.

    Args:
        code: A stable word for the reason, e.g. ``image-not-found``; tests and the panel's icons use it.
        sentence: What a person reads; no final full stop.
        fix: What to do next; empty where nothing can be done but wait.
        source: Whose word it is, e.g. ``pod gwb-1a2b-0: status.containerStatuses[0].state.waiting``.
        waits: Whether it may pass by itself.
    """

    code: str
    sentence: str
    fix: str = ""
    source: str = ""
    waits: bool = True
