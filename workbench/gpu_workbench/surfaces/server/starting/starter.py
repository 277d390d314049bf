"""Sessions that are started from a form: no notebook holds them, and any notebook of the user may use them by name."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path, PurePosixPath

from gpu_workbench.app import config as configuration
from gpu_workbench.app.board import Board, Target
from gpu_workbench.app.config import Config
from gpu_workbench.app.notebook import Notebook
from gpu_workbench.app.profiles import DEFAULT_PROFILE, read_profiles
from gpu_workbench.app.sessions import lives, new_id
from gpu_workbench.app.shared_profiles import SharedProfiles
from gpu_workbench.backends.local.lease import visible_gpus
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.core.errors import (
    BackendError,
    FlagError,
    ProfileError,
    StartFailed,
    UsageError,
    WorkbenchError,
)
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import WorkloadSpec
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.surfaces.asking import would_start
from gpu_workbench.surfaces.flags import CellFlags
from gpu_workbench.surfaces.request import asked_settings, project_folder, understand
from gpu_workbench.surfaces.server.errors import FieldsRefused
from gpu_workbench.surfaces.server.starting import form as forms
from gpu_workbench.surfaces.server.starting.form import Asked, StartOptions, StartProfile, StartTarget

NAMED = "gpu-{}"
"""What a session is called that is given no name: ``gpu-1``, ``gpu-2``, …"""


@dataclass(frozen=True)
class StartPlan:
    """What a form asks for. Nothing was started.

    Args:
        words: In one sentence.
        note: What else there is to know of it.
        name: What the session would be called.
        idle_limit: Seconds without a running cell after which it would end itself.
        price: Of all its GPUs for one hour; ``None`` where no price is configured.
    """

    words: str
    name: str
    idle_limit: float
    note: str = ""
    price: float | None = None
    currency: str = ""


@dataclass(frozen=True)
class Started:
    """A session that was started; it may wait long before it runs.

    Args:
        line: The magic line of a cell that runs in it.
    """

    id: str
    name: str
    line: str


class Starter:
    """Starts sessions where the board looks.

    Args:
        board: Knows the backends, and which sessions there are.
        root: The folder that the server serves.
    """

    def __init__(self, board: Board, *, root: Path) -> None:
        self._board = board
        self._root = root
        self._shared_profiles = SharedProfiles()
        self._one_at_a_time = asyncio.Lock()

    async def options(self) -> StartOptions:
        """What the form offers.

        Raises:
            ProfileError: a file with settings or profiles, or what a backend shares of them, is wrong.
        """
        default, names = self._config(CellFlags()).settings.backend, self._board.targets
        configs = {name: await self._config_of(name) for name in names}
        profiles = [one for config in configs.values() for one in read_profiles(config.files).values()]
        gpus = [profile.values.get("gpus") for profile in profiles]
        kinds = dict.fromkeys(one.kind for one in gpus if isinstance(one, Gpus) and one.kind)
        return StartOptions(
            target=default if default in names else names[0],
            targets=tuple(self._target(name, config) for name, config in configs.items()),
            fields=forms.fields(kinds=tuple(kinds)),
        )

    async def _config_of(self, name: str) -> Config:
        """The settings for a target. One that cannot be asked shares nothing, so that the form opens all the same."""
        config, target = self._config(CellFlags(backend=name)), self._board.target(name)
        assert target is not None
        with contextlib.suppress(BackendError):
            return await self._shared_profiles.added_to(config, target.backend)
        return config

    def _target(self, name: str, config: Config) -> StartTarget:
        settings, profiles = config.settings, read_profiles(config.files)
        made = []
        for one in profiles:
            flags = CellFlags(backend=name, profile=one)
            of_profile = replace(self._config(flags), files=config.files)
            made.append(StartProfile(one, forms.defaults(_spec(flags, of_profile, self._root))))
        place = [settings.context, settings.namespace] if name != "local" else []
        title = "This machine" if name == "local" else " · ".join(["Cluster", *filter(None, place)])
        profile = settings.profile if settings.profile in profiles else DEFAULT_PROFILE
        return StartTarget(name, title, profile, tuple(made))

    async def plan(self, form: JsonObject) -> StartPlan:
        """What a form asks for, while somebody looks at the board.

        Raises:
            FieldsRefused: it cannot be meant; says which fields.
            ProfileError: a file with settings or profiles is wrong.
        """
        target, spec = await self._understand(forms.read(form))
        spec = replace(spec, name=await self._name(target.backend, spec.name))
        placement, gpus = spec.placement, spec.resources.gpus.count
        return StartPlan(
            words=would_start(spec, backend=target.backend.name),
            note=await asyncio.to_thread(_note, gpus) if target.backend.name == "local" else "",
            name=spec.name,
            idle_limit=spec.idle_limit,
            price=None if placement.price is None else placement.price * gpus,
            currency=placement.currency,
        )

    async def start(self, form: JsonObject) -> Started:
        """Start a session and return at once, while somebody looks at the board. Where it fails, nothing is left of it.

        Raises:
            FieldsRefused, ProfileError: as :meth:`plan`.
            BackendError: the backend refuses.
            StartFailed: this machine cannot.
        """
        async with self._one_at_a_time:  # so that a second click is told that the name is taken
            target, spec = await self._understand(forms.read(form))
            await self._board.refresh(target.backend.name)
            name = await self._name(target.backend, spec.name)
            spec = replace(spec, id=new_id(), name=name, owner=await target.owner())
            try:
                await _start(target.backend, spec)
            except BaseException:
                await self._board.discard(spec.id)
                raise
            await self._board.refresh(target.backend.name)
        return Started(spec.id, spec.name, self._line(target.backend.name, spec.name))

    async def _understand(self, asked: Asked) -> tuple[Target, WorkloadSpec]:
        """Where, and what; its name is what was typed."""
        target = self._targeted(asked.flags.backend)
        flags = replace(asked.flags, backend=target.backend.name)
        folder = self._folder(asked.folder)
        config = await self._shared_profiles.added_to(self._config(flags), target.backend)
        try:
            spec = _spec(flags, config, folder)
        except ProfileError as error:
            if not flags.profile:
                raise
            raise FieldsRefused({"profile": error}) from None
        if target.backend.name != "local" and not spec.image:
            fix = "Give one, or set `image` in a profile; it needs Python 3.10 and ipykernel"
            raise FieldsRefused({"image": UsageError("There is no image to run in", fix=fix)})
        # No notebook holds it: that none is connected does not say that it was forgotten.
        alone = max(spec.orphan_limit, spec.idle_limit)
        return target, replace(spec, name=flags.session, any_notebook=True, orphan_limit=alone)

    def _targeted(self, name: str) -> Target:
        """The backend that was chosen, else the one of the settings."""
        names = self._board.targets
        default = self._config(CellFlags()).settings.backend
        target = self._board.target(name or (default if default in names else names[0]))
        if target is None:
            fix = "Set `backend` in its settings, and start it again"
            raise FieldsRefused({"backend": FlagError(f"This server does not look at {name}", fix=fix)})
        return target

    def _config(self, flags: CellFlags) -> Config:
        return configuration.load(project=project_folder(self._root), flags=asked_settings(flags), used={})

    def _folder(self, path: str) -> Path:
        place = PurePosixPath(path.strip("/"))
        folder = self._root / place
        if ".." in place.parts or not folder.is_dir():
            fix = "Write the path of one below the folder that this server serves"
            raise FieldsRefused({forms.FOLDER: FlagError(f"{path!r} is no folder here", fix=fix)})
        return folder

    async def _name(self, backend: Backend, wanted: str) -> str:
        """The name that was typed, else one that is free.

        Raises:
            FieldsRefused: a session that has not ended is called so.
        """
        taken = {
            one.handle.spec.name: one.handle
            for one in self._board.workloads.values()
            if one.handle.backend == backend.name and not one.handle.ended and not one.subscription.over
        }
        if not wanted:
            return next(name for number in count(1) if (name := NAMED.format(number)) not in taken)
        if wanted in taken and await lives(backend, taken[wanted]):
            fix = "Choose another name, or stop that one first"
            raise FieldsRefused({"session": FlagError(f"There is a session {wanted!r} already", fix=fix)})
        return wanted

    def _line(self, backend: str, name: str) -> str:
        elsewhere = backend != self._config(CellFlags()).settings.backend
        return f"%%gpu --backend {backend} --session {name}" if elsewhere else f"%%gpu --session {name}"


def _spec(flags: CellFlags, config: Config, folder: Path) -> WorkloadSpec:
    return understand(flags, config, owner="", notebook=Notebook(), folder=folder).spec


def _note(asked: int) -> str:
    """What this machine lacks of what was asked for."""
    there = len(visible_gpus())
    if asked <= there:
        return ""
    return f"This machine has {there} of them" if there else "This machine has no GPU: cells run on its CPU"


async def _start(backend: Backend, spec: WorkloadSpec) -> None:
    """Start it, or leave nothing of it."""
    try:
        await backend.start(spec)
    except BaseException as error:
        with contextlib.suppress(WorkbenchError, OSError):
            handle = await backend.find(spec.id)
            if handle is not None:
                await backend.forget(handle)
        if isinstance(error, OSError | ValueError):
            raise StartFailed("The session could not be started", why=str(error)) from error
        raise
