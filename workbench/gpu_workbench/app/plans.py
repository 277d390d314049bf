"""What would happen: the plan behind ``--dry-run``. Nothing is started and nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gpu_workbench.app.detached import Package, ProjectFiles
from gpu_workbench.app.shipping.outgoing import Cargo
from gpu_workbench.backends.archive import agent_digest
from gpu_workbench.core.errors import UsageError
from gpu_workbench.core.spec import Handle, WorkloadSpec
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.dask import cluster_manifest, group_manifests
from gpu_workbench.engines.job import job_manifest, root_manifest, secret_manifest, service_manifest

UNKNOWN_UID = "given by the cluster"


@dataclass(frozen=True)
class Plan:
    """What a line would do.

    Args:
        spec: The workload that would be started, or is there.
        living: The session that would be used; ``None`` where one would be started.
        sent: Names that would be sent, with their bytes.
        there: Names that the session has already.
        missing: Names that the code reads and that are on neither side.
        project: The files that would lie beside the code.
        out: Names that would come back.
        sealed: The sealed files of a detached run; ``None`` of a session.
    """

    spec: WorkloadSpec
    living: Handle | None = None
    sent: Mapping[str, int] = field(default_factory=dict)
    there: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    project: ProjectFiles = field(default_factory=lambda: ProjectFiles({}))
    out: tuple[str, ...] = ()
    sealed: Mapping[str, bytes] | None = None


def of_session(
    spec: WorkloadSpec, *, living: Handle | None, cargo: Cargo, project: ProjectFiles, out: tuple[str, ...]
) -> Plan:
    """The plan of a cell in a session, or of a session alone."""
    chosen = cargo.selection
    return Plan(
        spec=living.spec if living else spec,
        living=living,
        sent={parcel.name: parcel.encoded.length for parcel in cargo.parcels},
        there=tuple(sorted(chosen.there | chosen.unchanged)),
        missing=tuple(sorted(chosen.missing)),
        project=project,
        out=out,
    )


def of_package(package: Package) -> Plan:
    """The plan of a detached run."""
    return Plan(
        spec=package.spec,
        sent=package.names,
        project=package.project,
        out=package.run.out,
        sealed=package.sealed.files,
    )


def objects(plan: Plan) -> list[JsonObject]:
    """The objects of Kubernetes that would be created, in their order, every secret left out.

    The ConfigMap with the agent's archive is shared by all workloads of a namespace, and not among them.

    Raises:
        UsageError: there would be none: it has no image.
    """
    spec = plan.spec
    if not spec.image:
        raise UsageError("There is no image to run in", fix="Give one with --image, or set it in a profile")
    spec = replace(spec, id=spec.id or "0" * 12)
    sealed = dict(plan.sealed or {})
    if spec.dask is not None:
        made = cluster_manifest(spec, root_uid=UNKNOWN_UID, archive_digest=agent_digest())
        groups = group_manifests(spec, root_uid=UNKNOWN_UID, archive_digest=agent_digest())
        secret = secret_manifest(spec, root_uid=UNKNOWN_UID, credentials=_CREDENTIALS, sealed={})
        return [root_manifest(spec), _without_secrets(secret), made, *groups]
    return [
        root_manifest(spec),
        _without_secrets(
            secret_manifest(spec, root_uid=UNKNOWN_UID, credentials=_CREDENTIALS, sealed=sealed)
        ),
        service_manifest(spec, root_uid=UNKNOWN_UID),
        job_manifest(spec, root_uid=UNKNOWN_UID, archive_digest=agent_digest(), sealed_paths=tuple(sealed)),
    ]


_CREDENTIALS = {"token": b"", "run.key": b"", "tls.crt": b"", "tls.key": b""}


def _without_secrets(manifest: JsonObject) -> JsonObject:
    data = manifest.pop("data", None)
    sizes = {key: len(str(value)) * 3 // 4 for key, value in data.items()} if isinstance(data, dict) else {}
    manifest["stringData"] = {
        key: f"(left out, about {size} bytes)" if size else "(left out)" for key, size in sizes.items()
    }
    return manifest
