"""What a line or a call asks of a Dask cluster, as the spec of a workload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gpu_workbench.app.config import Config
from gpu_workbench.app.dask.opening import DEFAULT_NAME, cluster_named
from gpu_workbench.app.workbench import Workbench
from gpu_workbench.core.model import Kind
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import DaskCluster, Handle, WorkloadSpec, with_fields
from gpu_workbench.surfaces.command_lines import CommandFlags, parse_command
from gpu_workbench.surfaces.commands import MAGIC, commands_of
from gpu_workbench.surfaces.flags import DASK_FLAGS, CellFlags, as_words
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.request import Request


@dataclass(frozen=True)
class ClusterRequest:
    """A Dask cluster that was asked for.

    Args:
        config: The settings in force.
        spec: What a new one would be.
        asked: The dotted fields that were given in so many words.
        adapt: The bounds between which its size follows its tasks; ``None`` where it does not.
    """

    config: Config
    spec: WorkloadSpec
    asked: Mapping[str, object]
    adapt: tuple[int, int] | None = None

    @property
    def backend(self) -> str:
        """Where it runs."""
        return self.config.settings.backend


def cluster_request(here: Here, flags: CommandFlags) -> ClusterRequest:
    """The cluster that the flags ask for.

    Raises:
        ProfileError, BackendError: as of any other request.
    """
    request = here.request(flags)
    own: dict[str, object] = {}
    for flag in DASK_FLAGS:
        value = getattr(flags, flag.key)
        if flag.field and value not in (None, ()):
            own[flag.field] = dict(value) if flag.key == "group" else value
    if (
        flags.adapt is not None and flags.n_workers is None
    ):  # on this machine devices are held from the start on
        own["dask.n_workers"] = flags.adapt[1 if request.backend == "local" else 0]
    spec = replace(request.spec, kind=Kind.DASK, name=flags.name or DEFAULT_NAME, dask=DaskCluster())
    asked = {**request.asked, **own}
    if flags.adapt is not None:  # its size is its own matter from then on
        asked.pop("dask.n_workers", None)
    return ClusterRequest(request.config, with_fields(spec, own), asked, flags.adapt)


def flags_of(given: Mapping[str, object]) -> CommandFlags:
    """The same flags from keyword arguments: ``n_workers=4, gpus=1, group={"cpu": 4}``.

    Raises:
        FlagError: there is no such argument, or it is wrong.
    """
    return parse_command(["dask", *as_words(given, commands_of(MAGIC)["dask"].flags)]).flags


def driver_request(here: Here, flags: CellFlags) -> Request:
    """The session that drives the cluster ``flags.dask``: beside its scheduler, with the cluster's image and mounts.

    Raises:
        RunNotFound: there is no such cluster.
    """
    request = here.request(replace(flags, dask=""))
    workbench = here.workbench(request.config)
    cluster = here.portal.call(
        cluster_named, workbench, request.backend, flags.dask, owner=request.spec.owner
    )
    spec = driver_spec(request, cluster.handle)
    here.portal.call(_end_former, workbench, request.backend, spec)
    return replace(request, spec=spec)


async def _end_former(workbench: Workbench, backend: str, spec: WorkloadSpec) -> None:
    """A driver outlives a cluster that has ended by itself, under the name that the next one's has."""
    for handle in await workbench.backend(backend).list(owner=spec.owner):
        former = handle.spec
        if former.name == spec.name and former.drives not in ("", spec.drives) and not handle.ended:
            await workbench.stop(backend, handle)


def driver_spec(request: Request, cluster: Handle) -> WorkloadSpec:
    """What the driver of a cluster is like: as its workers are, without their GPUs, unless the line says otherwise."""
    like, own = cluster.spec, request.spec
    spec = replace(
        own,
        name=f"{like.name}-driver",
        drives=cluster.id,
        image=like.image,
        python=like.python,
        env=like.env,
        volumes=like.volumes,
        placement=like.placement,
        resources=replace(like.resources, gpus=Gpus(0)),
    )
    return with_fields(spec, {name: _added(spec, name, value) for name, value in request.asked.items()})


def _added(spec: WorkloadSpec, name: str, value: object) -> object:
    """What a field becomes by what is asked: volumes, variables and secrets add up, as over a profile's."""
    if name == "env" and isinstance(value, Mapping):
        return {**spec.env, **value}
    if name == "placement.secrets" and isinstance(value, tuple):
        return tuple(dict.fromkeys((*spec.placement.secrets, *value)))
    if name == "volumes" and isinstance(value, tuple):
        taken = {volume.path for volume in value}
        return (*(volume for volume in spec.volumes if volume.path not in taken), *value)
    return value
