"""Who and where this process is: its notebook, its settings, and the workbench that all surfaces of it share."""

from __future__ import annotations

import concurrent.futures
import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu_workbench.app import config as configuration
from gpu_workbench.app.notebook import find_notebook, local_owner
from gpu_workbench.app.portal import Portal, portal
from gpu_workbench.app.profiles import read_profiles
from gpu_workbench.app.shared_profiles import SharedProfiles
from gpu_workbench.app.twins import Twins
from gpu_workbench.app.workbench import Workbench
from gpu_workbench.core.errors import WorkbenchError
from gpu_workbench.core.model import Workload
from gpu_workbench.core.spec import Handle
from gpu_workbench.surfaces.backends import make_backend
from gpu_workbench.surfaces.flags import CellFlags
from gpu_workbench.surfaces.request import (
    Request,
    asked_settings,
    notebook_image,
    project_folder,
    understand,
)

KNOWN_WITHIN = 1.0
"""Seconds that completion waits for the names of runs."""


@dataclass
class Installed:
    """What pip was asked to install into a session, and the ids of the sessions that have it."""

    lines: list[tuple[str, ...]] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)


@dataclass
class Here:
    """This process as its user's place of work.

    Args:
        namespace: The notebook's globals, or a script's.
        used: Settings that ``%gpu use`` made in this kernel.
        twins: Of which differing copies the user was told.
        installed: Backend and session to what pip was asked to install there.
        clusters: The Dask clusters that this process is connected to, by id.
    """

    namespace: dict[str, Any]
    used: dict[str, str] = field(default_factory=dict)
    portal: Portal = portal
    twins: Twins = field(default_factory=Twins)
    installed: dict[tuple[str, str], Installed] = field(default_factory=dict)
    clusters: dict[str, Any] = field(default_factory=dict)
    _shared_profiles: SharedProfiles = field(default_factory=SharedProfiles)
    _workbenches: dict[tuple[str, ...], Workbench] = field(default_factory=dict)
    _understood: tuple[tuple[object, ...], Request] | None = None

    def config(self, flags: Mapping[str, str] | None = None) -> configuration.Config:
        """The settings in force for a line with these flags."""
        return configuration.load(project=project_folder(Path.cwd()), flags=flags or {}, used=self.used)

    def request(self, flags: CellFlags) -> Request:
        """What a line asks for; the same again where the same is asked and nothing has changed."""
        config = self.with_shared_profiles(self.config(asked_settings(flags)))
        owner = self.owner(config)
        notebook = find_notebook(owner=local_owner(), namespace=self.namespace)
        asked = (flags, config, owner, notebook, Path.cwd(), notebook_image())
        if self._understood is None or self._understood[0] != asked:
            self._understood = (
                asked,
                understand(flags, config, owner=owner, notebook=notebook, folder=Path.cwd()),
            )
        return self._understood[1]

    def with_shared_profiles(self, config: configuration.Config) -> configuration.Config:
        """The settings, with the profiles that everybody has where they say that workloads live.

        Raises:
            ProfileError: those are wrong.
            BackendError: the backend cannot be asked.
        """
        if config.settings.backend == "local":
            return config
        backend = self.workbench(config).backend(config.settings.backend)
        return self.portal.call(self._shared_profiles.added_to, config, backend)

    def owner(self, config: configuration.Config) -> str:
        """Whose workloads these are, as the backend knows its users."""
        if config.settings.backend == "local":
            return local_owner()
        backend = self.workbench(config).backend(config.settings.backend)
        find: Any = getattr(backend, "owner", None)
        return self.portal.call(find) if find is not None else local_owner()

    def living(self) -> list[tuple[Handle, Workload]]:
        """The sessions that this process uses, as far as it knows them now."""
        sessions = (known for workbench in self._workbenches.values() for known in workbench.sessions.all())
        return [(session.handle, session.workload) for session in sessions]

    def known(self) -> tuple[list[str], list[str], list[str]]:
        """For completion: names and ids of runs, names of profiles, and names of sessions. What takes long is left out."""
        sessions = [handle.spec.name for handle, _ in self.living()]
        try:
            config = self.config()
            asking = self.portal.submit(self._runs_and_profiles(config))
            runs, profiles = asking.result(KNOWN_WITHIN)
        except (WorkbenchError, concurrent.futures.TimeoutError):
            return [], [], sessions
        return runs, profiles, sessions

    async def _runs_and_profiles(self, config: configuration.Config) -> tuple[list[str], list[str]]:
        backend = self.workbench(config).backend(config.settings.backend)
        profiles = read_profiles((await self._shared_profiles.added_to(config, backend)).files)
        find: Any = getattr(backend, "owner", None)
        owner = await find() if find is not None else local_owner()
        found = await backend.list(owner=owner)
        return [name for handle in found for name in (handle.spec.name, handle.id) if name], [*profiles]

    def workbench(self, config: configuration.Config) -> Workbench:
        """The workbench for these settings; sessions are kept over changes of what is not about where."""
        settings = config.settings
        key = (settings.backend, settings.context, settings.namespace, str(settings.state_dir))
        made = self._workbenches.get(key)
        if made is None:
            make = functools.partial(make_backend, config=config)
            made = self._workbenches[key] = Workbench(settings, self.namespace, make)
            self.portal.before_end(made.close)
        made.settings = settings
        return made


_shared: dict[int, Here] = {}


def shared(namespace: dict[str, Any] | None = None) -> Here:
    """The one that all surfaces of this process share, so that they know the same sessions.

    Args:
        namespace: The notebook's globals; those of the running IPython shell, else of ``__main__``, where not given.
    """
    if namespace is None:
        namespace = _globals_here()
    return _shared.setdefault(id(namespace), Here(namespace))


def _globals_here() -> dict[str, Any]:
    if "IPython" in sys.modules:
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
        if shell is not None:
            found: dict[str, Any] = shell.user_ns
            return found
    return vars(sys.modules["__main__"])
