"""What a line asks for, as the spec of a workload."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gpu_workbench.app.config import Config
from gpu_workbench.app.notebook import Notebook
from gpu_workbench.app.profiles import Profile, pick, read_profiles
from gpu_workbench.app.settings import Settings
from gpu_workbench.app.shipping.project import project_folder as mirrored_folder
from gpu_workbench.core.model import Kind
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import DEFAULT_SESSION, WorkloadSpec, with_fields
from gpu_workbench.surfaces.flags import TARGET_FLAGS, WORKLOAD_FLAGS, CellFlags

DEFAULT_GPUS = Gpus(1)
"""What ``%%gpu`` means where nobody says how many. ``--gpus 0`` asks for none."""

IMAGE_OF_THE_NOTEBOOK = "JUPYTER_IMAGE_SPEC"
"""The environment variable in which a hub says the image the notebook itself runs in."""


@dataclass(frozen=True)
class Request:
    """What was asked for, understood, and the settings under which it was.

    Args:
        spec: What a new session or run would be.
        asked: The dotted fields that were given in so many words.
    """

    config: Config
    profile: Profile
    spec: WorkloadSpec
    asked: Mapping[str, object]

    @property
    def backend(self) -> str:
        """Where it runs."""
        return self.config.settings.backend


def understand(flags: CellFlags, config: Config, *, owner: str, notebook: Notebook, folder: Path) -> Request:
    """What the flags ask for under these settings.

    Args:
        flags: What was typed.
        config: The settings in force, the flags' own among them.
        owner: Hash of the user's name.
        notebook: From which it is asked.
        folder: Where its code runs.

    Raises:
        ProfileError: there is no such profile, or one is wrong.
    """
    profile = pick(read_profiles(config.files), config.settings.profile)
    spec = build_spec(
        flags, profile=profile, settings=config.settings, id="", owner=owner, notebook=notebook.id
    )
    folder_there = work_dir(folder, backend=config.settings.backend)
    spec = replace(spec, work_dir=folder_there, notebook_path=notebook.shown)
    named = profile if flags.profile else None
    asked = workload_fields(flags, profile=named, backend=config.settings.backend)
    return Request(config, profile, spec, asked)


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


def work_dir(folder: Path, *, backend: str) -> str:
    """Where code runs: in ``folder`` itself on this machine, elsewhere in its place within the mirrored project."""
    if backend == "local":
        return str(folder)
    place = folder.resolve().relative_to(mirrored_folder(folder)).as_posix()
    return "" if place == "." else place


@functools.lru_cache(maxsize=8)
def project_folder(folder: Path) -> Path:
    """The git root above ``folder``, else ``folder`` itself."""
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate
    return folder
