"""What a line asks for, as the spec of a workload."""

from __future__ import annotations

import os

from gpu_workbench.app.profiles import Profile
from gpu_workbench.app.settings import Settings
from gpu_workbench.core.model import Kind
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import DEFAULT_SESSION, WorkloadSpec, with_fields
from gpu_workbench.surfaces.flags import TARGET_FLAGS, WORKLOAD_FLAGS, CellFlags

DEFAULT_GPUS = Gpus(1)
"""What ``%%gpu`` means where nobody says how many. ``--gpus 0`` asks for none."""

IMAGE_OF_THE_NOTEBOOK = "JUPYTER_IMAGE_SPEC"
"""The environment variable in which a hub says the image the notebook itself runs in."""


def notebook_image() -> str:
    """The image that this notebook runs in; empty where nobody says."""
    return os.environ.get(IMAGE_OF_THE_NOTEBOOK, "")


def asked_settings(flags: CellFlags) -> dict[str, str]:
    """The settings that a line gives as flags, for :func:`gpu_workbench.app.config.load`."""
    given = {name: getattr(flags, name) for name in ("backend", "context", "namespace", "profile")}
    return {name: value for name, value in given.items() if value}


def workload_fields(
    flags: CellFlags, *, profile: Profile | None = None, backend: str = ""
) -> dict[str, object]:
    """The dotted fields of ``WorkloadSpec`` that were asked for in so many words; a living session may contradict them.

    Args:
        flags: What the line says.
        profile: The profile, where ``--profile`` named it on this line; a flag beside it wins.
        backend: Where it would run: on ``local`` a profile says less.
    """
    asked = {} if profile is None else profile.fields(backend=backend)
    for flag in (*WORKLOAD_FLAGS, *TARGET_FLAGS):
        value = getattr(flags, flag.key)
        if flag.field and value not in (None, "", ()):
            asked[flag.field] = dict(value) if flag.key == "env" else value
    return asked


def build_spec(
    flags: CellFlags,
    *,
    profile: Profile,
    settings: Settings,
    id: str,
    owner: str,
    notebook: str,
) -> WorkloadSpec:
    """The whole spec of a new session, or of a detached run.

    A flag wins over the profile, the profile over what is built in; volumes, variables and secrets add up.

    Args:
        flags: What the line says.
        profile: The profile that holds: that of the flags, else of the settings.
        settings: What holds, the line's flags included.
        id: The client's own id for it.
        owner: Hash of the user's name.
        notebook: Identity of the notebook; empty where there is none.
    """
    detached = flags.detach
    spec = WorkloadSpec(
        id=id,
        kind=Kind.JOB if detached else Kind.SESSION,
        name=flags.name if detached else flags.session or DEFAULT_SESSION,
        owner=owner,
        notebook=notebook,
    )
    spec = with_fields(spec, {"resources.gpus": DEFAULT_GPUS, **profile.fields(backend=settings.backend)})
    asked = workload_fields(flags)
    taken = {volume.path for volume in flags.volume}
    asked["volumes"] = (*(volume for volume in spec.volumes if volume.path not in taken), *flags.volume)
    asked["env"] = {**spec.env, **dict(flags.env)}
    asked["placement.secrets"] = tuple(dict.fromkeys((*spec.placement.secrets, *flags.secret)))
    spec = with_fields(spec, asked)
    if settings.backend == "local":
        return spec
    cluster: dict[str, object] = {
        "placement.context": settings.context,
        "placement.namespace": settings.namespace,
        "image": spec.image or notebook_image(),
    }
    return with_fields(spec, cluster)
