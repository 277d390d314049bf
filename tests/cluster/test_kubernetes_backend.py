"""The cluster backend on a real Kubernetes: what is started can be reached, what ends is known, what is stopped is gone."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from contextlib import aclosing
from dataclasses import replace

import pytest

from gpu_workbench.app.sealing import seal
from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.backends.kubernetes.reach import Reach
from gpu_workbench.backends.kubernetes.roots import seconds
from gpu_workbench.backends.protocol import Sealed
from gpu_workbench.core.errors import AdmissionDenied, Unreachable
from gpu_workbench.core.explain import explain
from gpu_workbench.core.model import Kind, Phase
from gpu_workbench.core.objects import condition, text
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import Placement, Resources, RunSpec, WorkloadSpec
from gpu_workbench.engines.names import object_name
from gpu_workbench.engines.status import head_pod

from .sessions import SOON

pytestmark = pytest.mark.timeout(180, func_only=True)


@pytest.fixture
async def backend(cluster, namespace):
    backend = KubernetesBackend(kubeconfig=str(cluster.kubeconfig), namespace=namespace)
    yield backend
    await backend.close()


@pytest.fixture
def spec(cluster):
    real = Placement(node_selector={"kubernetes.io/os": "linux"})  # other tests make nodes that are none
    return WorkloadSpec(
        id=secrets.token_hex(6), image=cluster.images.worker, resources=Resources(cpus=0.05), placement=real
    )


def with_resources(spec, **resources):
    return replace(spec, resources=replace(spec.resources, **resources))


async def facts_when(backend, handle, condition, *, limit=60.0):
    """The first facts for which ``condition`` holds."""
    seen = []

    async def look():
        async with aclosing(backend.watch(handle)) as stream:
            async for facts in stream:
                seen.append(facts)
                if condition(facts):
                    return facts
        raise AssertionError(f"it ended as {seen[-1].phase}")

    try:
        return await asyncio.wait_for(look(), limit)
    except asyncio.TimeoutError:
        raise AssertionError(f"not within {limit} s; last seen: {seen[-1] if seen else 'nothing'}") from None


async def state_of(backend, handle):
    """What its agent says, once it listens."""
    channel = await backend.open(handle)
    try:
        for _ in range(200):
            try:
                return await channel.state()
            except Unreachable:
                await asyncio.sleep(0.1)
        raise AssertionError(await backend.logs(handle, tail=30))
    finally:
        channel.close()


def running(facts):
    return facts.agent_ready


def reported(facts):
    """The pod's own status says that it runs, and so the API server gives its log."""
    return text(head_pod(facts.pods), "status", "phase") == "Running"


@pytest.mark.parametrize("reach", [Reach.PORT_FORWARD, Reach.DIRECT])
async def test_a_session_starts_under_the_restricted_standard_and_its_agent_answers(backend, spec, reach):
    backend._reach = reach
    handle = await backend.start(with_resources(spec, gpus=Gpus(1), memory=2**29, shared_memory=2**26))
    facts = await facts_when(backend, handle, running)
    assert facts.phase is Phase.RUNNING
    state = await state_of(backend, handle)
    assert (state["workload"], state["kind"]) == (spec.id, "session")
    await backend.stop(handle)


async def test_what_is_stopped_is_gone_but_remembered_until_it_is_forgotten(
    backend, spec, cluster, namespace
):
    handle = await backend.start(spec)
    await facts_when(backend, handle, running)
    await backend.stop(handle)
    facts = await facts_when(backend, handle, lambda facts: facts.gone)
    assert facts.phase is Phase.STOPPED
    assert facts.record["outcome"] == "Stopped"
    left = cluster.kubectl("-n", namespace, "get", "jobs,pods,secrets,services", "-o", "name")
    assert object_name(spec.id) not in left
    owner = await backend.owner()
    assert [found.id for found in await backend.list(owner=owner)] == [spec.id]
    kept = await backend.find(spec.id)
    assert (kept.spec, kept.ended) == (handle.spec, True)
    with pytest.raises(Unreachable):
        await backend.open(handle)
    await backend.forget(handle)
    assert await backend.list(owner=owner) == []
    assert (await facts_when(backend, handle, lambda facts: facts.gone)).phase is Phase.LOST


async def test_forgetting_takes_everything_along(backend, spec, cluster, namespace):
    handle = await backend.start(spec)
    await facts_when(backend, handle, lambda facts: bool(facts.pods))
    await backend.forget(handle)
    await facts_when(backend, handle, lambda facts: facts.gone)
    everything = "jobs,pods,secrets,services,configmaps"
    assert object_name(spec.id) not in cluster.kubectl("-n", namespace, "get", everything, "-o", "name")


async def test_the_same_id_starts_one_pod_however_often_it_is_asked_for(backend, spec, cluster, namespace):
    handles = await asyncio.gather(*(backend.start(spec) for _ in range(4)))
    assert len({handle.started for handle in handles}) == 1
    await facts_when(backend, handles[0], running)
    pods = json.loads(cluster.kubectl("-n", namespace, "get", "pods", "-o", "json"))["items"]
    assert len(pods) == 1
    await state_of(backend, handles[0])  # of four tokens and certificates, the pod's and ours are the same


async def test_a_session_whose_pod_is_deleted_is_lost_and_not_quietly_replaced(
    backend, spec, cluster, namespace
):
    handle = await backend.start(spec)
    facts = await facts_when(backend, handle, running)
    name = facts.pods[0]["metadata"]["name"]
    cluster.kubectl("-n", namespace, "delete", "pod", name, "--grace-period=1", "--wait=true")
    facts = await facts_when(backend, handle, lambda facts: facts.phase.ended, limit=10)
    assert facts.phase is Phase.LOST
    assert not [pod for pod in facts.pods if pod["metadata"]["name"] != name]


async def test_a_container_that_runs_out_of_memory_has_failed(backend, spec):
    handle = await backend.start(with_resources(spec, memory=12 * 2**20))
    facts = await facts_when(backend, handle, lambda facts: facts.phase.ended)
    heard = time.time()
    assert facts.phase is Phase.FAILED
    told = explain(facts, spec=spec)
    assert told is not None
    assert told.code == "out-of-memory", told
    ended = facts.pods[0]["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"]
    assert heard - seconds(ended) < SOON + 1, "seconds are all that it is told in"


async def test_an_image_without_python_has_failed_and_the_runtimes_words_are_there(backend, spec, cluster):
    handle = await backend.start(replace(spec, image=cluster.images.no_python))
    facts = await facts_when(backend, handle, lambda facts: facts.phase.ended)
    assert facts.phase is Phase.FAILED
    assert "python3" in json.dumps(facts.pods)


async def test_what_waits_shows_why(backend, spec):
    handle = await backend.start(with_resources(spec, gpus=Gpus(64)))
    facts = await facts_when(
        backend, handle, lambda facts: any(e["reason"] == "FailedScheduling" for e in facts.events)
    )
    assert facts.phase is Phase.PENDING
    assert facts.nodes
    assert facts.gpu_pods is not None
    await backend.stop(handle)


async def test_a_gpu_kind_finds_the_nodes_that_have_it(backend, spec, cluster, namespace):
    node = cluster.ready_node()
    label = f"gwb-test/{namespace}"
    cluster.kubectl("label", "node", node, f"{label}=NVIDIA-H200-SXM5-141GB")
    try:
        handle = await backend.start(with_resources(spec, gpus=Gpus(1, "h200"), gpu_label=label))
        assert (await facts_when(backend, handle, running)).phase is Phase.RUNNING
        await backend.stop(handle)
        other = replace(spec, id=secrets.token_hex(6))
        handle = await backend.start(with_resources(other, gpus=Gpus(1, "h20"), gpu_label=label))
        facts = await facts_when(
            backend, handle, lambda facts: bool(facts.events) and facts.phase is Phase.PENDING
        )
        assert not facts.agent_ready
        await backend.stop(handle)
    finally:
        cluster.kubectl("label", "node", node, f"{label}-")


async def test_the_log_is_there_when_the_agent_is_not(backend, spec):
    handle = await backend.start(replace(spec, env={"PYTHONHOME": "/nowhere"}))
    await facts_when(backend, handle, lambda facts: facts.phase.ended)
    assert "encodings" in await backend.logs(handle, tail=20)


async def test_a_rule_of_the_cluster_is_named_and_nothing_is_left(backend, spec, cluster, namespace):
    cluster.kubectl("-n", namespace, "create", "quota", "no-jobs", "--hard=count/jobs.batch=0")
    for _ in range(50):  # the quota counts once its controller has seen it
        if (
            "used"
            in json.loads(cluster.kubectl("-n", namespace, "get", "quota", "no-jobs", "-o", "json"))["status"]
        ):
            break
        await asyncio.sleep(0.1)
    with pytest.raises(AdmissionDenied, match="quota: no-jobs forbids it"):
        await backend.start(spec)
    assert await backend.find(spec.id) is None


@pytest.mark.cluster_alone
async def test_an_api_server_that_goes_away_and_comes_back_is_only_a_gap_in_the_view(backend, spec, cluster):
    handle = await backend.start(spec)
    async with aclosing(backend.watch(handle)) as stream:
        async for facts in stream:
            if facts.agent_ready:
                break
        cluster.stop("kube-apiserver")
        begun = time.monotonic()
        try:
            async for facts in stream:
                if facts.error:
                    break
            assert "API server cannot be reached" in facts.error
            assert facts.phase is Phase.RUNNING
            assert time.monotonic() - begun < 10
        finally:
            cluster.start("kube-apiserver")
        async for facts in stream:
            if not facts.error:
                break
        assert facts.agent_ready
    assert (await state_of(backend, handle))["workload"] == spec.id
    await backend.stop(handle)


def detached(spec, cell, *, values=()):
    """A detached run of a cell: its spec, and what is sealed for it."""
    key = secrets.token_hex(32)
    run = RunSpec(id=spec.id, cell=cell)
    return replace(spec, kind=Kind.JOB), Sealed(files=seal(run, values, key=key.encode()), run_key=key)


async def test_a_detached_run_needs_nobody_once_it_is_sealed(backend, spec, cluster):
    job, sealed = detached(spec, "print('seen in the log')")
    handle = await backend.start(job, sealed=sealed)
    await backend.close()  # its notebook is gone before the pod exists
    later = KubernetesBackend(kubeconfig=str(cluster.kubeconfig), namespace=handle.address["namespace"])
    found = await later.find(spec.id)
    assert (await facts_when(later, found, running)).phase is Phase.RUNNING
    await facts_when(later, found, reported)
    for _ in range(300):
        if "seen in the log" in await later.logs(handle):
            break
        await asyncio.sleep(0.1)
    assert (await later.logs(handle)).strip() == "seen in the log"
    await later.stop(handle)
    await later.close()


async def test_a_detached_run_whose_pod_is_deleted_starts_again_from_its_seal(
    backend, spec, cluster, namespace
):
    job, sealed = detached(spec, "import os, time; print('on', os.uname().nodename); time.sleep(600)")
    handle = await backend.start(job, sealed=sealed)
    first = (await facts_when(backend, handle, running)).pods[0]["metadata"]["name"]
    await state_of(backend, handle)
    cluster.kubectl("-n", namespace, "delete", "pod", first, "--wait=false")
    facts = await facts_when(
        backend, handle, lambda facts: facts.agent_ready and head_pod(facts.pods)["metadata"]["name"] != first
    )
    assert facts.phase is Phase.RUNNING
    assert (await state_of(backend, handle))["workload"] == spec.id
    await backend.stop(handle)


async def test_the_users_own_error_is_not_tried_again(backend, spec):
    job, sealed = detached(spec, "raise SystemError('mine')")
    handle = await backend.start(job, sealed=sealed)
    await facts_when(backend, handle, running)
    await state_of(backend, handle)
    channel = await backend.open(handle)
    async with aclosing(channel.journal("")) as journal:
        async for chunk in journal:
            if b"RunEnded" in chunk:
                break
    channel.close()
    facts = await facts_when(backend, handle, lambda facts: facts.phase.ended)
    assert facts.phase is Phase.FAILED
    facts = await facts_when(backend, handle, lambda facts: bool(condition(facts.job, "Failed")))
    assert len(facts.pods) == 1
    await backend.stop(handle)
