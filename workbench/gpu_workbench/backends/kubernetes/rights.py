"""Every right this backend uses, what for, and what is lost without it: the docs, the Role and the check are made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import yaml

from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.resources import ACCESS_REVIEWS
from gpu_workbench.core.objects import at
from gpu_workbench.core.wire import Json, JsonObject

ROLE_NAME = "gpu-workbench-user"


@dataclass(frozen=True)
class Right:
    """One or more verbs on a resource.

    Args:
        verbs: As RBAC names them.
        resource: As RBAC names it, with its subresource: ``pods/log``.
        why: What they are used for.
        without: What does not work without them.
        group: The resource's API group; empty for the core group.
        needed: Whether nothing works without them.
        everywhere: Whether they are asked for in all namespaces, and so belong to a ClusterRole.
    """

    verbs: tuple[str, ...]
    resource: str
    why: str
    without: str
    group: str = ""
    needed: bool = False
    everywhere: bool = False


RIGHTS = (
    Right(
        ("create", "get", "list", "patch", "delete"),
        "configmaps",
        why="the record of each workload, the agent's archive, and the profiles that the namespace shares",
        without="nothing can be started or found",
        needed=True,
    ),
    Right(
        ("create", "get", "delete"),
        "secrets",
        why="the token and certificate of each workload, and what a detached run needs",
        without="nothing can be started or spoken to",
        needed=True,
    ),
    Right(
        ("list",),
        "secrets",
        why="the secrets that were kept with `%gpu secret set`",
        without="`%gpu secret ls` shows nothing",
    ),
    Right(
        ("create", "delete"),
        "services",
        why="names by which the pods of a workload find each other",
        without="nothing can be started",
        needed=True,
    ),
    Right(
        ("create", "get", "list", "watch", "delete"),
        "jobs",
        why="the pods of a workload",
        without="nothing can be started or stopped",
        group="batch",
        needed=True,
    ),
    Right(
        ("list", "watch"),
        "pods",
        why="whether a workload waits, runs or has ended, and where its agent is",
        without="nothing can be spoken to",
        needed=True,
    ),
    Right(
        ("get", "create"),
        "pods/portforward",
        why="the way to an agent from outside the cluster; Kubernetes 1.35 asks for `create` where older ones ask for `get`",
        without="sessions can be used from inside the cluster only",
    ),
    Right(
        ("get",),
        "pods/log",
        why="what a container printed when its agent cannot be asked any more",
        without="`%gpu logs` shows nothing of a crashed container",
    ),
    Right(
        ("list", "watch"),
        "events",
        why="why a pod waits: image pulls, volumes, quotas",
        without="`%gpu why` knows only what stands in the pod itself",
    ),
    Right(
        ("list",),
        "persistentvolumeclaims",
        why="whether the volumes of a workload that waits are bound",
        without="`%gpu why` does not name the volume",
    ),
    Right(
        ("list",),
        "resourcequotas",
        why="how much of the namespace's quota is used",
        without="neither `%gpu why` nor the capacity says how much of a quota is left",
    ),
    Right(
        ("list",),
        "workloads",
        why="the place in a Kueue queue",
        without="`%gpu why` does not say what the queue waits for, nor the capacity your place in it",
        group="kueue.x-k8s.io",
    ),
    Right(
        ("create", "get", "list", "watch", "delete"),
        "daskclusters",
        why="Dask clusters, which the Dask operator makes pods of",
        without="`%gpu dask` cannot start, find or stop a cluster",
        group="kubernetes.dask.org",
    ),
    Right(
        ("create", "get", "patch", "delete"),
        "daskworkergroups",
        why="how many workers a Dask cluster has",
        without="a Dask cluster keeps the size it was started with",
        group="kubernetes.dask.org",
    ),
    Right(
        ("create", "get", "patch", "delete"),
        "daskautoscalers",
        why="Dask clusters that follow their tasks",
        without="`cluster.adapt` does not work",
        group="kubernetes.dask.org",
    ),
    Right(
        ("list", "watch"),
        "deployments",
        why="why a worker of a Dask cluster has no pod",
        without="what a quota keeps from a Dask cluster is not said",
        group="apps",
    ),
    Right(
        ("delete",),
        "pods",
        why="giving up a pod on a node that does not answer",
        without="`%gpu stop --force` waits for the node like `%gpu stop`",
    ),
    Right(
        ("list",),
        "nodes",
        why="which GPUs there are, and which nodes a kind such as `h200` means",
        without="the capacity shows only the GPUs that pods hold, and `--gpus kind:n` needs the label's whole value",
        everywhere=True,
    ),
    Right(
        ("list",),
        "pods",
        why="how many GPUs are taken",
        without="the capacity does not say how many others hold or are free, and `%gpu why` only what the scheduler says",
        everywhere=True,
    ),
)


def role_yaml(*, namespace: str, user: str = "", rights: Iterable[Right] = RIGHTS) -> str:
    """The Role, and the ClusterRole for what is seen in all namespaces, to send to an administrator.

    Args:
        namespace: Where workloads will live.
        user: Whom to bind them to, as ``kubectl auth whoami`` names them; empty for no bindings.
        rights: Which rights.
    """
    rights = tuple(rights)
    here = [_rule(right) for right in rights if not right.everywhere]
    everywhere = [_rule(right) for right in rights if right.everywhere]
    documents: list[JsonObject] = [_role("Role", here, namespace)]
    if user:
        documents.append(_binding("Role", user, namespace))
    if everywhere:
        documents.append(_role("ClusterRole", everywhere, ""))
        if user:
            documents.append(_binding("ClusterRole", user, ""))
    return yaml.safe_dump_all(documents, sort_keys=False)


async def missing_rights(client: ApiClient, *, namespace: str) -> tuple[tuple[str, Right], ...]:
    """Verb and right of each thing that we may not do, as the API server's own authorizers say.

    Raises:
        Unreachable, Throttled.
    """
    asked = [(verb, right) for right in RIGHTS for verb in right.verbs]
    allowed = await asyncio.gather(*(_allowed(client, verb, right, namespace) for verb, right in asked))
    return tuple(pair for pair, may in zip(asked, allowed, strict=True) if not may)


async def _allowed(client: ApiClient, verb: str, right: Right, namespace: str) -> bool:
    resource, _, sub = right.resource.partition("/")
    attributes: JsonObject = {"verb": verb, "group": right.group, "resource": resource, "subresource": sub}
    if not right.everywhere:
        attributes["namespace"] = namespace
    review: JsonObject = {
        "apiVersion": ACCESS_REVIEWS.api,
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return at(await client.create(ACCESS_REVIEWS, review), "status", "allowed") is True


def _rule(right: Right) -> Json:
    return {"apiGroups": [right.group], "resources": [right.resource], "verbs": [*right.verbs]}


def _role(kind: str, rules: list[Json], namespace: str) -> JsonObject:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": ROLE_NAME, **({"namespace": namespace} if namespace else {})},
        "rules": rules,
    }


def _binding(kind: str, user: str, namespace: str) -> JsonObject:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": f"{kind}Binding",
        "metadata": {"name": ROLE_NAME, **({"namespace": namespace} if namespace else {})},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": ROLE_NAME},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
