"""A file or a folder as a stream of tar, with a length that is known before the first byte, and back.

Both ends hold one chunk at a time, whatever is copied. Nothing that comes in can leave the folder it is for.
Source: POSIX.1-2017 pax, "ustar Interchange Format", with GNU's long names; written and read by :mod:`tarfile`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import stat
import tarfile
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from gpu_workbench.transport.streams import PlainStream

CHUNK = 256 * 1024
"""Bytes of a file that are held at a time."""

ROOT = "."
"""The first member of a folder's archive; a file's archive has that file alone."""

_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)


class BadArchive(Exception):
    """An archive that is not laid out: it leads out of its folder, or is none."""


@dataclass(frozen=True)
class Packed:
    """What will be sent.

    Args:
        members: Header of each member, with where its content lies.
        skipped: Paths that do not travel: links out of the folder, sockets, devices.
        length: Bytes of the whole stream.
        size: Bytes of the files in it.
    """

    members: tuple[tuple[tarfile.TarInfo, Path], ...]
    skipped: tuple[str, ...]
    length: int
    size: int

    @property
    def folder(self) -> bool:
        """Whether it is a folder, and not a single file."""
        return bool(self.members) and self.members[0][0].name == ROOT

    def chunks(self) -> Iterator[bytes]:
        """The stream. A file that shrank since it was listed ends it.

        Raises:
            OSError: a file cannot be read, or has changed.
        """
        for info, path in self.members:
            yield _header(info)
            if info.isreg():
                yield from _content(info.size, path)
        yield _END


@dataclass(frozen=True)
class Unpacked:
    """What came.

    Args:
        files: How many files and links were written.
        size: Bytes of them.
    """

    files: int
    size: int


def pack(source: Path) -> Packed:
    """List a file or a folder; a link given by name is followed, links inside a folder stay links.

    Raises:
        FileNotFoundError: it is not there.
        OSError: it cannot be listed.
    """
    source = source.resolve(strict=True)
    found: list[tuple[tarfile.TarInfo, Path]] = []
    skipped: list[str] = []
    if source.is_dir():
        found.append((_info(ROOT, source), source))
        for folder, folders, files in os.walk(source):
            for name in sorted((*folders, *files)):
                path = Path(folder, name)
                relative = path.relative_to(source).as_posix()
                if info := _member(relative, path):
                    found.append((info, path))
                else:
                    skipped.append(relative)
    elif info := _member(source.name, source):
        found.append((info, source))
    else:
        raise BadArchive(f"{source.name} is neither a file nor a folder")
    size = sum(info.size for info, _ in found if info.isreg())
    length = sum(len(_header(info)) + _padded(info.size) for info, _ in found) + len(_END)
    return Packed(tuple(found), tuple(skipped), length, size)


def contents_length(sizes: Iterable[tuple[str, int]]) -> int:
    """Bytes that :func:`contents` will give for names and sizes."""
    return _BLOCK + sum(len(_header(_named(name, size))) + _padded(size) for name, size in sizes) + len(_END)


def contents(items: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """Contents as files of a folder, as a stream; the contents are taken one after the other."""
    root = tarfile.TarInfo(ROOT)
    root.type, root.mode = tarfile.DIRTYPE, 0o700
    yield _header(root)
    for name, data in items:
        yield _header(_named(name, len(data)))
        yield data
        if rest := _padded(len(data)) - len(data):
            yield bytes(rest)
    yield _END


def _named(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    return info


async def unpack(readinto: Callable[[memoryview], Awaitable[int]], target: Path, *, length: int) -> Unpacked:
    """Lay an archive out: a folder's content into ``target``, a file as ``target``. What is there already is replaced.

    Args:
        readinto: Fills a part of a buffer with the stream; 0 at its end.
        target: Where it goes; the folders to it are made.
        length: Bytes of the whole stream.

    Raises:
        BadArchive: it is cut short, leads out of ``target``, or is no archive; what came before that stays.
        OSError: it cannot be written.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    stream = PlainStream(ours)
    writing = asyncio.create_task(asyncio.to_thread(_unpack, theirs, target))
    buffer = memoryview(bytearray(CHUNK))
    left = length
    try:
        while count := await readinto(buffer):
            left -= count
            with contextlib.suppress(OSError):  # it has given up: the rest is only read away
                await stream.write(buffer[:count])
    finally:
        stream.close()
        await asyncio.wait({writing})
    done = writing.result()
    if left:
        raise BadArchive("The archive ended early")
    return done


def _unpack(source: socket.socket, target: Path) -> Unpacked:
    files = size = 0
    folder = False
    with source, source.makefile("rb", buffering=CHUNK) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for number, member in enumerate(archive):
                    archive.members = []  # type: ignore[attr-defined]  # or it would remember them all
                    if number == 0 and member.isdir() and PurePosixPath(member.name) == PurePosixPath(ROOT):
                        target.mkdir(parents=True, exist_ok=True)
                        folder = True
                        continue
                    if number and not folder:
                        raise BadArchive("The archive of a file holds more than that file")
                    files += _lay(archive, member, target if folder else None, target)
                    size += member.size
                stream.read()
        except (tarfile.TarError, EOFError) as error:
            raise BadArchive(f"What came is no archive: {error}") from None
    return Unpacked(files, size)


def _lay(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path | None, target: Path) -> int:
    """Write one member; 1 where that is a file or a link."""
    path = target if folder is None else _inside(folder, member.name)
    if folder is None:
        path.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        path.mkdir(exist_ok=True)
        return 0
    if member.issym() and folder is not None:
        if not stays_inside(member.name, member.linkname):
            raise BadArchive(f"The link {member.name} leads out of its folder")
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        path.symlink_to(member.linkname)
        return 1
    content = archive.extractfile(member) if member.isreg() else None
    if content is None:
        raise BadArchive(f"{member.name} is neither a file nor a folder")
    _write(path, content, member)
    return 1


def _inside(folder: Path, name: str) -> Path:
    """The place of a member, its folders made one by one, so that no link leads them elsewhere."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise BadArchive(f"{name} leads out of its folder")
    root = folder.resolve()
    place = folder
    for part in pure.parts[:-1]:
        place = place / part
        place.mkdir(exist_ok=True)
        if not place.resolve().is_relative_to(root):
            raise BadArchive(f"{name} leads out of its folder")
    return place / pure.name


def _write(path: Path, content: IO[bytes], member: tarfile.TarInfo) -> None:
    """Write beside and rename, so that nobody reads half a file."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".gwb-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(content, file, CHUNK)
        Path(temporary).chmod(0o600 | (member.mode & 0o777))
        os.utime(temporary, (member.mtime, member.mtime))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _member(name: str, path: Path) -> tarfile.TarInfo | None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return _info(name, path) if stays_inside(name, os.readlink(path)) else None  # noqa: PTH115 - the text itself
    return _info(name, path) if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else None


def _info(name: str, path: Path) -> tarfile.TarInfo:
    state = path.lstat()
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = stat.S_IMODE(state.st_mode), int(state.st_mtime)
    if stat.S_ISDIR(state.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(state.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)  # noqa: PTH115
    else:
        info.size = state.st_size
    return info


def stays_inside(name: str, target: str) -> bool:
    """Whether a link, at ``name`` in a folder and leading to ``target``, leads to something in the folder."""
    end = os.path.normpath(str(PurePosixPath(name).parent / target))
    return not (os.path.isabs(target) or end == ".." or end.startswith("../"))  # noqa: PTH117


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _content(size: int, path: Path) -> Iterator[bytes]:
    left = size
    with path.open("rb") as file:
        while left:
            data = file.read(min(CHUNK, left))
            if not data:
                raise OSError(f"{path.name} shrank while it was being sent")
            left -= len(data)
            yield data
    if rest := _padded(size) - size:
        yield bytes(rest)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
