"""Dask clusters: the objects that the operator makes pods of, their sizes, and the way to a scheduler."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import aiohttp

from gpu_workbench.backends.dask import SchedulerAddress
from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.portforward import CHUNK, PodStream, relay
from gpu_workbench.backends.kubernetes.reach import PodConnector, Reach
from gpu_workbench.backends.kubernetes.resources import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_GROUPS,
    SECRETS,
    Resource,
)
from gpu_workbench.backends.kubernetes.secrets import secret_text
from gpu_workbench.core.errors import BackendError, Conflict, NotFound, Unreachable, UsageError
from gpu_workbench.core.objects import member
from gpu_workbench.core.spec import Handle, WorkloadSpec
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.dask import (
    DASHBOARD_PORT,
    DEFAULT_GROUP,
    SCHEDULER_PORT,
    autoscaler_manifest,
    cluster_manifest,
    group_manifests,
    group_name,
)
from gpu_workbench.engines.names import CERTIFICATE_KEY, TLS_KEY_KEY, object_name

log = logging.getLogger(__name__)


async def create_cluster(
    client: ApiClient, spec: WorkloadSpec, *, root_uid: str, archive_digest: str, gpu_labels: Sequence[str]
) -> None:
    """Create the DaskCluster and its further worker groups.

    Raises:
        UsageError: nobody has installed the operator.
        BackendError: the cluster refuses one, or does not answer.
    """
    cluster = cluster_manifest(spec, root_uid=root_uid, archive_digest=archive_digest, gpu_labels=gpu_labels)
    groups = group_manifests(spec, root_uid=root_uid, archive_digest=archive_digest)
    for resource, body in ((DASK_CLUSTERS, cluster), *((DASK_GROUPS, group) for group in groups)):
        with suppress(Conflict):
            try:
                await client.create(resource, body, namespace=spec.placement.namespace)
            except NotFound as error:
                raise no_operator(error.why) from None


def no_operator(why: str) -> UsageError:
    """What is to be said where the cluster does not know a DaskCluster."""
    return UsageError(
        "The Dask operator is not installed in this cluster",
        why=why or "it does not know the resource daskclusters.kubernetes.dask.org",
        fix="Ask an administrator to install the Helm chart dask-kubernetes-operator (dask-kubernetes' documentation, "
        '"Installing")',
    )


async def remove_cluster(client: ApiClient, handle: Handle, *, namespace: str) -> None:
    """Remove what makes pods; they go with it, and what is not there is removed already.

    While the operator is away its finalizer holds the DaskCluster back, so what that owns has to go first.
    """
    name = object_name(handle.id)
    groups = handle.spec.dask.groups if handle.spec.dask else {}
    removed: list[tuple[Resource, str]] = [(DASK_CLUSTERS, name), (DASK_AUTOSCALERS, name)]
    removed += [(DASK_GROUPS, group_name(handle.id, group)) for group in (DEFAULT_GROUP, *groups)]
    await asyncio.gather(
        *(client.delete(kind, namespace=namespace, name=one, owned_first=True) for kind, one in removed)
    )


async def scale(client: ApiClient, handle: Handle, n_workers: int, *, namespace: str, group: str) -> None:
    """Set the size of a worker group; the operator retires or starts workers.

    Raises:
        NotFound: there is no such group.
    """
    if group == DEFAULT_GROUP:  # it would be set back at the next look
        await client.delete(DASK_AUTOSCALERS, namespace=namespace, name=object_name(handle.id))
    await _set_size(client, handle, n_workers, namespace=namespace, group=group)


async def _set_size(client: ApiClient, handle: Handle, n_workers: int, *, namespace: str, group: str) -> None:
    change: JsonObject = {"spec": {"worker": {"replicas": n_workers}}}
    await client.patch(DASK_GROUPS, change, namespace=namespace, name=group_name(handle.id, group))


async def size(client: ApiClient, handle: Handle, *, namespace: str, group: str) -> int:
    """How many workers a group is to have.

    Raises:
        NotFound: there is no such group.
    """
    found = await client.get(DASK_GROUPS, namespace=namespace, name=group_name(handle.id, group))
    replicas = member(found, "spec", "worker").get("replicas")
    return replicas if isinstance(replicas, int) else 0


async def adapt(client: ApiClient, handle: Handle, *, namespace: str, minimum: int, maximum: int) -> None:
    """Have the default group follow its tasks."""
    body = autoscaler_manifest(handle.spec, minimum=minimum, maximum=maximum)
    try:
        await client.create(DASK_AUTOSCALERS, body, namespace=namespace)
    except Conflict:
        change: JsonObject = {"spec": {"minimum": minimum, "maximum": maximum}}
        await client.patch(DASK_AUTOSCALERS, change, namespace=namespace, name=object_name(handle.id))


async def wake(client: ApiClient, handle: Handle, *, namespace: str) -> bool:
    """Have one worker at once, where the cluster adapts and has none; whether it adapts.

    The operator looks at a cluster that adapts every five seconds.
    """
    try:
        await client.get(DASK_AUTOSCALERS, namespace=namespace, name=object_name(handle.id))
        if not await size(client, handle, namespace=namespace, group=DEFAULT_GROUP):
            await _set_size(client, handle, 1, namespace=namespace, group=DEFAULT_GROUP)
    except NotFound:
        return False
    return True


class Schedulers:
    """The ways to the schedulers of clusters, open for as long as this is.

    Args:
        client: Whom to ask.
        reach: How pods are reached.
    """

    def __init__(self, client: ApiClient, *, reach: Reach) -> None:
        self._client = client
        self._reach = reach
        self._forwardings: dict[str, Forwarding] = {}

    async def address(self, handle: Handle, *, namespace: str) -> SchedulerAddress:
        """See :meth:`gpu_workbench.backends.dask.RunsDask.scheduler`.

        Raises:
            Unreachable: no scheduler runs.
            PermissionDenied: the workload's Secret may not be read.
        """
        connector = self._connector(handle, SCHEDULER_PORT, namespace)
        try:
            secret, _ = await asyncio.gather(
                self._client.get(SECRETS, namespace=namespace, name=object_name(handle.id)),
                connector.find_pod(),
            )
        except NotFound:
            raise Unreachable(
                "The Dask scheduler cannot be reached", why="its Secret is gone: it was stopped"
            ) from None
        if self._reach is Reach.PORT_FORWARD:
            forwarding = self._forwardings.setdefault(handle.id, Forwarding(connector.open))
            address = f"tls://127.0.0.1:{forwarding.port}"
        else:
            address = f"tls://{object_name(handle.id)}-scheduler.{namespace}:{SCHEDULER_PORT}"
        return SchedulerAddress(
            address, certificate=secret_text(secret, CERTIFICATE_KEY), key=secret_text(secret, TLS_KEY_KEY)
        )

    async def connect_dashboard(self, handle: Handle, *, namespace: str) -> socket.socket:
        """A connection to the dashboard's port.

        Raises:
            Unreachable, PermissionDenied: there is no way to it.
        """
        return await self._connector(handle, DASHBOARD_PORT, namespace)()

    def _connector(self, handle: Handle, port: int, namespace: str) -> PodConnector:
        return PodConnector(
            self._client, namespace=namespace, workload_id=handle.id, reach=self._reach, port=port
        )

    async def close(self) -> None:
        """Close every way."""
        for forwarding in self._forwardings.values():
            await forwarding.close()


PATIENCE = 30.0
"""Seconds for which a connection waits for whoever listens in the pod: who is replaced is away for some."""

_PAUSE = 0.5


class Forwarding:
    """A port of this machine's loopback, each of whose connections goes on to a port of a pod.

    Who connects while nothing listens there is kept waiting: a TLS client that is hung up on in its handshake gives up for
    good, where one that has to wait does not.

    Args:
        connect: Opens a connection to the pod's port.
    """

    def __init__(self, connect: Callable[[], Coroutine[Any, Any, PodStream]]) -> None:
        self._connect = connect
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port here; opened at the first look."""
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
            self._listener.setblocking(False)
            self._keep(self._accept(self._listener))
        return int(self._listener.getsockname()[1])

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:  # too many open files: there may be fewer soon
                log.warning("A connection could not be accepted: %s", error)
                await asyncio.sleep(_PAUSE)
                continue
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._keep(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        room = memoryview(bytearray(1 + CHUNK))
        try:
            first = await loop.sock_recv_into(connection, room[1:])
            answered = await self._answered(room[: 1 + first]) if first else None
            if answered is not None:
                stream, data = answered
                await loop.sock_sendall(connection, data)
                await relay(stream, connection)
        except OSError as error:  # whoever connected is gone
            log.info("A connection was not forwarded to its end: %s", error)
        finally:
            connection.close()

    async def _answered(self, first: memoryview) -> tuple[PodStream, memoryview] | None:
        """A connection on which the first bytes were answered, and the answer; ``None`` where none was in time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        while loop.time() < until:
            try:
                stream = await self._connect()
                await stream.send(first)
                if (data := await stream.receive()) is not None:
                    return stream, data
                await stream.close()
            except (BackendError, aiohttp.ClientError) as error:
                log.info("Nothing answers yet: %s", error)
            await asyncio.sleep(_PAUSE)
        return None

    async def close(self) -> None:
        """Close the port and every connection."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
