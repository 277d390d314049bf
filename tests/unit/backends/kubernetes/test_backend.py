"""Starting and ending a workload, and what is left of it when the API server refuses; `test_faults` lets every call fail."""

import asyncio
import base64
import json
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from gpu_workbench.backends.kubernetes import watching
from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.backends.protocol import Sealed
from gpu_workbench.core.errors import (
    AdmissionDenied,
    BackendError,
    Conflict,
    PermissionDenied,
    TooLarge,
    UsageError,
)
from gpu_workbench.core.model import Kind
from gpu_workbench.core.spec import WorkloadSpec
from tests.unit.backends.kubernetes.api_server import Fault, status

SPEC = WorkloadSpec(id="0123456789ab", image="worker:1")
JOB = "/apis/batch/v1/namespaces/ns/jobs/gwb-0123456789ab"
ROOT = "/api/v1/namespaces/ns/configmaps/gwb-0123456789ab"
SECRET = "/api/v1/namespaces/ns/secrets/gwb-0123456789ab"


@pytest.fixture
async def backend(kubeconfig):
    backend = KubernetesBackend(kubeconfig=kubeconfig, timeout=0.3, patience=3.0)
    await backend.owner()
    yield backend
    await backend.close()


async def test_the_root_comes_first_and_the_job_last(backend, server):
    handle = await backend.start(SPEC)
    created = [request.path.rpartition("/")[2] for request in server.requests if request.verb == "create"][1:]
    assert created[0] == "configmaps"
    assert sorted(created[1:-1]) == ["configmaps", "secrets", "services"]
    assert created[-1] == "jobs"
    assert handle.address["namespace"] == "ns"
    assert handle.spec.owner == await backend.owner()
    assert (await backend.find(SPEC.id)) == handle
    assert (await backend.list(owner=handle.spec.owner)) == [handle]
    assert (await backend.list(owner="somebody")) == []


async def test_started_again_it_completes_what_is_missing_and_makes_nothing_twice(backend, server):
    handle = await backend.start(SPEC)
    secret = server.objects["/api/v1/namespaces/ns/secrets/gwb-0123456789ab"]
    del server.objects[JOB]
    assert await backend.start(SPEC) == handle
    assert server.names("jobs") == ["gwb-0123456789ab"]
    assert server.objects["/api/v1/namespaces/ns/secrets/gwb-0123456789ab"] is secret


@pytest.mark.parametrize(
    "fault",
    [
        Fault(code=409, body=json.dumps(status(409, "AlreadyExists", "already exists"))),
        Fault(code=410, body=json.dumps(status(410, "Gone", "gone"))),
        Fault(code=403, body=json.dumps(status(403, "Forbidden", "exceeded quota: q, requested: x"))),
    ],
    ids=["409", "410", "403"],
)
async def test_a_refusal_at_any_call_of_a_start_leaves_nothing_that_runs(backend, server, fault):
    for number in range(1, 6):
        server.objects.clear()
        server.requests.clear()
        server.fault = lambda at, request, number=number: fault if at == number else None
        try:
            await backend.start(SPEC)
        except BackendError:
            assert server.names("jobs") == []
            assert "gwb-0123456789ab" not in server.names("configmaps")
        else:
            assert fault.code == 409  # taken for our own earlier attempt


async def test_a_server_that_fails_for_good_at_the_job_is_an_error_and_a_retry_completes_it(backend, server):
    server.fault = lambda number, request: Fault(code=500) if request.path.endswith("/jobs") else None
    with pytest.raises(BackendError) as caught:
        await backend.start(SPEC)
    assert caught.value.retryable
    assert server.names("jobs") == []
    server.fault = lambda number, request: None
    await backend.start(SPEC)
    assert server.names("jobs") == ["gwb-0123456789ab"]


async def test_an_id_of_another_owner_is_not_ours(backend, server):
    await backend.start(SPEC)
    server.objects[ROOT]["metadata"]["labels"]["gpu-workbench.dev/owner"] = "somebody"
    with pytest.raises(Conflict, match="another workload"):
        await backend.start(SPEC)


async def test_what_cannot_be_started_is_said_before_anything_is_made(backend, server):
    before = len(server.requests)
    with pytest.raises(TooLarge):
        await backend.start(SPEC, sealed=Sealed({"job.json": b"x" * 800_000}))
    with pytest.raises(UsageError, match="--image"):
        await backend.start(WorkloadSpec(id="0123456789ab"))
    assert len(server.requests) == before


async def test_sealed_files_lie_in_the_secret_and_nowhere_else(backend, server):
    spec = WorkloadSpec(id="0123456789ab", image="worker:1", kind=Kind.JOB)
    await backend.start(spec, sealed=Sealed({"job.json": b"print('sealed cell')"}))
    secret = server.objects.pop("/api/v1/namespaces/ns/secrets/gwb-0123456789ab")
    assert base64.b64decode(secret["data"]["sealed-0"]) == b"print('sealed cell')"
    token = base64.b64decode(secret["data"]["token"]).decode()
    rest = json.dumps(server.objects)
    assert "sealed cell" not in rest
    assert token not in rest
    assert len(token) >= 32


async def test_a_stop_gives_the_gpus_back_even_if_its_record_cannot_be_kept(backend, server):
    handle = await backend.start(SPEC)
    message = 'User "ada" cannot patch resource "configmaps" in API group "" in the namespace "ns"'
    refusal = Fault(code=403, body=json.dumps(status(403, "Forbidden", message)))
    server.fault = lambda number, request: refusal if request.verb == "patch" else None
    with pytest.raises(PermissionDenied, match="You may not patch configmaps"):
        await backend.stop(handle)
    assert server.names("jobs") == []


async def test_a_stopped_workload_is_remembered_and_not_started_again(backend, server):
    handle = await backend.start(SPEC)
    await backend.stop(handle)
    await backend.stop(handle)
    record = json.loads(server.objects[ROOT]["data"]["record.json"])
    assert record["outcome"] == "Stopped"
    with pytest.raises(Conflict, match="has ended already"):
        await backend.start(SPEC)
    await backend.forget(handle)
    assert await backend.find(SPEC.id) is None


async def test_the_key_that_the_seal_was_signed_with_is_the_runs_key(backend, server):
    await backend.start(SPEC, sealed=Sealed({"job.json": b"{}"}, run_key="ab" * 32))
    secret = server.objects["/api/v1/namespaces/ns/secrets/gwb-0123456789ab"]
    assert base64.b64decode(secret["data"]["run.key"]).decode() == "ab" * 32


async def test_what_ended_two_days_ago_is_swept_and_the_rest_is_kept(backend, server):
    handle = await backend.start(SPEC)
    await backend.stop(handle)
    owner = handle.spec.owner
    annotations = server.objects[ROOT]["metadata"]["annotations"]
    annotations["gpu-workbench.dev/ended"] = _stamp(timedelta(days=1, hours=23))
    await backend.list(owner=owner)
    assert ROOT in server.objects
    annotations["gpu-workbench.dev/ended"] = _stamp(timedelta(days=2, hours=1))
    await backend.list(owner=owner)
    await asyncio.gather(*backend._forgetting)
    assert ROOT not in server.objects


async def test_a_run_with_a_store_is_kept_for_longer(backend, server):
    spec = replace(SPEC, kind=Kind.JOB, store="pvc://runs")
    handle = await backend.start(spec)
    await backend.stop(handle)
    server.objects[ROOT]["metadata"]["annotations"]["gpu-workbench.dev/ended"] = _stamp(timedelta(days=29))
    assert [found.id for found in await backend.list(owner=handle.spec.owner)] == [spec.id]
    assert not backend._forgetting
    assert SECRET in server.objects, "with the key its results are signed with"


async def test_the_end_of_a_session_that_nobody_watched_is_kept_by_the_next_list(backend, server):
    handle = await backend.start(SPEC)
    ended, message = _ended_unseen(server)
    await backend.list(owner=handle.spec.owner)
    assert json.loads(server.objects[ROOT]["data"]["record.json"]) == json.loads(message)
    assert server.objects[ROOT]["metadata"]["annotations"]["gpu-workbench.dev/ended"] == ended


async def test_who_watches_all_keeps_it_too_and_reads_jobs_no_more_than_the_watch_does(
    backend, server, monkeypatch
):
    monkeypatch.setattr(watching, "SWEEP", 0.05)
    handle = await backend.start(SPEC)
    seen = backend.watch_all(owner=handle.spec.owner)
    for _ in range(3):  # the first look may come before the watch has told of Jobs
        await anext(seen)
    before = len(_lists(server, "jobs"))
    assert before >= 1, "the mirror has listed them"
    _, message = _ended_unseen(server)
    jobs = backend._watching._overviews["ns", handle.spec.owner].jobs.mirror.objects
    jobs.update(dict.fromkeys(jobs, server.objects[JOB]))  # as its watch tells
    while "record.json" not in server.objects[ROOT]["data"]:
        await anext(seen)
    assert json.loads(server.objects[ROOT]["data"]["record.json"]) == json.loads(message)
    assert len(_lists(server, "jobs")) == before
    await seen.aclose()


def _ended_unseen(server):
    """Its Job is complete, and its pod says why; returns when that was, and what the pod says."""
    ended = _stamp(timedelta(hours=1))
    conditions = [{"type": "Complete", "status": "True"}]
    server.objects[JOB]["status"] = {"conditions": conditions, "completionTime": ended}
    message = json.dumps({"version": 1, "outcome": "Stopped", "reason": "no cell ran for 60 min"})
    container = {"name": "agent", "state": {"terminated": {"exitCode": 0, "message": message}}}
    server.objects["/api/v1/namespaces/ns/pods/p"] = {
        "metadata": {"name": "p", "labels": {"gpu-workbench.dev/id": SPEC.id}},
        "status": {"phase": "Succeeded", "containerStatuses": [container]},
    }
    return ended, message


def _lists(server, plural):
    return [
        request
        for request in server.requests
        if request.path.endswith(f"/{plural}") and request.verb == "get" and "watch" not in request.query
    ]


async def test_a_config_map_that_is_no_root_is_left_alone(backend, server):
    owner = await backend.owner()
    labels = {"gpu-workbench.dev/role": "root", "gpu-workbench.dev/owner": owner}
    stamp = _stamp(timedelta(0))
    server.objects["/api/v1/namespaces/ns/configmaps/x"] = {
        "metadata": {"name": "x", "labels": labels, "creationTimestamp": stamp},
        "data": {},
    }
    assert await backend.list(owner=owner) == []


async def test_a_refused_job_names_the_rule(backend, server):
    message = 'jobs.batch "x" is forbidden: exceeded quota: team, requested: count/jobs.batch=1'
    refusal = Fault(code=403, body=json.dumps(status(403, "Forbidden", message)))
    server.fault = lambda number, request: refusal if request.path.endswith("/jobs") else None
    with pytest.raises(AdmissionDenied, match="quota: team forbids it"):
        await backend.start(SPEC)


def _stamp(ago):
    now = datetime.fromtimestamp(int(time.time()), timezone.utc)
    return (now - ago).strftime("%Y-%m-%dT%H:%M:%SZ")
