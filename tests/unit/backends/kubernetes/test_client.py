"""What comes back from an API server that answers well, badly, late or not at all."""

import logging
import time

import pytest

from gpu_workbench.__about__ import __version__
from gpu_workbench.backends.kubernetes.answers import Expired
from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.resources import CONFIG_MAPS, JOBS, NODES, PODS
from gpu_workbench.core.errors import (
    AdmissionDenied,
    Conflict,
    NotFound,
    PermissionDenied,
    ProtocolError,
    Throttled,
    Unreachable,
)
from tests.unit.backends.kubernetes.api_server import Fault, watch_event
from tests.unit.backends.kubernetes.conftest import access_to

CONFIG_MAP = {"metadata": {"name": "a", "labels": {"k": "v"}}}


async def create(client):
    return await client.create(CONFIG_MAPS, {"metadata": {"name": "a", "labels": {"k": "v"}}}, namespace="ns")


async def test_objects_are_made_read_changed_and_removed(client, server):
    made = await create(client)
    assert (await client.get(CONFIG_MAPS, namespace="ns", name="a")) == made
    await client.patch(CONFIG_MAPS, {"data": {"x": "1"}}, namespace="ns", name="a")
    (found,) = (await client.list(CONFIG_MAPS, namespace="ns", labels="k=v")).items
    assert found["data"] == {"x": "1"}
    await client.delete(CONFIG_MAPS, namespace="ns", name="a")
    await client.delete(CONFIG_MAPS, namespace="ns", name="a")  # removed already: no error
    assert not server.objects
    assert server.requests[2].headers["Content-Type"] == "application/merge-patch+json"
    assert {request.headers["User-Agent"] for request in server.requests} == {f"gpu-workbench/{__version__}"}
    assert server.requests[4].body["propagationPolicy"] == "Background"


@pytest.mark.parametrize(
    "case",
    [
        (401, "Unauthorized", PermissionDenied, "does not know who you are"),
        (
            403,
            'jobs.batch is forbidden: User "ada" cannot create resource "jobs" in API group "batch" in the namespace "ns"',
            PermissionDenied,
            "You may not create jobs in namespace ns",
        ),
        (
            403,
            'pods "a" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
            AdmissionDenied,
            'PodSecurity "restricted:latest" forbids it',
        ),
        (
            403,
            'jobs.batch "a" is forbidden: exceeded quota: team-quota, requested: count/jobs.batch=1, used: 1, limited: 1',
            AdmissionDenied,
            "quota: team-quota forbids it",
        ),
        (
            422,
            "jobs.batch is forbidden: ValidatingAdmissionPolicy 'no-gpus' with binding 'b' denied request: no GPUs here",
            AdmissionDenied,
            "ValidatingAdmissionPolicy 'no-gpus' forbids it",
        ),
        (
            400,
            'admission webhook "images.example.org" denied the request: unsigned image',
            AdmissionDenied,
            'admission webhook "images.example.org" forbids it',
        ),
        (
            403,
            'jobs.batch "a" is forbidden: unable to create new content in namespace ns because it is being terminated',
            NotFound,
            "Namespace ns is being deleted",
        ),
        (404, "namespaces ns not found", NotFound, "namespaces ns not found"),
        (409, 'jobs.batch "a" already exists', Conflict, "already exists"),
        (422, 'Job.batch "a" is invalid: spec.template: Required value', AdmissionDenied, "Required value"),
    ],
)
async def test_a_refusal_is_one_error_and_is_not_asked_for_again(client, server, case):
    code, message, error, says = case
    refusal = Fault(code=code, body=f'{{"kind": "Status", "message": {_quoted(message)}}}')
    server.fault = lambda number, request: refusal
    with pytest.raises(error) as caught:
        await client.create(JOBS, {"metadata": {"name": "a"}}, namespace="ns")
    assert says in str(caught.value)
    assert len(server.requests) == (2 if code == 401 else 1)


async def test_a_refused_login_is_renewed_once(client, server):
    server.fail_once(Fault(code=401))
    await create(client)
    assert [request.headers["Authorization"] for request in server.requests] == [
        "Bearer token-0",
        "Bearer token-1",
    ]


@pytest.mark.parametrize("code", [500, 502, 503, 504])
async def test_a_failing_server_is_asked_again_and_the_retry_is_visible(client, server, caplog, code):
    server.fail_once(Fault(code=code, body="etcd has no leader"), Fault(code=code))
    with caplog.at_level(logging.WARNING):
        await create(client)
    assert len(server.requests) == 3
    assert "etcd has no leader" in caplog.text
    assert "trying again" in caplog.text


@pytest.mark.parametrize(("code", "error"), [(429, Throttled), (503, Unreachable)])
async def test_a_server_that_names_a_time_is_left_alone_until_then(server, code, error):
    patient = ApiClient(access_to(server.url), timeout=0.5, patience=5.0)
    server.fail_once(Fault(code=code, headers={"Retry-After": "1"}))
    begun = time.monotonic()
    await create(patient)
    assert time.monotonic() - begun >= 1.0
    await patient.close()
    server.fault = lambda number, request: Fault(code=code, headers={"Retry-After": "3600"})
    hasty = ApiClient(access_to(server.url), timeout=0.5, patience=5.0)
    with pytest.raises(error) as caught:
        await create(hasty)
    assert caught.value.retry_after == 3600
    await hasty.close()


async def test_a_server_that_never_recovers_is_given_up(client, server):
    server.fault = lambda number, request: Fault(code=500, body='{"message": "boom"}')
    with pytest.raises(Unreachable, match="boom") as caught:
        await create(client)
    assert caught.value.retryable
    assert 2 <= len(server.requests) <= 6


async def test_a_server_that_hangs_is_given_up_in_time(server):
    client = ApiClient(access_to(server.url), timeout=0.1, patience=0.5)
    server.fault = lambda number, request: Fault(hang=True)
    begun = time.monotonic()
    with pytest.raises(Unreachable, match="gave no answer in time to create configmaps a in namespace ns"):
        await create(client)
    assert time.monotonic() - begun < 2.0
    await client.close()


async def test_a_lost_reply_to_a_create_makes_nothing_twice(client, server):
    server.fail_once(Fault(lose_reply=True))
    with pytest.raises(Conflict):  # the second request finds what the first one made
        await create(client)
    assert server.names("configmaps") == ["a"]


async def test_nobody_listens():
    client = ApiClient(access_to("http://127.0.0.1:1"), timeout=0.5, patience=0.2)
    with pytest.raises(Unreachable, match=r"no connection to http://127\.0\.0\.1:1") as caught:
        await create(client)
    assert "token" not in str(caught.value) + repr(client)
    await client.close()


async def test_a_name_that_does_not_resolve():
    client = ApiClient(access_to("http://nowhere.invalid"), timeout=2.0, patience=0.2)
    with pytest.raises(Unreachable, match=r"nowhere\.invalid"):
        await create(client)
    await client.close()


async def test_long_lists_come_in_pages(client, server):
    first = {"items": [{"metadata": {"name": "a"}}], "metadata": {"continue": "next", "resourceVersion": "7"}}
    server.pages = [first, {"items": [{"metadata": {"name": "b"}}], "metadata": {"resourceVersion": "7"}}]
    listing = await client.list(NODES)
    assert [item["metadata"]["name"] for item in listing.items] == ["a", "b"]
    assert listing.version == "7"
    assert server.requests[1].query["continue"] == "next"


async def test_a_list_that_expires_between_pages_is_begun_anew(client, server):
    first = {"items": [{"metadata": {"name": "a"}}], "metadata": {"continue": "next"}}
    server.pages = [first, {"items": [{"metadata": {"name": "c"}}], "metadata": {"resourceVersion": "9"}}]
    server.fault = lambda number, request: Fault(code=410) if number == 2 else None
    listing = await client.list(NODES)
    assert [item["metadata"]["name"] for item in listing.items] == ["c"]
    assert "continue" not in server.requests[2].query


async def test_a_watch_gives_changes_of_any_size(client, server):
    long = "x" * 1_000_000
    server.watch_lines = [
        watch_event("ADDED", "a", 8, spec=long),
        watch_event("BOOKMARK", "", 9)[:20],
        watch_event("BOOKMARK", "", 9)[20:],
    ]
    changes = [change async for change in client.watch(PODS, namespace="ns", version="7", labels="k=v")]
    assert [(change.type, change.version) for change in changes] == [("ADDED", "8"), ("BOOKMARK", "9")]
    assert changes[0].object["spec"] == long
    query = server.requests[0].query
    assert (query["resourceVersion"], query["allowWatchBookmarks"], query["labelSelector"]) == (
        "7",
        "true",
        "k=v",
    )


@pytest.mark.parametrize("in_the_stream", [True, False])
async def test_a_watch_that_is_too_old_says_so(client, server, in_the_stream):
    if in_the_stream:
        server.watch_lines = [
            b'{"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}\n'
        ]
    else:
        server.fail_once(Fault(code=410))
    with pytest.raises(Expired):
        async for _ in client.watch(PODS, namespace="ns", version="7"):
            pass


async def test_a_proxy_that_answers_in_html_is_not_an_api_server(client, server):
    server.fail_once(Fault(code=200, body="<html>Please log in</html>"))
    with pytest.raises(ProtocolError, match="Please log in"):
        await client.get(CONFIG_MAPS, namespace="ns", name="a")


def _quoted(message):
    return '"' + message.replace('"', '\\"') + '"'
