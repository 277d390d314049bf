"""Detached runs of several pods on a real Kubernetes: pods that are taken away in the middle, and come again."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator

import pytest

from gpu_workbench.app.outcomes import Outcome, outcome_of
from gpu_workbench.app.settings import Settings
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.app.workbench import Cell, Workbench
from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.core.model import Phase
from gpu_workbench.core.spec import Handle, Resources, WorkloadSpec
from tests.contract.test_gangs import GATHER

from .handle import Cluster

pytestmark = pytest.mark.timeout(300, func_only=True)

OWNER = "0123456789abcdef"
LIMIT = 150.0

CELL = f"""{GATHER}
import time
gather("begun")
print("begun", flush=True)
for step in range(40):
    time.sleep(0.2)
    gather(step)
everyone = gather(rank)
"""


@pytest.fixture
async def workbench(cluster: Cluster, namespace: str) -> AsyncIterator[Workbench]:
    backend = KubernetesBackend(kubeconfig=str(cluster.kubeconfig), namespace=namespace)
    yield Workbench(Settings(backend="kubernetes"), {"__name__": "__main__"}, lambda name: backend)
    await backend.close()


async def launch(workbench: Workbench, cluster: Cluster, source: str) -> Handle:
    spec = WorkloadSpec(
        id=secrets.token_hex(6),
        owner=OWNER,
        name="gang",
        image=cluster.images.worker,
        resources=Resources(cpus=0.05),
        nodes=2,
    )
    cell = Cell(source=source, out=("everyone",))
    return await workbench.launch("kubernetes", await workbench.seal("kubernetes", spec, cell))


async def begun(subscription: Subscription) -> None:
    """Wait until the run prints, on both ranks."""

    def prints() -> bool:
        return any(run.last_line == "begun" for run in subscription.workload.runs.values())

    await asyncio.wait_for(subscription.until(prints), LIMIT)


async def ended(subscription: Subscription) -> Outcome:
    await asyncio.wait_for(subscription.until(lambda: outcome_of(subscription) is not None), LIMIT)
    found = outcome_of(subscription)
    assert found is not None
    return found


def pod_of(cluster: Cluster, namespace: str, node: int) -> str:
    label = f"batch.kubernetes.io/job-completion-index={node}"
    pods = json.loads(cluster.kubectl("-n", namespace, "get", "pods", "-l", label, "-o", "json"))["items"]
    (pod,) = pods
    return str(pod["metadata"]["name"])


def evict(cluster: Cluster, namespace: str, name: str) -> None:
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    cluster.api.call("POST", f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", eviction)


@pytest.mark.parametrize("node", [1, 0])
async def test_a_pod_that_is_evicted_comes_again_and_the_run_begins_again_with_all_ranks(
    workbench: Workbench, cluster: Cluster, namespace: str, node: int
) -> None:
    handle = await launch(workbench, cluster, CELL)
    subscription = await workbench.follow("kubernetes", handle)
    await begun(subscription)
    await asyncio.to_thread(evict, cluster, namespace, pod_of(cluster, namespace, node))
    outcome = await ended(subscription)
    assert outcome.phase is Phase.SUCCEEDED, outcome
    assert await workbench.results("kubernetes", handle) == {"everyone": [0, 1]}
    assert subscription.workload.generation == 1
    await subscription.close()


async def test_a_rank_that_fails_ends_the_whole_run_and_no_pod_is_started_again(
    workbench: Workbench, cluster: Cluster, namespace: str
) -> None:
    source = CELL.replace("gather(step)", "gather(step); 1 // (0 if rank == 1 and step == 3 else 1)")
    handle = await launch(workbench, cluster, source)
    subscription = await workbench.follow("kubernetes", handle)
    outcome = await ended(subscription)
    assert outcome.phase is Phase.FAILED
    assert outcome.failure is not None
    assert (outcome.failure.what, outcome.failure.rank) == (
        "ZeroDivisionError: integer division or modulo by zero",
        1,
    )
    assert subscription.workload.generation == 0
    await asyncio.wait_for(subscription.ended(), LIMIT)
    pods = json.loads(cluster.kubectl("-n", namespace, "get", "pods", "-o", "json"))["items"]
    assert len(pods) == 2
    await subscription.close()
