"""The root ConfigMap of each workload: made first, kept after the end with the final record, removed when that is old."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.resources import CONFIG_MAPS, DASK_CLUSTERS, JOBS, PODS
from gpu_workbench.core.errors import BackendError, Conflict, NotFound, WorkbenchError
from gpu_workbench.core.model import Kind, Phase
from gpu_workbench.core.objects import label, name_of, text
from gpu_workbench.core.spec import WorkloadSpec
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.job import KEPT, KEPT_STORED, root_manifest, spec_of_root
from gpu_workbench.engines.names import (
    ENDED_ANNOTATION,
    ID_LABEL,
    KIND_LABEL,
    OWNER_LABEL,
    RECORD_KEY,
    ROLE_LABEL,
    ROOT_ROLE,
    object_name,
    selector,
)
from gpu_workbench.engines.pod import store_of
from gpu_workbench.engines.status import ended_at, head_pod, job_finished, phase_of, record_of

log = logging.getLogger(__name__)


class Roots:
    """The roots of one namespace."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def create(self, spec: WorkloadSpec) -> tuple[JsonObject, bool]:
        """The workload's root, and whether it was made by this call.

        Raises:
            Conflict: another workload, or another owner's, has this id.
            AdmissionDenied, PermissionDenied, Unreachable, Throttled.
        """
        try:
            return await self._client.create(
                CONFIG_MAPS, root_manifest(spec), namespace=self._namespace
            ), True
        except Conflict:
            root = await self._client.get(CONFIG_MAPS, namespace=self._namespace, name=object_name(spec.id))
        if label(root, OWNER_LABEL) != spec.owner or spec_of_root(root) != spec:
            raise Conflict(
                f"There is another workload with the id {spec.id}",
                why=f"ConfigMap {name_of(root)} in namespace {self._namespace} was made for something else",
                fix="Start it again: ids are drawn anew each time",
            )
        if ended_at(root):
            raise Conflict(f"The workload {spec.id} has ended already", why=f"at {ended_at(root)}")
        return root, False

    async def get(self, workload_id: str) -> JsonObject | None:
        """The root of that id, or ``None``."""
        try:
            return await self._client.get(
                CONFIG_MAPS, namespace=self._namespace, name=object_name(workload_id)
            )
        except NotFound:
            return None

    async def of_owner(self, owner: str) -> tuple[JsonObject, ...]:
        """All roots of an owner."""
        labels = f"{ROLE_LABEL}={ROOT_ROLE},{OWNER_LABEL}={owner}"
        return (await self._client.list(CONFIG_MAPS, namespace=self._namespace, labels=labels)).items

    async def settle(
        self, root: JsonObject, *, job: JsonObject | None, pods: Sequence[JsonObject], otherwise: Phase
    ) -> None:
        """Keep in the root how the workload ended, before its pods and their messages are gone. Once is enough.

        Args:
            root: As it was read.
            job: Its Job, where there still is one.
            pods: Its pods.
            otherwise: The phase it ends in where its objects do not show an end.
        """
        if ended_at(root):
            return
        head = head_pod(pods)
        phase = phase_of(kind=spec_of_root(root).kind, root=root, job=job, head=head)
        outcome = phase if phase.ended and job is not None else otherwise
        record = {"version": 1, **(record_of(head) or {}), "outcome": outcome.value}
        ended = text(job, "status", "completionTime") or now()
        change: JsonObject = {
            "metadata": {"annotations": {ENDED_ANNOTATION: ended}},
            "data": {RECORD_KEY: json.dumps(record)},
        }
        await self._client.patch(CONFIG_MAPS, change, namespace=self._namespace, name=name_of(root))

    async def delete(self, workload_id: str) -> None:
        """Remove a root, and with it whatever is left of the workload."""
        await self._client.delete(CONFIG_MAPS, namespace=self._namespace, name=object_name(workload_id))

    async def sweep(
        self,
        roots: Sequence[JsonObject],
        *,
        owner: str,
        jobs: Iterable[JsonObject] | None = None,
        clusters: Iterable[JsonObject] | None = None,
    ) -> list[JsonObject]:
        """Settle what ended while nobody looked; returns what ended longer ago than it is kept.

        Args:
            roots: All roots of an owner.
            owner: Whose they are.
            jobs: All Jobs of that owner; ``None`` where they have yet to be read.
            clusters: All its DaskClusters; ``None`` as well.
        """
        try:
            living = [root for root in roots if not ended_at(root)]
            if jobs is None and living:
                jobs = await self._jobs(owner)
            if clusters is None and any(map(_is_dask, living)):
                clusters = await self._clusters(owner)
            holders = {label(found, ID_LABEL): found for found in [*(jobs or ()), *(clusters or ())]}
            looks = (self._sweep_one(root, holders.get(label(root, ID_LABEL))) for root in roots)
            expired = await asyncio.gather(*looks)
        except BackendError as error:
            log.warning("Ended workloads were not swept: %s", error)
            return []
        return [root for root, gone in zip(roots, expired, strict=True) if gone]

    async def _jobs(self, owner: str) -> tuple[JsonObject, ...]:
        labels = f"{OWNER_LABEL}={owner}"
        return (await self._client.list(JOBS, namespace=self._namespace, labels=labels)).items

    async def _clusters(self, owner: str) -> tuple[JsonObject, ...]:
        labels = f"{OWNER_LABEL}={owner}"
        try:
            return (await self._client.list(DASK_CLUSTERS, namespace=self._namespace, labels=labels)).items
        except NotFound:  # the operator is no longer installed, and all that it had made went with it
            return ()

    async def _sweep_one(self, root: JsonObject, job: JsonObject | None) -> bool:
        """Whether its time is over."""
        since = ended_at(root) or ("" if job else text(root, "metadata", "creationTimestamp"))
        if since and time.time() - seconds(since) > _kept(root):
            return True
        if job is not None and job_finished(job) and not ended_at(root):
            labels = selector(label(root, ID_LABEL))
            pods = await self._client.list(PODS, namespace=self._namespace, labels=labels)
            await self.settle(root, job=job, pods=pods.items, otherwise=Phase.LOST)
        if job is None and not ended_at(root) and _is_dask(root) and time.time() - seconds(since) > _MADE:
            await self.settle(
                root, job=None, pods=(), otherwise=Phase.STOPPED
            )  # its operator ended it: it was idle
        return False


_MADE = 120.0
"""Seconds after which all objects of a workload were made, or never will be."""


def _is_dask(root: JsonObject) -> bool:
    return label(root, KIND_LABEL) == Kind.DASK.value


def _kept(root: JsonObject) -> float:
    """Seconds for which a root is kept after the end; what cannot be read has no store."""
    try:
        return KEPT_STORED if store_of(spec_of_root(root)) else KEPT
    except WorkbenchError:
        return KEPT


def now() -> str:
    """The wall clock as Kubernetes writes it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(stamp: str) -> float:
    """Seconds since 1970 of a time as Kubernetes writes it; 0 for what is none."""
    try:
        return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
