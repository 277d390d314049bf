"""The ``kubernetes`` backend: starts, finds, watches and ends workloads on one cluster, in one namespace."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, closing, suppress
from dataclasses import replace
from pathlib import Path

from gpu_workbench.backends.channel import Channel
from gpu_workbench.backends.checks import Check
from gpu_workbench.backends.dask import SchedulerAddress
from gpu_workbench.backends.kept import Kept
from gpu_workbench.backends.kubernetes import capacity, clusters
from gpu_workbench.backends.kubernetes.access import Access, load_access
from gpu_workbench.backends.kubernetes.checks import examine
from gpu_workbench.backends.kubernetes.children import create_children, remove_children
from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.clusters import Schedulers
from gpu_workbench.backends.kubernetes.reach import PodConnector, Reach
from gpu_workbench.backends.kubernetes.resources import CONFIG_MAPS, JOBS, PODS, SECRETS, SELF_REVIEWS
from gpu_workbench.backends.kubernetes.rights import role_yaml
from gpu_workbench.backends.kubernetes.roots import Roots, seconds
from gpu_workbench.backends.kubernetes.secrets import UserSecrets, secret_text
from gpu_workbench.backends.kubernetes.storekeeper import Storekeeper
from gpu_workbench.backends.kubernetes.stores import ClaimFiles, StoredRun, StoreFiles, UrlFiles
from gpu_workbench.backends.kubernetes.watching import Watching
from gpu_workbench.backends.protocol import Listed, Sealed
from gpu_workbench.core.capacity import Capacity
from gpu_workbench.core.errors import (
    BackendError,
    NotFound,
    PermissionDenied,
    ProtocolError,
    Retryable,
    Unreachable,
    UsageError,
    WorkbenchError,
)
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Kind, Phase
from gpu_workbench.core.objects import label, name_of, text, uid_of
from gpu_workbench.core.spec import Handle, WorkloadSpec
from gpu_workbench.core.store import parse_store
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.job import SEALED_LIMIT, check_sealed, spec_of_root
from gpu_workbench.engines.names import (
    CERTIFICATE_KEY,
    CONTAINER,
    ID_LABEL,
    PROFILES_KEY,
    PROFILES_OBJECT,
    RUN_KEY_KEY,
    TOKEN_KEY,
    object_name,
    selector,
)
from gpu_workbench.engines.pod import store_of
from gpu_workbench.engines.status import ended_at, head_pod

log = logging.getLogger(__name__)


class KubernetesBackend:
    """Workloads on one cluster.

    Args:
        context: Context of the kubeconfig; empty for its current one.
        namespace: Where workloads live; empty for the context's own.
        kubeconfig: Path; empty for ``KUBECONFIG``, ``~/.kube/config``, or the pod this runs in.
        reach: How agents are reached.
        cache: Folder in which the agent's archive is kept; ``None`` to keep it nowhere.
        timeout: Seconds for one attempt of a request to the API server.
        patience: Seconds for all attempts of a request together.
    """

    name = "kubernetes"
    sealed_limit: int | None = SEALED_LIMIT

    def __init__(
        self,
        *,
        context: str = "",
        namespace: str = "",
        kubeconfig: str = "",
        reach: Reach = Reach.AUTO,
        cache: Path | None = None,
        timeout: float = 10.0,
        patience: float = 30.0,
    ) -> None:
        self._context = context
        self._wanted_namespace = namespace
        self._kubeconfig = kubeconfig
        self._reach = reach
        self._cache = cache
        self._limits = (timeout, patience)
        self._access: Access | None = None
        self._client: ApiClient | None = None
        self._readings: dict[str, tuple[str, Handle | None]] = {}
        self._owner = ""
        self._storekeeper = Storekeeper(self)
        self._forgetting: set[asyncio.Task[None]] = set()
        self._connecting = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<KubernetesBackend {self._context or 'current context'} {self._wanted_namespace or 'own namespace'}>"

    async def connect(self) -> ApiClient:
        """Find the cluster and log in; once. Done by every call that needs it.

        Raises:
            ProfileError: there is no cluster, or the kubeconfig cannot be used.
            PermissionDenied: its login command gives nothing.
        """
        async with self._connecting:
            if self._client is None:
                self._access = await load_access(context=self._context, kubeconfig=self._kubeconfig)
                timeout, patience = self._limits
                self._client = ApiClient(self._access, timeout=timeout, patience=patience)
                self._watching = Watching(self._client)
                self._schedulers = Schedulers(self._client, reach=self._chosen_reach())
            return self._client

    async def profiles(self) -> tuple[str, str]:
        """See :meth:`~gpu_workbench.backends.checks.SharesProfiles.profiles`."""
        source = f"ConfigMap {PROFILES_OBJECT}"
        client = await self.connect()
        try:
            found = await client.get(CONFIG_MAPS, namespace=self._namespace(), name=PROFILES_OBJECT)
        except (NotFound, PermissionDenied):
            return source, ""
        return source, text(found, "data", PROFILES_KEY)

    async def owner(self) -> str:
        """Who we are to the cluster: the first 16 hexadecimal digits of the SHA-256 of our user name there."""
        if not self._owner:
            self._owner = hashlib.sha256((await self._user()).encode()).hexdigest()[:16]
        return self._owner

    async def _user(self) -> str:
        client = await self.connect()
        form: JsonObject = {"apiVersion": SELF_REVIEWS.api, "kind": "SelfSubjectReview"}
        review = await client.create(SELF_REVIEWS, form)
        return text(review, "status", "userInfo", "username")

    async def start(
        self,
        spec: WorkloadSpec,
        *,
        sealed: Sealed | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Handle:
        """See :meth:`~gpu_workbench.backends.protocol.Control.start`."""
        sealed = sealed or Sealed()
        in_store = bool(spec.store) and sealed.size > SEALED_LIMIT
        if not in_store:
            check_sealed(sealed.files)
        if not spec.image:
            raise UsageError(
                "There is no image to run in",
                fix="Give one with --image, or set `image` in a profile; it needs Python 3.10 and, for sessions, ipykernel",
            )
        client = await self.connect()
        namespace = spec.placement.namespace or self._namespace()
        placement = replace(spec.placement, namespace=namespace, context=self._context)
        spec = replace(spec, placement=placement, owner=spec.owner or await self.owner())
        if in_store:
            await self._stored(spec).write(sealed.files, progress=progress)
            sealed = replace(sealed, files={})
        roots = Roots(client, namespace)
        root, made = await roots.create(spec)
        try:
            await create_children(client, spec, root_uid=uid_of(root), sealed=sealed, cache=self._cache)
        except WorkbenchError as error:
            if made and not isinstance(error, Retryable):  # it will never run: leave nothing of it
                with suppress(BackendError):
                    await roots.delete(spec.id)
            raise
        return self._handle(spec, root)

    async def list(self, *, owner: str) -> list[Handle]:
        """See :meth:`~gpu_workbench.backends.protocol.Control.list`. What ended too long ago is removed on the way."""
        client = await self.connect()
        roots = Roots(client, self._namespace())
        found = await roots.of_owner(owner)
        for root in await roots.sweep(found, owner=owner):
            self._begin_to_forget(root)
        return [*self._handles(found)]

    async def watch_all(self, *, owner: str) -> AsyncGenerator[Listed, None]:
        """See :meth:`~gpu_workbench.backends.protocol.Control.watch_all`."""
        await self.connect()
        seen = self._watching.all(owner=owner, namespace=self._namespace(), expired=self._begin_to_forget)
        async with aclosing(seen):
            async for roots, error in seen:
                handles = None if roots is None else self._handles(roots)
                yield Listed(handles, str(error) if error else "")

    def _handles(self, roots: Sequence[JsonObject]) -> tuple[Handle, ...]:
        """The workloads of these roots, newest first."""
        there = {uid_of(root) for root in roots}
        self._readings = {uid: reading for uid, reading in self._readings.items() if uid in there}
        handles = [handle for root in roots if (handle := self._readable(root))]
        handles = [handle for handle in handles if handle.spec.kind is not Kind.STORE]
        return tuple(sorted(handles, key=lambda handle: handle.started, reverse=True))

    def _begin_to_forget(self, root: JsonObject) -> None:
        """Remove what is kept no longer, beside what was asked for: nobody has to wait for it, and it may fail."""

        async def forget() -> None:
            handle = self._readable(root)
            with suppress(WorkbenchError):
                await (self.forget(handle) if handle else self._delete_root(root))

        task = asyncio.create_task(forget())
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)

    async def _delete_root(self, root: JsonObject) -> None:
        await Roots(await self.connect(), self._namespace()).delete(label(root, ID_LABEL))

    async def find(self, workload_id: str) -> Handle | None:
        """See :meth:`~gpu_workbench.backends.protocol.Control.find`."""
        client = await self.connect()
        root = await Roots(client, self._namespace()).get(workload_id)
        return self._readable(root) if root else None

    async def watch(self, handle: Handle) -> AsyncIterator[Facts]:
        """See :meth:`~gpu_workbench.backends.protocol.Control.watch`."""
        await self.connect()
        async with aclosing(self._watching.one(handle, namespace=self._namespace(handle))) as found:
            async for facts in found:
                yield facts

    async def stop(self, handle: Handle, *, force: bool = False) -> None:
        """See :meth:`~gpu_workbench.backends.protocol.Control.stop`."""
        client = await self.connect()
        namespace = self._namespace(handle)
        pods = (await client.list(PODS, namespace=namespace, labels=selector(handle.id))).items
        try:
            await self._record_stop(client, handle, pods)
        finally:  # whatever happens to the record, the GPUs are given back
            await remove_children(client, handle, namespace=namespace, pods=pods, force=force)

    async def _record_stop(self, client: ApiClient, handle: Handle, pods: Sequence[JsonObject]) -> None:
        namespace, name = self._namespace(handle), object_name(handle.id)
        roots = Roots(client, namespace)
        root = await roots.get(handle.id)
        if root is None or ended_at(root):
            return
        try:
            job = await client.get(JOBS, namespace=namespace, name=name)
        except NotFound:
            job = None
        await roots.settle(root, job=job, pods=pods, otherwise=Phase.STOPPED)

    async def forget(self, handle: Handle) -> None:
        """See :meth:`~gpu_workbench.backends.protocol.Control.forget`."""
        client = await self.connect()
        if store_of(handle.spec) and handle.spec.kind is Kind.JOB:
            try:
                await self._stored(handle.spec).remove()
            except (
                WorkbenchError
            ) as error:  # what is stored may be read for longer than it should; the pods go all the same
                log.warning("What was stored of %s stays: %s", handle.id, error)
        await Roots(client, self._namespace(handle)).delete(handle.id)

    async def logs(self, handle: Handle, *, tail: int | None = None, rank: int = 0) -> str:
        """See :meth:`~gpu_workbench.backends.protocol.Control.logs`.

        Raises:
            NotFound: there is no pod any more, or its container has not started.
        """
        client = await self.connect()
        namespace = self._namespace(handle)
        pods = (await client.list(PODS, namespace=namespace, labels=selector(handle.id))).items
        head = head_pod(pods, node=rank // handle.spec.procs)
        if head is None:
            raise NotFound("There are no logs", why="its pod is gone, and its log with it")
        return await client.logs(namespace=namespace, pod=name_of(head), container=CONTAINER, tail=tail)

    async def open(self, handle: Handle) -> Channel:
        """See :meth:`~gpu_workbench.backends.protocol.Backend.open`.

        Raises:
            Unreachable: no head pod runs.
            PermissionDenied: the workload's Secret may not be read.
        """
        client = await self.connect()
        namespace = self._namespace(handle)
        connector = PodConnector(
            client, namespace=namespace, workload_id=handle.id, reach=self._chosen_reach()
        )
        try:
            secret, _ = await asyncio.gather(
                client.get(SECRETS, namespace=namespace, name=object_name(handle.id)), connector.find_pod()
            )
        except NotFound:
            raise Unreachable(
                "The session's agent cannot be reached", why="its Secret is gone: it was stopped"
            ) from None
        return Channel(
            connect=connector,
            token=secret_text(secret, TOKEN_KEY),
            certificate=secret_text(secret, CERTIFICATE_KEY),
        )

    async def kept(self, handle: Handle) -> Kept | None:
        """See :meth:`~gpu_workbench.backends.protocol.Control.kept`."""
        if handle.spec.kind is not Kind.JOB or store_of(handle.spec) is None:
            return None
        client, run_key = await self.connect(), b""
        with suppress(NotFound):
            secret = await client.get(SECRETS, namespace=self._namespace(handle), name=object_name(handle.id))
            run_key = secret_text(secret, RUN_KEY_KEY).encode()
        return StoredRun(self._stored(handle.spec), run_key=run_key)

    def _stored(self, spec: WorkloadSpec) -> StoreFiles:
        """A run's folder in its store."""
        store = parse_store(spec.store)
        if store.url:
            return UrlFiles(store, spec.id)
        return ClaimFiles(self._storekeeper.channel(spec), spec.id)

    async def scheduler(self, handle: Handle) -> SchedulerAddress:
        """See :meth:`~gpu_workbench.backends.dask.RunsDask.scheduler`."""
        await self.connect()
        return await self._schedulers.address(handle, namespace=self._namespace(handle))

    async def dashboard(self, handle: Handle) -> socket.socket:
        """See :meth:`~gpu_workbench.backends.dask.RunsDask.dashboard`."""
        await self.connect()
        return await self._schedulers.connect_dashboard(handle, namespace=self._namespace(handle))

    async def scale(self, handle: Handle, n_workers: int, *, group: str) -> None:
        """See :meth:`~gpu_workbench.backends.dask.RunsDask.scale`."""
        client, namespace = await self.connect(), self._namespace(handle)
        if n_workers < await clusters.size(client, handle, namespace=namespace, group=group):
            with suppress(WorkbenchError), closing(await self.open(handle)) as channel:
                await channel.dask({"shrink": group})  # or the default group is what shrinks
        await clusters.scale(client, handle, n_workers, namespace=namespace, group=group)

    async def adapt(self, handle: Handle, *, minimum: int, maximum: int) -> None:
        """See :meth:`~gpu_workbench.backends.dask.RunsDask.adapt`."""
        client, namespace = await self.connect(), self._namespace(handle)
        await clusters.adapt(client, handle, namespace=namespace, minimum=minimum, maximum=maximum)

    async def wake(self, handle: Handle) -> bool:
        """See :meth:`~gpu_workbench.backends.dask.RunsDask.wake`."""
        return await clusters.wake(await self.connect(), handle, namespace=self._namespace(handle))

    async def worker_logs(self, handle: Handle) -> dict[str, str]:
        """See :meth:`~gpu_workbench.backends.dask.RunsDask.worker_logs`."""
        client, namespace = await self.connect(), self._namespace(handle)
        pods = (await client.list(PODS, namespace=namespace, labels=selector(handle.id))).items
        found = {}
        for pod in pods:
            with suppress(NotFound):
                found[name_of(pod)] = await client.logs(
                    namespace=namespace, pod=name_of(pod), container=CONTAINER
                )
        return found

    async def examine(self, spec: WorkloadSpec) -> tuple[Check, ...]:
        """See :meth:`~gpu_workbench.backends.checks.Examinable.examine`."""
        client = await self.connect()
        namespace = spec.placement.namespace or self._namespace()
        return tuple(await examine(client, namespace=namespace, spec=spec))

    async def role(self) -> str:
        """See :meth:`~gpu_workbench.backends.checks.GivesRole.role`. Without a cluster it is for nobody yet."""
        await self.connect()
        user = ""
        with suppress(BackendError):
            user = await self._user()
        return role_yaml(namespace=self._namespace(), user=user)

    async def capacity(self, *, owner: str) -> Capacity:
        """See :meth:`~gpu_workbench.backends.protocol.CountsGpus.capacity`."""
        await self.connect()
        return await capacity.count(self._watching.lists, namespace=self._namespace(), owner=owner)

    async def set_secret(self, name: str, variable: str, value: str) -> bool:
        """See :meth:`~gpu_workbench.backends.checks.KeepsSecrets.set_secret`."""
        return await (await self._secrets()).put(name, variable, value)

    async def secrets(self) -> tuple[tuple[str, tuple[str, ...], float], ...]:
        """See :meth:`~gpu_workbench.backends.checks.KeepsSecrets.secrets`."""
        return tuple(await (await self._secrets()).list())

    async def remove_secret(self, name: str) -> None:
        """See :meth:`~gpu_workbench.backends.checks.KeepsSecrets.remove_secret`."""
        await (await self._secrets()).remove(name)

    async def _secrets(self) -> UserSecrets:
        client, owner = await self.connect(), await self.owner()
        return UserSecrets(client, self._namespace(), owner)

    async def close(self) -> None:
        """See :meth:`~gpu_workbench.backends.protocol.Control.close`."""
        for task in self._forgetting:
            task.cancel()
        if self._client is not None:
            await self._schedulers.close()
            with suppress(WorkbenchError):  # the pods end by themselves
                await self._storekeeper.close()
            await self._client.close()
            self._client = None

    def _namespace(self, handle: Handle | None = None) -> str:
        own = self._access.namespace if self._access else ""
        return (
            (handle.address.get("namespace") if handle else "") or self._wanted_namespace or own or "default"
        )

    def _chosen_reach(self) -> Reach:
        inside = self._access is not None and self._access.in_cluster
        return Reach.PORT_FORWARD if self._reach is Reach.AUTO and not inside else self._reach

    def _handle(self, spec: WorkloadSpec, root: JsonObject) -> Handle:
        address = {"namespace": spec.placement.namespace, "context": self._context}
        started = seconds(text(root, "metadata", "creationTimestamp"))
        ended = bool(ended_at(root))
        return Handle(spec=spec, backend=self.name, started=started, address=address, ended=ended)

    def _readable(self, root: JsonObject) -> Handle | None:
        """What a root tells, read once for each of its versions."""
        uid, version = uid_of(root), text(root, "metadata", "resourceVersion")
        known, handle = self._readings.get(uid, ("", None))
        if known != version:
            handle = self._read(root)
            self._readings[uid] = version, handle
        return handle

    def _read(self, root: JsonObject) -> Handle | None:
        try:
            return self._handle(spec_of_root(root), root)
        except ProtocolError as error:
            log.warning("ConfigMap %s is left alone: %s", name_of(root), error)
            return None
