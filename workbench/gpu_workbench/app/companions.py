"""What goes with a session beside its variables: the project's files and modules, and a look at what the image lacks."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from gpu_workbench.app.files import MirroredFiles, Progress
from gpu_workbench.app.lacking import certain_imports, lacking_error
from gpu_workbench.app.reloading import ProjectModules, reload_notes
from gpu_workbench.app.shipping.imports import Needed, import_roots, imports_of, outside
from gpu_workbench.app.shipping.modules import Imported
from gpu_workbench.app.shipping.names import CellNames
from gpu_workbench.app.shipping.project import OUTSIDE, project_folder
from gpu_workbench.backends.channel import Channel
from gpu_workbench.core.spec import Handle
from gpu_workbench.core.wire import Json


class Companion:
    """Keeps one session in step with the project folder. On this machine nothing is copied: the folder is the same.

    Args:
        handle: The session.
        fresh: It was started just now, so that nothing was imported there yet.
        limit: Bytes of project files that are mirrored.
        start: The folder that the notebook runs in; this process's own by default.
    """

    def __init__(self, handle: Handle, *, fresh: bool, limit: int, start: Path | None = None) -> None:
        start = (start or Path.cwd()).resolve()
        folder = project_folder(start)
        self._backend = handle.backend
        self._start = start
        self._files = None if handle.backend == "local" else MirroredFiles(folder, start=start, limit=limit)
        self._modules = ProjectModules(folder, since=None if fresh else handle.started)
        self._imported = Imported(folder)
        self._roots: dict[str, None] = {}
        self._generation: int | None = None
        self._present: set[str] = set()
        self._one_at_a_time = asyncio.Lock()

    async def prepare(
        self,
        channel: Channel,
        names: CellNames,
        source: str,
        *,
        modules: Mapping[str, int],
        generation: int,
        offset: int = 0,
        progress: Progress | None = None,
    ) -> list[str]:
        """Before a cell runs: send files that changed, reload modules that changed, and check what is imported.

        Args:
            names: The cell, understood.
            source: And as it was written.
            modules: Modules that travel to it as variables, with the line that reads each.
            generation: Of the session's process; a new one has imported nothing.
            offset: Lines above the cell's first, for errors.
            progress: Called with what is being sent, the bytes sent of it and its length.

        Returns:
            Sentences that the user should read.

        Raises:
            UsageError: the cell imports for certain what is not there.
        """
        async with self._one_at_a_time:
            again = generation != self._generation
            if again:
                self._present.clear()
            imports = {**modules, **imports_of(names.tree)}
            notes = await self._bring(channel, imports, again=again, progress=progress)
            self._generation = generation
            certain = {**modules, **certain_imports(names.tree, source)}
            return notes + await self._check(channel, certain, offset=offset)

    async def _bring(
        self, channel: Channel, imports: Mapping[str, int], *, again: bool, progress: Progress | None
    ) -> list[str]:
        """Files and modules, as they are here now."""
        unknown = self._modules.unknown(imports)
        new_roots = self._learn(await asyncio.to_thread(self._modules.follow, unknown)) if unknown else False
        notes = await self._files.bring(channel, progress=progress) if self._files else []
        changed = await asyncio.to_thread(self._modules.changed) if self._modules.places else ()
        if changed or new_roots or (again and self._roots):
            paths: list[Json] = [*self._roots]
            answer = await channel.commit_files({"files": {}, "paths": paths, "reload": [*changed]})
            notes += reload_notes(answer)
            behind = self._imported.message() if changed else ""
            notes += [behind] if behind else []
        return notes

    def _learn(self, found: Needed) -> bool:
        """Where the session is to look for modules, from now on; whether there is a new place."""
        folder, before = self._modules.folder, len(self._roots)
        if self._files is None:
            places = {str(place.parent) for place in found.project.values()} - {str(self._start)}
            self._roots.update(dict.fromkeys(sorted(places)))
        else:
            from_elsewhere = outside(found.project, folder=folder)
            self._files.project.outside.update(from_elsewhere)
            own = self._start.relative_to(folder).as_posix()
            self._roots.update(
                {root: None for root in import_roots(found.project, folder=folder) if root != own}
            )
            if from_elsewhere:
                self._roots[OUTSIDE] = None
        return len(self._roots) > before

    async def _check(self, channel: Channel, certain: Mapping[str, int], *, offset: int) -> list[str]:
        known = self._present | self._modules.places.keys() | sys.stdlib_module_names | {"gpu_workbench"}
        unknown = {name: line for name, line in certain.items() if name not in known}
        if not unknown:
            return []
        lacking = await channel.lacking_modules(unknown)
        absent = {
            name: unknown[name] and unknown[name] + offset
            for name, word in lacking.items()
            if word == "absent"
        }
        self._present.update(unknown.keys() - absent.keys())
        if absent:
            raise lacking_error(absent, backend=self._backend)
        return [
            f"{name} there is built for the CPU alone and will not see the GPUs; choose another image with --image"
            for name, word in lacking.items()
            if word == "CPU-only"
        ]

    def why_absent(self, path: str) -> str:
        """What to do about a file that a cell did not find though it is here; empty where there is nothing to say."""
        return self._files.why_absent(path) if self._files else ""
