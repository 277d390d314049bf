"""``%gpu doctor`` on a cluster: reachable, who we are, the namespace, each right, the image, and the GPUs there are."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_workbench.backends.checks import Check
from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.resources import NAMESPACES, NODES
from gpu_workbench.backends.kubernetes.rights import RIGHTS, Right, missing_rights
from gpu_workbench.core.errors import BackendError, NotFound, PermissionDenied, ProtocolError
from gpu_workbench.core.objects import at, label
from gpu_workbench.core.quantities import read_quantity
from gpu_workbench.core.spec import WorkloadSpec
from gpu_workbench.core.wire import JsonObject

OLDEST = (1, 33)
"""The oldest Kubernetes that everything here works on."""

_LEVEL = "pod-security.kubernetes.io/enforce"


async def examine(client: ApiClient, *, namespace: str, spec: WorkloadSpec) -> list[Check]:
    """Look at everything in turn; what hangs on the API server itself is not looked at where that does not answer."""
    try:
        version = await client.version()
    except (BackendError, ProtocolError) as error:
        return [Check(False, error.what + (f": {error.why}" if error.why else ""), error.fix)]
    checks = [_version(version)]
    checks.append(await _namespace(client, namespace))
    checks += await _rights(client, namespace)
    checks.append(_image(spec))
    checks.append(await _gpus(client, spec))
    return checks


def _version(version: tuple[int, int]) -> Check:
    shown = ".".join(map(str, version))
    if version < OLDEST:
        least = ".".join(map(str, OLDEST))
        return Check(
            None, f"Kubernetes {shown}", f"{least} or newer is what we test with: expect rough edges"
        )
    return Check(True, f"Kubernetes {shown} answers")


async def _namespace(client: ApiClient, namespace: str) -> Check:
    try:
        found = await client.get(NAMESPACES, name=namespace)
    except NotFound:
        return Check(
            False, f"There is no namespace {namespace}", "`%gpu use --namespace NAME` chooses another one"
        )
    except PermissionDenied:
        return Check(None, f"Namespace {namespace}; its Pod Security level is not visible to you")
    except BackendError as error:
        return Check(False, f"Namespace {namespace}: {error.what}", error.fix)
    level = label(found, _LEVEL)
    return Check(
        True, f"Namespace {namespace}" + (f"; Pod Security {level}, which our pods meet" if level else "")
    )


async def _rights(client: ApiClient, namespace: str) -> list[Check]:
    try:
        missing = await missing_rights(client, namespace=namespace)
    except BackendError as error:
        return [Check(False, f"Your rights cannot be asked for: {error.what}", error.fix)]
    lost: dict[Right, list[str]] = {}
    for verb, right in missing:
        lost.setdefault(right, []).append(verb)
    checks = [
        Check(
            False if right.needed else None,
            f"You may not {', '.join(verbs)} {_named(right)}: {right.without}",
            "`%gpu doctor --role` prints the Role to ask your administrator for",
        )
        for right, verbs in lost.items()
    ]
    held = [_named(right) for right in RIGHTS if right not in lost]
    if held:
        checks.insert(0, Check(True, f"You have all rights on {', '.join(dict.fromkeys(held))}"))
    return checks


def _named(right: Right) -> str:
    return (
        f"{right.resource} of all namespaces"
        if right.everywhere and right.resource == "pods"
        else right.resource
    )


def _image(spec: WorkloadSpec) -> Check:
    if spec.image:
        return Check(True, f"Image {spec.image}")
    return Check(False, "No image to run in", "Set `image` in a profile, or give --image with the cell")


async def _gpus(client: ApiClient, spec: WorkloadSpec) -> Check:
    resource = spec.resources.gpu_resource
    try:
        nodes = (await client.list(NODES)).items
    except PermissionDenied:
        return Check(None, "Nodes are not visible to you, so neither are their GPUs")
    except BackendError as error:
        return Check(None, f"Nodes cannot be listed: {error.what}", error.fix)
    counts = [(node, count) for node in nodes if (count := _count(node, resource))]
    if not counts:
        return Check(
            None,
            f"No node offers {resource}",
            "Cells run on CPUs; `gpu-resource` in a profile names another kind",
        )
    kinds = sorted({kind for node, _ in counts if (kind := label(node, spec.resources.gpu_label))})
    shown = f" ({', '.join(kinds)})" if kinds else ""
    total = sum(count for _, count in counts)
    return Check(True, f"{total} {resource} on {_nodes(counts)}{shown}")


def _count(node: JsonObject, resource: str) -> int:
    return int(read_quantity(at(node, "status", "allocatable", resource)) or 0)


def _nodes(found: Sequence[object]) -> str:
    return "1 node" if len(found) == 1 else f"{len(found)} nodes"
