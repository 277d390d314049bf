"""The results of a detached run as signed files, so that they outlive its process, and the agent where there is a store.

::

    results.json     {"version": 1, "run": ID, "values": {NAME: {codec, length, type, digest, signature, file}}}
    results/NAME     the bytes

Written beside their place and renamed, so that no half of one is ever seen.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

from gpu_workbench.agent.remote import StoreUnusable
from gpu_workbench.core.model import StoredValue
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.transport.server import HttpError, Sender
from gpu_workbench.transport.streams import CHUNK, Buffer, ByteStream
from gpu_workbench.values.signing import ContentDigest, sign

TABLE = "results.json"
_FOLDER = "results"


class Results:
    """The results of one run.

    Args:
        folder: Where they go.
        run: The run's id.
        key: The run's key.
        save: Called when a result was written; it is stored when this returns.
    """

    def __init__(
        self, folder: Path, *, run: str, key: bytes, save: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._folder = folder
        self._run = run
        self._key = key
        self._save = save
        self._table: dict[str, JsonObject] = {}
        self._fetched: set[str] = set()
        (folder / _FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)

    async def keep(self, name: str, head: JsonObject, sender: Sender) -> StoredValue:
        """Write a result down.

        Args:
            name: Of the variable.
            head: Its codec, length and type.
            sender: Writes its bytes.

        Raises:
            HttpError: 507, the store cannot take it.
        """
        codec, length = str(head["codec"]), head["length"]
        assert isinstance(length, int)
        file = self._folder / _FOLDER / name
        temporary = file.with_name(f".{name}.{os.getpid()}")
        target = _FileStream(temporary)
        try:
            await sender(target)
            await target.finish()
            temporary.replace(file)
        finally:
            target.close()
            temporary.unlink(missing_ok=True)
        digest = target.digest.hex()
        self._table[name] = {
            "codec": codec,
            "length": length,
            "type": str(head.get("type", "")),
            "digest": digest,
            "signature": sign(self._key, run=self._run, name=name, codec=codec, digest=digest),
            "file": f"{_FOLDER}/{name}",
        }
        await asyncio.to_thread(self._write_table)
        if self._save is not None:
            try:
                await self._save()
            except StoreUnusable as error:
                raise HttpError(507, "store", str(error)) from None
        return StoredValue(name=name, size=length, digest=digest, codec=codec)

    def _write_table(self) -> None:
        form = {"version": 1, "run": self._run, "values": self._table}
        replace_file(self._folder / TABLE, json.dumps(form, indent=1, sort_keys=True).encode())

    def get(self, name: str) -> tuple[JsonObject, Sender]:
        """A result's description, and what writes its bytes; of bytes that are not the run's own, never the last ones.

        Raises:
            HttpError: 404, there is none of that name.
        """
        facts = self._table.get(name)
        if facts is None:
            raise HttpError(404, "unknown-name", f"The run has no result {name}")
        length, digest = facts["length"], str(facts["digest"])
        assert isinstance(length, int)

        async def sender(target: ByteStream) -> None:
            with (self._folder / str(facts["file"])).open("rb") as file:
                await _copy(file, target, length=length, digest=digest)
            self._fetched.add(name)

        return facts, sender

    @property
    def names(self) -> list[str]:
        """What there is."""
        return list(self._table)

    @property
    def fetched(self) -> bool:
        """Whether a client has had each of them."""
        return self._fetched >= self._table.keys()


class _FileStream:
    """A file that is written as a stream, and digested as it passes."""

    def __init__(self, path: Path) -> None:
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", 0)
        self.digest = ContentDigest()

    async def read(self, limit: int = CHUNK) -> bytes:
        raise NotImplementedError

    async def readinto(self, view: memoryview) -> int:
        raise NotImplementedError

    async def write(self, data: Buffer) -> None:
        await asyncio.to_thread(self._write, memoryview(data))

    def _write(self, rest: memoryview) -> None:
        self.digest.update(rest)
        while rest:
            rest = rest[self._file.write(rest) :]

    async def finish(self) -> None:
        """Have it on the disk."""
        await asyncio.to_thread(os.fsync, self._file.fileno())

    def close(self) -> None:
        self._file.close()


async def _copy(file: BinaryIO, target: ByteStream, *, length: int, digest: str) -> None:
    """Send a result that has lain in a store, where others may write.

    Raises:
        ConnectionAbortedError: it is not what was written; the connection ends before the value does.
    """
    passed, left = ContentDigest(), length
    buffer = memoryview(bytearray(4 * CHUNK))

    def read() -> int:
        count = file.readinto(buffer[:left])  # type: ignore[attr-defined]
        passed.update(buffer[:count])
        return int(count)

    while left:
        count = await asyncio.to_thread(read)
        left -= count
        if not count or (not left and passed.hex() != digest):
            raise ConnectionAbortedError("a result was changed in its store")
        await target.write(buffer[:count])


def replace_file(path: Path, content: bytes) -> None:
    """Write a file beside its place, and rename it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
