"""The project folder mirrored into a session on another machine: before each cell, what has changed and nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from gpu_workbench.app.shipping.project import TOTAL_LIMIT, FileEntry, Mirror, Project, change
from gpu_workbench.backends.channel import Channel
from gpu_workbench.core.errors import ShippingError
from gpu_workbench.core.wire import Json, JsonObject
from gpu_workbench.transport import tar

ATTEMPTS = 3
"""How often files that change while they are sent are looked at again."""

Progress = Callable[[str, int, int], None]

_NAMED = 3


class MirroredFiles:
    """What one session's mirror holds.

    Args:
        folder: The project's folder.
        start: The folder within it that cells run in.
        limit: Bytes of all files together.
    """

    def __init__(self, folder: Path, *, start: Path, limit: int = TOTAL_LIMIT) -> None:
        self.project = Project(folder, total_limit=limit)
        self._start = start
        self._sent: Mapping[str, FileEntry] | None = None
        self._mirror = Mirror()
        self._said: tuple[str, ...] = ()

    async def bring(self, channel: Channel, *, progress: Progress | None = None) -> list[str]:
        """Make the mirror what the project is now. Returns sentences that the user should read.

        Raises:
            ShippingError: files change faster than they can be sent.
        """
        for _ in range(ATTEMPTS):
            self._mirror = await asyncio.to_thread(self.project.scan)
            try:
                await self._send(channel, self._mirror.files, progress)
            except FileNotFoundError:  # it changed since: look again
                continue
            return self._left_out()
        raise unsteady(self.project.folder)

    async def _send(
        self, channel: Channel, wanted: Mapping[str, FileEntry], progress: Progress | None
    ) -> None:
        first = self._sent is None
        different = change(self._sent or {}, wanted)
        if not different and not first:
            return
        files: dict[str, Json] = {
            path: {"hash": entry.hash, "mode": entry.mode, "size": entry.size}
            for path, entry in different.files.items()
        }
        manifest: JsonObject = {"files": files, "remove": list(different.remove), "whole": first}
        missing = await channel.missing_files(manifest) if files else []
        if missing:
            sizes = {entry.hash: entry.size for entry in different.files.values()}
            await self._put(channel, {digest: sizes[digest] for digest in missing}, progress)
        await channel.commit_files(manifest)
        self._sent = wanted

    async def _put(self, channel: Channel, sizes: Mapping[str, int], progress: Progress | None) -> None:
        length = tar.contents_length(sizes.items())
        title = "1 file of the project" if len(sizes) == 1 else f"{len(sizes):,} files of the project"

        def read() -> Iterator[tuple[str, bytes]]:
            for digest in sizes:
                yield digest, self.project.content(digest)

        await channel.put_files(
            chunks=tar.contents(read()),
            length=length,
            progress=(lambda sent: progress(title, sent, length)) if progress else None,
        )

    def _left_out(self) -> list[str]:
        """What is not mirrored, once for each set of it."""
        left = tuple(f"{item.path} ({item.reason})" for item in self._mirror.left_out)
        if left == self._said:
            return []
        self._said = left
        if not left:
            return []
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        return [
            f"Not mirrored: {', '.join(left[:_NAMED])}{more}. "
            "`%gpu cp` sends a file once, --volume mounts data, project-limit allows more, .gitignore silences this"
        ]

    def why_absent(self, path: str) -> str:
        """What to do about a file that the session did not find though it is here; empty where it is not here either.

        Args:
            path: As the code gave it.
        """
        here = os.path.normpath(self._start / path)
        if Path(here).is_relative_to(self.project.folder):
            here = Path(here).relative_to(self.project.folder).as_posix()
        reason = self.project.why_absent(here, self._mirror)
        if reason:
            fix = f"`%gpu cp {path} :{path}` sends it, --volume mounts data"
            return f"{path} is here and not in the session: {reason}. {fix}"
        if Path(path).is_absolute() and Path(path).exists():
            return f"{path} is a path of this machine: give it relative to the notebook, and the session finds its own copy"
        return ""


def unsteady(folder: Path) -> ShippingError:
    """The files of ``folder`` change faster than they can be read."""
    return ShippingError(
        f"The files of {folder.name} cannot be sent",
        why="they change while they are being read",
        fix="Let what writes there end, or put its folder into .gitignore",
    )
