"""``%gpu cp``: files and folders between here and a session, in kubectl's syntax.

A folder becomes the target itself, what is there already stays beside what comes; so the same line may be run again. A file
goes into a target that is a folder. With ``/`` at its end a target is a folder that the source goes into by its name.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gpu_workbench.backends.channel import Channel
from gpu_workbench.core.errors import FlagError, NotFound, ShippingError
from gpu_workbench.transport import tar

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Place:
    """One end of a copy.

    Args:
        path: Where, as it was written.
        session: Whose; empty for the notebook's own, ``None`` for this machine.
    """

    path: str
    session: str | None = None


@dataclass(frozen=True)
class Copied:
    """What was copied.

    Args:
        size: Bytes of the files.
        skipped: What did not travel: links out of the folder, sockets, devices.
    """

    size: int
    skipped: tuple[str, ...] = ()


def parse_place(word: str) -> Place:
    """``PATH`` here, ``:PATH`` in the notebook's session, ``SESSION:PATH`` in another one; ``./a:b`` is a path with a colon.

    Raises:
        FlagError: there is no path.
    """
    session, colon, path = word.partition(":")
    if not colon or "/" in session or session.startswith("."):
        return Place(word)
    if not path:
        raise FlagError(
            f"{word!r} names no path",
            fix=f"Write {session}:PATH, or {session}:. for the whole working directory",
        )
    return Place(path, session)


def parse_ends(source: str, target: str) -> tuple[Place, Place]:
    """Both ends, of which exactly one is in a session.

    Raises:
        FlagError: none is, or both are.
    """
    ends = parse_place(source), parse_place(target)
    there = [end for end in ends if end.session is not None]
    if len(there) != 1:
        raise FlagError(
            "Both paths are here" if not there else "Both paths are in a session",
            fix="Write one of them as SESSION:PATH, or :PATH for this notebook's session",
        )
    return ends


async def send(channel: Channel, source: str, target: str, *, progress: Progress | None = None) -> Copied:
    """Copy a file or a folder of this machine into a session.

    Args:
        source: Here.
        target: There; relative to the session's working directory.

    Raises:
        NotFound: ``source`` is not here.
        PermissionDenied: ``target`` holds files of the agent's own.
        NotFound, ShippingError: it cannot be written there.
    """
    try:
        packed = await asyncio.to_thread(tar.pack, Path(source))
    except FileNotFoundError:
        raise NotFound(f"There is no {source} here", why=f"looked for it in {Path.cwd()}") from None
    except (OSError, tar.BadArchive) as error:
        raise ShippingError(f"{source} cannot be read", why=_words(error)) from None
    await channel.put_archive(
        target,
        name=Path(source).resolve().name,  # noqa: ASYNC240
        file=not packed.folder,
        chunks=packed.chunks(),
        length=packed.length,
        progress=(lambda sent: progress(source, sent, packed.length)) if progress else None,
    )
    return Copied(packed.size, packed.skipped)


async def receive(channel: Channel, source: str, target: str, *, progress: Progress | None = None) -> Copied:
    """Copy a file or a folder of a session to this machine.

    Args:
        source: There; relative to the session's working directory.
        target: Here.

    Raises:
        NotFound: ``source`` is not there.
        PermissionDenied: it holds files of the agent's own.
        ShippingError: it cannot be written here, or what came would leave ``target``.
    """
    reply = await channel.get_archive(source)
    received = 0

    async def readinto(view: memoryview) -> int:
        nonlocal received
        count = await reply.readinto(view)
        received += count
        if progress is not None:
            progress(source, received, reply.length)
        return count

    file = reply.headers.get("gpu-workbench-kind") == "file"
    try:
        place = _place_here(target, name=PurePosixPath(source).name, file=file)
        done = await tar.unpack(readinto, place, length=reply.length)
    except (OSError, tar.BadArchive) as error:
        raise ShippingError(f"{source} cannot be written to {target}", why=_words(error)) from None
    finally:
        reply.close()
    skipped = urllib.parse.unquote(reply.headers.get("gpu-workbench-skipped", ""))
    return Copied(done.size, tuple(skipped.splitlines()))


def _place_here(target: str, *, name: str, file: bool) -> Path:
    place = Path(target)
    if name not in ("", "..") and (target.endswith("/") or (file and place.is_dir())):
        return place / name
    return place


def _words(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
