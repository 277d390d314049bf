"""The folder of one detached run in its store, seen from outside: through fsspec, or through a pod with the volume."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from gpu_workbench.backends.channel import Channel
from gpu_workbench.backends.kept import TABLE, KeptFolder, KeptResult, read_table, result_of
from gpu_workbench.core.errors import BackendError, NotFound, Unreachable, UsageError
from gpu_workbench.core.events import Cursor
from gpu_workbench.core.store import Store
from gpu_workbench.transport import tar
from gpu_workbench.transport.remote import RemoteError, RemoteFolder

SEALED = "sealed"
JOURNAL = "journal"

P = ParamSpec("P")
T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Called with the bytes sent so far, and how many there are."""


class StoreFiles(Protocol):
    """The files of one run in its store."""

    async def write(self, files: Mapping[str, bytes], *, progress: Progress | None = None) -> None:
        """Write the sealed files.

        Raises:
            BackendError, UsageError: the store cannot be written from here.
        """
        ...

    async def fetch(self, name: str, target: Path) -> bool:
        """Bring a file, or a folder with all that is in it, here; ``False`` where there is none.

        Raises:
            BackendError, UsageError: the store cannot be read from here.
        """
        ...

    async def remove(self) -> None:
        """Take all of it away.

        Raises:
            BackendError, UsageError: the store cannot be written from here.
        """
        ...


class UrlFiles:
    """In a store that fsspec can write to, with what the notebook's environment says of credentials.

    Args:
        store: The store.
        workload_id: The run's id.
    """

    def __init__(self, store: Store, workload_id: str) -> None:
        self._store = store
        self._url = store.url_of(workload_id)

    async def write(self, files: Mapping[str, bytes], *, progress: Progress | None = None) -> None:
        """See :meth:`StoreFiles.write`."""
        folder = await self._open()
        size, sent = sum(map(len, files.values())), 0
        for name, content in files.items():
            await self._try(folder.put_bytes, f"{SEALED}/{name}", content)
            sent += len(content)
            if progress is not None:
                progress(sent, size)

    async def fetch(self, name: str, target: Path) -> bool:
        """See :meth:`StoreFiles.fetch`."""
        folder = await self._open()
        call = folder.get_folder if name == JOURNAL else folder.get
        return await self._try(call, name, target)

    async def remove(self) -> None:
        """See :meth:`StoreFiles.remove`."""
        await self._try((await self._open()).remove)

    async def _open(self) -> RemoteFolder:
        try:
            return await asyncio.to_thread(RemoteFolder, self._url)
        except RemoteError as error:
            raise UsageError(
                f"The store {self._store} cannot be used from here",
                why=str(error),
                fix=f"Install it beside the notebook: `pip install {error.missing}`" if error.missing else "",
            ) from None

    async def _try(self, call: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        try:
            return await asyncio.to_thread(call, *args, **options)
        except RemoteError as error:
            raise Unreachable(f"The store {self._store} does not do its work", why=str(error)) from None


class ClaimFiles:
    """On a volume, through the agent of a pod that has it.

    Args:
        open: Gives a channel to that agent.
        workload_id: The run's id.
    """

    def __init__(self, open: Callable[[], Awaitable[Channel]], workload_id: str) -> None:
        self._open = open
        self._id = workload_id

    async def write(self, files: Mapping[str, bytes], *, progress: Progress | None = None) -> None:
        """See :meth:`StoreFiles.write`."""
        length = tar.contents_length((name, len(content)) for name, content in files.items())
        channel = await self._open()
        await channel.put_archive(
            f"{self._id}/{SEALED}",
            name="",
            file=False,
            chunks=tar.contents(files.items()),
            length=length,
            progress=(lambda sent: progress(sent, length)) if progress else None,
        )

    async def fetch(self, name: str, target: Path) -> bool:
        """See :meth:`StoreFiles.fetch`."""
        channel = await self._open()
        try:
            reply = await channel.get_archive(f"{self._id}/{name}")
        except NotFound:
            return False
        try:
            await tar.unpack(reply.readinto, target, length=reply.length)
        except (OSError, tar.BadArchive) as error:
            raise BackendError(f"{name} cannot be read from the store", why=_words(error)) from None
        finally:
            reply.close()
        return True

    async def remove(self) -> None:
        """See :meth:`StoreFiles.remove`."""
        await (await self._open()).remove_archive(self._id)


class StoredRun:
    """What is left of a run in its store, brought here part by part, as it is asked for.

    Args:
        files: Its folder there.
        run_key: The key its results were signed with; empty where that is gone.
    """

    near = False

    def __init__(self, files: StoreFiles, *, run_key: bytes) -> None:
        self._files = files
        self._here = tempfile.TemporaryDirectory(prefix="gwb-stored-")
        self._table: dict[str, object] | None = None
        self._journal_here = False
        self.run_key = run_key

    @property
    def _folder(self) -> Path:
        return Path(self._here.name)

    async def journal(self, after: Cursor = Cursor.START) -> AsyncIterator[bytes]:
        """See :meth:`~gpu_workbench.backends.kept.Kept.journal`. It is brought here once."""
        place = self._folder / JOURNAL
        if not self._journal_here:
            self._journal_here = await self._files.fetch(JOURNAL, place)
        if self._journal_here:
            async for chunk in KeptFolder(place, self._folder, self.run_key).journal(after):
                yield chunk

    async def names(self) -> list[str]:
        """See :meth:`~gpu_workbench.backends.kept.Kept.names`."""
        return list(await self._known())

    async def result(self, name: str) -> KeptResult | None:
        """See :meth:`~gpu_workbench.backends.kept.Kept.result`."""
        found = result_of(await self._known(), name, folder=self._folder)
        if found is None:
            return None
        found.path.parent.mkdir(parents=True, exist_ok=True)
        there = found.path.relative_to(self._folder).as_posix()
        return found if await self._files.fetch(there, found.path) else None

    async def _known(self) -> dict[str, object]:
        if self._table is None:
            place = self._folder / TABLE
            self._table = read_table(place) if await self._files.fetch(TABLE, place) else {}
        return self._table


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
