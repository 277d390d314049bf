"""Files and folders in and out of the workload, for ``%gpu cp``.

The client may run any code here, so a path may be anywhere its user's code can reach, volumes above all; only the agent's
own files, its token and journal among them, are neither read nor replaced.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from gpu_workbench.core.agent_config import AgentConfig
from gpu_workbench.core.model import Kind
from gpu_workbench.transport.server import HttpError, Request, Sender
from gpu_workbench.transport.streams import ByteStream
from gpu_workbench.transport.tar import BadArchive, Packed, Unpacked, pack, unpack


class Copies:
    """Packs and unpacks files of one workload.

    Args:
        config: Says where the user's code runs, and which files are the agent's own.
    """

    def __init__(self, config: AgentConfig) -> None:
        self._kind = config.kind
        self._work_dir = Path(config.work_dir)
        state = Path(config.state_dir)
        own = (config.token_file, config.cert_file, config.key_file, config.run_key_file, config.sealed_dir)
        self._own = [Path(path).resolve() for path in own if path]
        self._own += [(state / name).resolve() for name in ("journal", "files", "k")]

    async def pack(self, path: str) -> tuple[Packed, Sender]:
        """What lies at ``path``, and what writes it to a stream.

        Raises:
            HttpError: 404, there is nothing; 403, it holds files of the agent's own; 409, it cannot be read.
        """
        place = self._place(path)
        try:
            packed = await asyncio.to_thread(pack, place)
        except FileNotFoundError:
            raise HttpError(
                404, "no-file", f"There is no {path} there", f"Paths begin at {self._work_dir}"
            ) from None
        except (OSError, BadArchive) as error:
            raise HttpError(409, "no-file", f"{path} cannot be read: {_words(error)}") from None

        async def sender(target: ByteStream) -> None:
            chunks = packed.chunks()
            while chunk := await asyncio.to_thread(next, chunks, b""):
                await target.write(chunk)

        return packed, sender

    async def unpack(self, path: str, *, name: str, file: bool, request: Request) -> Unpacked:
        """Lay out what comes.

        Args:
            path: Where; inside it as ``name`` where it ends with ``/``, or where a file is to go to a folder.
            name: Of what comes, at its source.
            file: It is a single file.
            request: Its body is the archive.

        Raises:
            HttpError: 400, it is no archive or leads out of its place; 403, that is the agent's own; 409, it cannot be
                written.
        """
        place = self._place(path)
        if name and (path.endswith("/") or (file and place.is_dir())):
            place = self._place(f"{path}/{name}")
        try:
            return await unpack(request.readinto, place, length=request.length)
        except BadArchive as error:
            raise HttpError(400, "bad-archive", str(error)) from None
        except OSError as error:
            raise HttpError(409, "no-file", f"{path} cannot be written: {_words(error)}") from None

    async def remove(self, path: str) -> None:
        """Take a folder of a store away, with all that is in it; one that is not there is away already.

        Raises:
            HttpError: 403, this is no store, or that is not a folder within it.
        """
        place = self._place(path)
        if self._kind is not Kind.STORE or self._work_dir.resolve() not in place.resolve().parents:
            raise HttpError(403, "bad-path", f"{path} is not a folder of a store")
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)

    def _place(self, path: str) -> Path:
        """Where ``path`` leads; from the working directory on where it is relative."""
        if "\0" in path:
            raise HttpError(400, "bad-path", "A path has no zero bytes")
        place = self._work_dir / path
        real = place.resolve()
        if any(real.is_relative_to(own) or own.is_relative_to(real) for own in self._own):
            raise HttpError(
                403, "bad-path", f"{path} holds files of the agent's own", "Name what lies beside or under it"
            )
        return place


def _words(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
