"""GPUs counted on a real cluster: what the scheduler gave to whom, nodes that come, parts of GPUs, and quotas."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterator

import pytest

from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.core.capacity import Capacity, GpuKind, Quota
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import Placement, Resources, WorkloadSpec
from gpu_workbench.core.wire import JsonObject
from tests.contract.conftest import facts_when

from .handle import Cluster
from .shell import until

pytestmark = pytest.mark.timeout(180, func_only=True)

MIG = "nvidia.com/mig-1g.18gb"
ME = secrets.token_hex(8)


@pytest.fixture
async def backend(cluster: Cluster, namespace: str) -> AsyncIterator[KubernetesBackend]:
    made = KubernetesBackend(kubeconfig=str(cluster.kubeconfig), namespace=namespace)
    yield made
    await made.close()


@pytest.fixture
def new_node(cluster: Cluster, namespace: str) -> Iterator[str]:
    """A node that has just come, with parts of GPUs and without a kubelet; only pods that name it go there."""
    name = f"capacity-{namespace}"
    node: JsonObject = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"nvidia.com/gpu.product": "SIMULATED-H200"}},
        "spec": {"taints": [{"key": "capacity.test/fake", "effect": "NoSchedule"}]},
    }
    cluster.api.call("POST", "/api/v1/nodes", node)
    try:
        yield name
    finally:
        cluster.api.call("DELETE", f"/api/v1/nodes/{name}", absent=True)


def of(found: Capacity, resource: str) -> GpuKind:
    (kind,) = (kind for kind in found.kinds if kind.resource == resource)
    return kind


async def counted(cluster: Cluster, namespace: str, *, owner: str = ME) -> Capacity:
    """What is counted by somebody who has read nothing yet: lists that were just read are used again."""
    made = KubernetesBackend(kubeconfig=str(cluster.kubeconfig), namespace=namespace)
    try:
        return await made.capacity(owner=owner)
    finally:
        await made.close()


async def test_gpus_are_counted_as_the_scheduler_gave_them(
    backend: KubernetesBackend, cluster: Cluster, namespace: str
) -> None:
    before = of(await counted(cluster, namespace), "nvidia.com/gpu")
    assert (before.mine, before.total) == (0, cluster.allocatable_gpus())
    real = Placement(node_selector={"kubernetes.io/os": "linux"})
    spec = WorkloadSpec(
        id=secrets.token_hex(6),
        owner=ME,
        image=cluster.images.worker,
        resources=Resources(cpus=0.05, gpus=Gpus(1)),
        placement=real,
    )
    handle = await backend.start(spec)
    await facts_when(backend, handle, lambda facts: facts.agent_ready)
    mine, theirs = await counted(cluster, namespace), await counted(cluster, namespace, owner="somebody")
    assert of(mine, "nvidia.com/gpu").mine == 1
    assert of(theirs, "nvidia.com/gpu").mine == 0
    assert (of(theirs, "nvidia.com/gpu").others or 0) >= 1
    await backend.stop(handle)


async def test_what_asks_for_too_many_waits(backend: KubernetesBackend, cluster: Cluster) -> None:
    spec = WorkloadSpec(
        id=secrets.token_hex(6),
        owner=ME,
        image=cluster.images.worker,
        resources=Resources(cpus=0.05, gpus=Gpus(64)),
    )
    handle = await backend.start(spec)
    await facts_when(backend, handle, lambda facts: bool(facts.pods))
    (waiting,) = (await backend.capacity(owner=ME)).waiting
    assert (waiting.name, waiting.mine) == ("GPUs", 64)
    await backend.stop(handle)


async def test_a_node_starts_and_then_its_parts_of_gpus_are_there(
    cluster: Cluster, namespace: str, new_node: str
) -> None:
    found = await counted(cluster, namespace)
    assert found.starting >= 1
    assert MIG not in [kind.resource for kind in found.kinds]
    state = {
        "allocatable": {MIG: "7"},
        "capacity": {MIG: "7"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    cluster.kubectl("patch", "node", new_node, "--subresource=status", "-p", json.dumps({"status": state}))

    def open_for_pods() -> bool:
        taints = cluster.api.call("GET", f"/api/v1/nodes/{new_node}")["spec"].get("taints", [])
        return "node.kubernetes.io/not-ready" not in [taint["key"] for taint in taints]

    until("the node to be ready", 30, open_for_pods, log="kube-controller-manager")
    cluster.api.call("POST", f"/api/v1/namespaces/{namespace}/pods", holder(new_node, owner=ME, count=2))
    try:
        kind = of(await counted(cluster, namespace), MIG)
    finally:  # there is no kubelet that would let it go
        path = f"/api/v1/namespaces/{namespace}/pods/holder"
        cluster.api.call("DELETE", path, {"gracePeriodSeconds": 0}, absent=True)
    assert kind == GpuKind("H200 MIG 1g.18gb", MIG, total=7, mine=2, others=0, free=5, simulated=True)


def holder(node: str, *, owner: str, count: int) -> JsonObject:
    """A pod that was given parts of GPUs; nothing runs it."""
    secure: JsonObject = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container: JsonObject = {
        "name": "a",
        "image": "none",
        "resources": {"limits": {MIG: str(count)}},
        "securityContext": secure,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "holder", "labels": {"gpu-workbench.dev/owner": owner}},
        "spec": {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 0},
    }


async def test_a_quota_is_told(backend: KubernetesBackend, cluster: Cluster, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    hard: JsonObject = {"requests.nvidia.com/gpu": "2", "pods": "9"}
    quota: JsonObject = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "team"},
        "spec": {"hard": hard},
    }
    cluster.api.call("POST", path, quota)

    def used() -> bool:
        return "used" in cluster.api.call("GET", f"{path}/team").get("status", {})

    until("the quota to be counted", 30, used, log="kube-controller-manager", every=0.1)
    assert (await backend.capacity(owner=ME)).quotas == (Quota("team", "nvidia.com/gpu", hard=2, used=0),)
