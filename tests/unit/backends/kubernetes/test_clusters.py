"""Dask clusters on a cluster: without their operator, their sizes, and the way to a scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from gpu_workbench.backends.channel import Channel
from gpu_workbench.backends.dask import SchedulerAddress
from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.backends.kubernetes.reach import Reach
from gpu_workbench.core.errors import NotFound, Unreachable, UsageError
from gpu_workbench.core.spec import Handle
from tests.unit.backends.kubernetes.api_server import Fault, Request
from tests.unit.backends.kubernetes.conftest import KUBECONFIG
from tests.unit.backends.kubernetes.dask_operations import CLUSTER, DASK, DASK_API
from tests.unit.backends.kubernetes.living_server import LivingServer
from tests.unit.backends.kubernetes.operations import NAME, ROOT

AUTOSCALER = f"{DASK_API}/daskautoscalers/{NAME}"


@pytest.fixture
async def living() -> AsyncIterator[LivingServer]:
    server = LivingServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def backend(living: LivingServer, tmp_path: Path) -> AsyncIterator[KubernetesBackend]:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG % living.url)
    backend = KubernetesBackend(kubeconfig=str(path), timeout=0.5, patience=3.0)
    yield backend
    await backend.close()


@pytest.fixture
async def handle(backend: KubernetesBackend) -> Handle:
    return await backend.start(DASK)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, living: LivingServer) -> list[object]:
    """What the agent is told, and the size of the further group at that moment; SIMULATED, no node runs one."""
    said: list[object] = []

    async def dask(_: Channel, order: object) -> None:
        said.append((order, replicas(living, "cpu")))

    monkeypatch.setattr(Channel, "dask", dask)
    return said


def without_operator(_: int, request: Request) -> Fault | None:
    return Fault(code=404, body="404 page not found\n") if "kubernetes.dask.org" in request.path else None


def replicas(server: LivingServer, group: str) -> object:
    return server.objects[f"{DASK_API}/daskworkergroups/{NAME}-{group}"]["spec"]["worker"]["replicas"]


async def test_where_nobody_has_installed_the_operator_that_is_said_and_nothing_is_left(
    backend: KubernetesBackend, living: LivingServer
) -> None:
    living.fault = without_operator
    with pytest.raises(
        UsageError, match=r"The Dask operator is not installed in this cluster.*Helm chart dask-kubernetes-op"
    ):
        await backend.start(DASK)
    (left,) = living.objects
    assert "agent" in left, "the archive, which all workloads share"


async def test_the_operator_taken_away_keeps_nobody_from_seeing_that_the_cluster_has_ended(
    backend: KubernetesBackend, living: LivingServer, handle: Handle
) -> None:
    living.remove(CLUSTER)
    hour = datetime.now(timezone.utc) - timedelta(hours=1)
    living.objects[ROOT]["metadata"]["creationTimestamp"] = hour.strftime("%Y-%m-%dT%H:%M:%SZ")
    living.fault = without_operator
    await backend.list(owner=handle.spec.owner)
    assert [found.ended for found in await backend.list(owner=handle.spec.owner)] == [True]


async def test_a_cluster_that_is_being_made_is_not_taken_for_one_that_has_ended(
    backend: KubernetesBackend, living: LivingServer, handle: Handle
) -> None:
    living.remove(CLUSTER)
    living.objects[ROOT]["metadata"]["creationTimestamp"] = datetime.now(timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    await backend.list(owner=handle.spec.owner)
    assert [found.ended for found in await backend.list(owner=handle.spec.owner)] == [False]


async def test_a_size_is_the_groups_and_ends_what_would_set_it_back(
    backend: KubernetesBackend, living: LivingServer, handle: Handle, told: list[object]
) -> None:
    await backend.adapt(handle, minimum=0, maximum=8)
    await backend.scale(handle, 3, group="cpu")
    assert (replicas(living, "cpu"), replicas(living, "default")) == (3, 2)
    assert AUTOSCALER in living.objects, "it looks after the default group alone"
    await backend.scale(handle, 5, group="default")
    assert (replicas(living, "cpu"), replicas(living, "default")) == (3, 5)
    assert AUTOSCALER not in living.objects
    assert told == []
    with pytest.raises(NotFound, match=f"daskworkergroups {NAME}-nosuch"):
        await backend.scale(handle, 1, group="nosuch")


async def test_of_a_stopped_cluster_only_its_record_is_left(
    backend: KubernetesBackend, living: LivingServer, handle: Handle
) -> None:
    await backend.adapt(handle, minimum=0, maximum=8)
    await backend.stop(handle)
    assert {path.split("/")[-2] for path in living.objects} == {"configmaps"}
    assert [found.ended for found in await backend.list(owner=handle.spec.owner)] == [True]


async def test_the_scheduler_is_told_which_group_shrinks_before_it_does(
    backend: KubernetesBackend, living: LivingServer, handle: Handle, told: list[object]
) -> None:
    await backend.scale(handle, 0, group="cpu")
    assert told == [({"shrink": "cpu"}, 1)]
    assert replicas(living, "cpu") == 0


async def test_a_scheduler_that_cannot_be_told_does_not_keep_a_group_from_shrinking(
    backend: KubernetesBackend, living: LivingServer, handle: Handle
) -> None:
    living.remove(f"/apis/apps/v1/namespaces/ns/deployments/{NAME}-scheduler")
    await backend.scale(handle, 0, group="cpu")
    assert replicas(living, "cpu") == 0


async def test_the_way_to_a_scheduler_leads_to_it_by_its_name_inside_and_through_a_port_here_outside(
    backend: KubernetesBackend, living: LivingServer, handle: Handle, tmp_path: Path
) -> None:
    outside = await backend.scheduler(handle)
    assert outside.address == (await backend.scheduler(handle)).address, "one port, however often it is asked"
    assert outside.address.startswith("tls://127.0.0.1:")
    assert "BEGIN CERTIFICATE" in outside.certificate
    assert "PRIVATE KEY" in outside.key
    assert outside.key not in repr(outside)
    inside = KubernetesBackend(kubeconfig=str(tmp_path / "kubeconfig"), reach=Reach.DIRECT)
    assert (await inside.scheduler(handle)).address == f"tls://{NAME}-scheduler.ns:8786"
    await inside.close()


async def test_there_is_no_way_to_a_scheduler_that_was_stopped(
    backend: KubernetesBackend, living: LivingServer, handle: Handle
) -> None:
    pod = living.objects.pop(f"/api/v1/namespaces/ns/pods/{NAME}-scheduler-0")
    with pytest.raises(Unreachable, match="it has no pod"):
        await backend.scheduler(handle)
    living.objects[f"/api/v1/namespaces/ns/pods/{NAME}-scheduler-0"] = pod
    del living.objects[f"/api/v1/namespaces/ns/secrets/{NAME}"]
    with pytest.raises(Unreachable, match="its Secret is gone: it was stopped"):
        await backend.scheduler(handle)


async def test_every_connection_to_the_port_here_goes_on_to_the_pod_by_itself_until_the_backend_is_closed(
    backend: KubernetesBackend, handle: Handle
) -> None:
    port = port_of(await backend.scheduler(handle))
    ends = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
    for number, (_, writer) in enumerate(ends):
        writer.write(b"%d" % number)
    assert [await reader.read(1) for reader, _ in ends] == [b"0", b"1", b"2", b"3", b"4"]
    await backend.close()
    assert [await reader.read() for reader, _ in ends] == [b""] * 5
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", port)
    for _, writer in ends:
        writer.close()


async def test_who_connects_while_nothing_listens_in_the_pod_waits_and_gets_through(
    backend: KubernetesBackend, living: LivingServer, handle: Handle
) -> None:
    """A TLS client that is hung up on in its handshake would give up."""
    failed = asyncio.Event()

    def not_at_first(_: int, request: Request) -> Fault | None:
        if not request.path.endswith("/portforward") or failed.is_set():
            return None
        failed.set()
        return Fault(code=500)

    found = await backend.scheduler(handle)
    living.fault = not_at_first
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(found))
    writer.write(b"hello")
    assert await reader.read(5) == b"hello"
    assert failed.is_set()
    writer.close()


def port_of(found: SchedulerAddress) -> int:
    return int(found.address.rpartition(":")[2])
