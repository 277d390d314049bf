"""A mirror stays true through everything that a watch can suffer."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress

import pytest

from gpu_workbench.backends.kubernetes.mirror import Mirror
from gpu_workbench.backends.kubernetes.resources import PODS
from gpu_workbench.core.errors import PermissionDenied
from tests.unit.backends.kubernetes.api_server import Fault, watch_event

GONE = b'{"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}\n'


def pod(name):
    return {"metadata": {"name": name, "uid": name, "resourceVersion": "1"}}


@asynccontextmanager
async def mirror_of(client):
    changed = asyncio.Event()
    mirror = Mirror(client, PODS, namespace="ns", on_change=lambda _: changed.set())

    async def until(condition):
        while not condition(mirror):
            changed.clear()
            await asyncio.wait_for(changed.wait(), 5)

    task = asyncio.create_task(mirror.run())
    try:
        yield mirror, until
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def names(mirror):
    return sorted(mirror.objects)


async def test_it_follows_what_is_added_changed_and_removed(client, server):
    server.objects["/api/v1/namespaces/ns/pods/a"] = pod("a")
    server.watch_lines = [
        watch_event("ADDED", "b", 2),
        watch_event("MODIFIED", "b", 3, status={"phase": "Running"}),
        watch_event("DELETED", "a", 4),
    ]
    async with mirror_of(client) as (mirror, until):
        await until(lambda mirror: names(mirror) == ["b"])
        assert mirror.objects["b"]["status"] == {"phase": "Running"}


async def test_what_nobody_reads_is_not_kept_and_what_stays_is_not_held_twice(client, server):
    bookkeeping = {"managedFields": [{"manager": "kubelet"}]}
    first = pod("a")
    server.objects["/api/v1/namespaces/ns/pods/a"] = {
        **first,
        "metadata": {**first["metadata"], **bookkeeping},
        "spec": {"nodeName": "n"},
    }
    changed = json.loads(watch_event("MODIFIED", "a", 2, spec={"nodeName": "n"}, status={"phase": "Running"}))
    changed["object"]["metadata"] |= {"uid": "a", **bookkeeping}
    kept = []
    async with mirror_of(client) as (mirror, until):
        await until(lambda mirror: names(mirror) == ["a"])
        kept.append(mirror.objects["a"])
        assert "managedFields" not in mirror.objects["a"]["metadata"]
        server.watch_lines = [json.dumps(changed).encode() + b"\n"]
        await until(lambda mirror: mirror.objects["a"] is not kept[0])
        assert mirror.objects["a"]["spec"] is kept[0]["spec"]
        assert "managedFields" not in mirror.objects["a"]["metadata"]


@pytest.mark.parametrize("in_the_stream", [True, False])
async def test_what_went_while_the_watch_was_too_old_is_gone_here_too(client, server, in_the_stream):
    server.objects["/api/v1/namespaces/ns/pods/a"] = pod("a")

    def expire(number, request):
        if "watch" not in request.query or number != 2:
            return None
        server.objects.clear()
        server.objects["/api/v1/namespaces/ns/pods/b"] = pod("b")
        server.watch_lines = [GONE] if in_the_stream else []
        return None if in_the_stream else Fault(code=410)

    server.fault = expire
    async with mirror_of(client) as (mirror, until):
        await until(lambda mirror: names(mirror) == ["b"])
        assert mirror.error is None


async def test_a_cut_watch_goes_on_where_it_was_without_a_new_list(client, server):
    server.watch_lines = [watch_event("ADDED", "a", 7)]
    async with mirror_of(client) as (_, until):
        await until(lambda mirror: names(mirror) == ["a"])
        server.watch_lines = [watch_event("ADDED", "b", 8)]
        await until(lambda mirror: names(mirror) == ["a", "b"])
    lists = [request for request in server.requests if "watch" not in request.query]
    assert len(lists) == 1
    assert server.requests[2].query["resourceVersion"] == "7"


async def test_while_it_cannot_see_it_says_so_and_keeps_what_it_knew(client, server):
    server.objects["/api/v1/namespaces/ns/pods/a"] = pod("a")
    server.fault = lambda number, request: Fault(code=503) if "watch" in request.query else None
    async with mirror_of(client) as (mirror, until):
        await until(lambda mirror: mirror.error is not None)
        assert "503" in str(mirror.error)
        assert names(mirror) == ["a"]
        server.fault = lambda number, request: None
        server.watch_lines = [watch_event("ADDED", "b", 8)]
        await until(lambda mirror: mirror.error is None and names(mirror) == ["a", "b"])


async def test_what_may_not_be_seen_is_an_error_and_not_an_empty_list(client, server):
    message = 'pods is forbidden: User \\"ada\\" cannot list resource \\"pods\\" in API group \\"\\"'
    server.fault = lambda number, request: Fault(code=403, body=f'{{"message": "{message}"}}')
    async with mirror_of(client) as (mirror, until):
        await until(lambda mirror: mirror.error is not None)
        assert isinstance(mirror.error, PermissionDenied)
        assert not mirror.synced
