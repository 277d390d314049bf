"""Detached runs on a real Kubernetes: pods that are taken away, and what is left when all is over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_workbench.app.outcomes import outcome_of
from gpu_workbench.app.replay import Replay
from gpu_workbench.app.settings import Settings
from gpu_workbench.app.workbench import Cell, Workbench
from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.core.errors import NotFound
from gpu_workbench.core.explain import explain
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import Phase
from gpu_workbench.core.spec import Handle, Resources, WorkloadSpec

from .handle import Cluster
from .sessions import SOON, give_node_up, open_notebook
from .shell import until

pytestmark = pytest.mark.timeout(240, func_only=True)

OWNER = "0123456789abcdef"


@pytest.fixture
async def workbench(cluster: Cluster, namespace: str) -> AsyncIterator[Workbench]:
    backend = KubernetesBackend(kubeconfig=str(cluster.kubeconfig), namespace=namespace)
    yield Workbench(Settings(backend="kubernetes"), {"__name__": "__main__", "n": 6}, lambda name: backend)
    await backend.close()


@pytest.fixture
def spec(cluster: Cluster) -> WorkloadSpec:
    resources = Resources(cpus=0.05)
    return WorkloadSpec(
        id=secrets.token_hex(6), owner=OWNER, name="run", image=cluster.images.worker, resources=resources
    )


async def test_a_run_whose_pod_is_deleted_with_no_client_left_ends_well(
    workbench: Workbench, spec: WorkloadSpec, cluster: Cluster, namespace: str
) -> None:
    source = "import time; print('begun', flush=True); time.sleep(4); answer = n * 7"
    package = await workbench.seal("kubernetes", spec, Cell(source=source, out=("answer",)))
    handle = await workbench.launch("kubernetes", package)
    pod = ""
    for _ in range(600):
        pods = json.loads(cluster.kubectl("-n", namespace, "get", "pods", "-o", "json"))["items"]
        if pods and "begun" in cluster.kubectl(
            "-n", namespace, "logs", pods[0]["metadata"]["name"], check=False
        ):
            pod = pods[0]["metadata"]["name"]
            break
        await asyncio.sleep(0.1)
    assert pod, "the run did not begin"
    cluster.kubectl("-n", namespace, "delete", "pod", pod, "--grace-period=1", "--wait=true")
    subscription = await workbench.follow("kubernetes", handle)
    await asyncio.wait_for(subscription.until(lambda: outcome_of(subscription) is not None), 120)
    outcome = outcome_of(subscription)
    assert outcome is not None
    assert outcome.phase is Phase.SUCCEEDED, outcome
    assert await workbench.results("kubernetes", handle) == {"answer": 42}
    await subscription.close()


async def test_without_a_store_what_is_left_afterwards_is_as_was_said(
    workbench: Workbench, spec: WorkloadSpec
) -> None:
    package = await workbench.seal("kubernetes", spec, Cell(source="print('so much')\na = n", out=("a",)))
    handle = await workbench.launch("kubernetes", package)
    subscription = await workbench.follow("kubernetes", handle)
    await asyncio.wait_for(subscription.until(lambda: outcome_of(subscription) is not None), 120)
    assert await workbench.results("kubernetes", handle) == {"a": 6}
    await asyncio.wait_for(
        subscription.ended(), 30
    )  # fetched and read to its end: it does not wait any longer
    await subscription.close()

    with pytest.raises(NotFound, match="not there any more: No store: results are kept 2 min after the end"):
        await workbench.results("kubernetes", handle)
    replay = await Replay.begin(workbench.backend("kubernetes"), handle)
    texts = [str(event.content["text"]) async for batch in replay.outputs(follow=True) for event in batch]
    assert texts == ["so much\n"], "the container's own log has nothing of ours"
    outcome = outcome_of(replay.subscription)
    assert outcome is not None
    assert (outcome.phase, outcome.exit_code) == (Phase.SUCCEEDED, 0)
    await replay.close()
    await workbench.stop("kubernetes", handle)


async def test_a_failed_run_is_known_by_its_record_when_its_agent_is_gone(
    workbench: Workbench, spec: WorkloadSpec
) -> None:
    package = await workbench.seal("kubernetes", spec, Cell(source="1 / 0"))
    handle = await workbench.launch("kubernetes", package)
    subscription = await workbench.follow("kubernetes", handle)
    await asyncio.wait_for(subscription.ended(), 120)
    await subscription.close()
    later = await workbench.follow("kubernetes", handle)
    await asyncio.wait_for(later.ended(), 30)
    outcome = outcome_of(later)
    assert outcome is not None
    assert outcome.phase is Phase.FAILED
    assert outcome.sentence == "ZeroDivisionError: division by zero"
    await later.close()


async def test_a_run_whose_node_is_gone_is_given_another_at_once_and_says_so(
    workbench: Workbench, spec: WorkloadSpec, cluster: Cluster, namespace: str
) -> None:
    source = "import time; print('begun', flush=True); time.sleep(2); answer = n * 7"
    handle = await workbench.launch(
        "kubernetes", await workbench.seal("kubernetes", spec, Cell(source=source, out=("answer",)))
    )
    subscription = await workbench.follow("kubernetes", handle)
    await asyncio.wait_for(subscription.until(lambda: subscription.phase is Phase.RUNNING), 60)
    assert subscription.facts is not None
    [pod] = subscription.facts.pods
    watched = workbench.backend("kubernetes").watch(handle)

    async def told() -> Explanation:
        async for facts in watched:
            found = explain(facts, spec=handle.spec)
            if found is not None and found.code == "node-lost":
                assert facts.phase is Phase.STARTING
                return found
        raise AssertionError("nobody said so")

    await anext(watched)
    await asyncio.to_thread(give_node_up, cluster, namespace, pod)
    found = await asyncio.wait_for(told(), SOON)
    assert found.sentence == "Its node went away, and its pod with it"
    assert found.fix == "Another pod takes its place by itself"
    await asyncio.wait_for(subscription.until(lambda: outcome_of(subscription) is not None), 120)
    assert await workbench.results("kubernetes", handle) == {"answer": 42}
    await subscription.close()


async def test_a_run_that_still_waits_when_its_kernel_is_killed_begins_and_ends_well(
    workbench: Workbench, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    label = f"gpu-workbench-test/{namespace}"
    place = tmp_path / ".config" / "gpu-workbench"
    place.mkdir(parents=True)
    profile = f"{{gpus: 0, cpus: 100m, node-selector: {{{label}: 'yes'}}}}"
    (place / "config.yaml").write_text(f"profiles: {{default: {profile}}}")

    def submit_and_die() -> None:
        with open_notebook(cluster, namespace, tmp_path, cluster.kubeconfig) as session:
            session.nb.check("n = 6")
            session.nb.check("%%gpu --detach --name waiting --out answer\nanswer = n * 7")
            asked = "the label was asked for"
            until(
                asked, 30, lambda: f"No node has the label {label}" in session.why("waiting"), log="kubelet"
            )
            os.kill(session.nb.pid, signal.SIGKILL)

    await asyncio.to_thread(submit_and_die)
    backend = workbench.backend("kubernetes")
    assert isinstance(backend, KubernetesBackend)
    found = (await workbench.find("kubernetes", "waiting", owner=await backend.owner())).handle
    subscription = await workbench.follow("kubernetes", found)
    await asyncio.wait_for(subscription.until(lambda: subscription.phase is Phase.PENDING), 30)
    with labelled_node(cluster, label):
        await asyncio.wait_for(subscription.until(lambda: outcome_of(subscription) is not None), 120)
    assert await workbench.results("kubernetes", found) == {"answer": 42}
    await subscription.close()


async def test_a_run_whose_node_refuses_its_pod_is_given_another(
    workbench: Workbench, spec: WorkloadSpec, cluster: Cluster, namespace: str
) -> None:
    handle, label = await waiting_for_a_label(workbench, spec)
    subscription = await workbench.follow("kubernetes", handle)
    await asyncio.wait_for(
        subscription.until(lambda: bool(subscription.facts and subscription.facts.pods)), 30
    )
    refused = {"status": {"phase": "Failed", "reason": "NodeAffinity", "message": "Pod was rejected"}}
    cluster.kubectl(
        *("-n", namespace, "patch", "pod", "--subresource=status", "--type=merge"),
        *("-p", json.dumps(refused), only_pod(cluster, namespace)),
    )
    await asyncio.wait_for(subscription.until(lambda: subscription.phase is Phase.STARTING), 30)
    assert subscription.facts is not None
    told = explain(subscription.facts, spec=handle.spec)
    assert told is not None
    assert (told.code, told.fix) == ("node-refused", "Another pod takes its place by itself")
    with labelled_node(cluster, label):
        await asyncio.wait_for(subscription.until(lambda: outcome_of(subscription) is not None), 120)
    assert await workbench.results("kubernetes", handle) == {"answer": 42}
    await subscription.close()


async def waiting_for_a_label(workbench: Workbench, spec: WorkloadSpec) -> tuple[Handle, str]:
    """A run for nodes with a label of its own, which no node has; and the label."""
    label = f"gpu-workbench-test/{spec.id}"
    spec = replace(spec, placement=replace(spec.placement, node_selector={label: "yes"}))
    package = await workbench.seal("kubernetes", spec, Cell(source="answer = n * 7", out=("answer",)))
    return await workbench.launch("kubernetes", package), label


@contextlib.contextmanager
def labelled_node(cluster: Cluster, label: str) -> Iterator[None]:
    """One node has the label for a while."""
    node = cluster.ready_node()
    cluster.kubectl("label", "node", node, f"{label}=yes")
    try:
        yield
    finally:
        cluster.kubectl("label", "node", node, f"{label}-")


def only_pod(cluster: Cluster, namespace: str) -> str:
    """The name of the one pod in the namespace."""
    (pod,) = json.loads(cluster.kubectl("-n", namespace, "get", "pods", "-o", "json"))["items"]
    return str(pod["metadata"]["name"])
