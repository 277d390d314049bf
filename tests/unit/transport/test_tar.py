"""Files and folders as a stream: what goes in comes out, nothing gets out of its folder, and memory stays bounded."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from gpu_workbench.transport.tar import BadArchive, pack, unpack


def reader(data: bytes):
    """What a request's or a reply's body looks like to :func:`unpack`."""
    source = io.BytesIO(data)

    async def readinto(view: memoryview) -> int:
        return source.readinto(view[:70_001])  # at odd places

    return readinto


async def copy(source: Path, target: Path):
    packed = pack(source)
    data = b"".join(packed.chunks())
    assert len(data) == packed.length
    return await unpack(reader(data), target, length=len(data))


async def lay(data: bytes, target: Path):
    return await unpack(reader(data), target, length=len(data))


def tree(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        else:
            found[name] = (path.read_bytes(), path.stat().st_mode & 0o111) if path.is_file() else "folder"
    return found


async def test_a_folder_arrives_as_it_was(tmp_path: Path) -> None:
    source = tmp_path / "checkpoints"
    (source / "deep" / ("x" * 120)).mkdir(parents=True)
    (source / "empty").mkdir()
    (source / "big.bin").write_bytes(os.urandom(1_234_567))
    (source / "none").write_bytes(b"")
    (source / "deep" / ("x" * 120) / "ünïcode \udcff name").write_text("far down")
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    (source / "latest").symlink_to("deep")
    done = await copy(source, tmp_path / "there" / "new")
    assert tree(tmp_path / "there" / "new") == tree(source)
    assert (done.files, done.size) == (5, pack(source).size)


async def test_a_second_copy_replaces_and_keeps_what_else_is_there(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.mkdir()
    (source / "f").write_text("one")
    await copy(source, target)
    (target / "mine").write_text("kept")
    (source / "f").write_text("two")
    await copy(source, target)
    assert tree(target) == {"f": (b"two", 0), "mine": (b"kept", 0)}


async def test_a_file_becomes_the_target_itself(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1,2")
    await copy(tmp_path / "data.csv", tmp_path / "x" / "other.csv")
    assert (tmp_path / "x" / "other.csv").read_text() == "1,2"


def test_the_stream_is_tars_own(tmp_path: Path) -> None:
    source = tmp_path / "s"
    (source / "d").mkdir(parents=True)
    (source / "d" / "f").write_text("content")
    archive = tmp_path / "a.tar"
    archive.write_bytes(b"".join(pack(source).chunks()))
    listed = subprocess.run(["tar", "tf", archive], capture_output=True, text=True, check=True).stdout.split()
    assert listed == ["./", "d/", "d/f"]


def test_links_out_of_the_folder_and_pipes_are_named_and_left(tmp_path: Path) -> None:
    source = tmp_path / "s"
    source.mkdir()
    (source / "out").symlink_to("../secret")
    (source / "abs").symlink_to("/etc/passwd")
    os.mkfifo(source / "pipe")
    assert pack(source).skipped == ("abs", "out", "pipe")


def made(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        root = tarfile.TarInfo(".")
        root.type = tarfile.DIRTYPE
        archive.addfile(root)
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, link
    return found


@pytest.mark.parametrize(
    "members",
    [
        [(info("../evil"), b"x")],
        [(info("/tmp/evil"), b"x")],
        [(info("a/../../evil"), b"x")],
        [(info("link", tarfile.SYMTYPE, "/"), b"")],
        [(info("link", tarfile.SYMTYPE, "../.."), b"")],
        [(info("hard", tarfile.LNKTYPE, "../evil"), b"")],
        [(info("device", tarfile.CHRTYPE), b"")],
    ],
)
async def test_nothing_leaves_the_folder_it_is_for(tmp_path: Path, members) -> None:
    target = tmp_path / "in" / "target"
    target.mkdir(parents=True)
    with pytest.raises(BadArchive):
        await lay(made(*members), target)
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "target"]


async def test_a_link_that_was_there_before_leads_nowhere_else(tmp_path: Path) -> None:
    target, outside = tmp_path / "target", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    (target / "link").symlink_to(outside)
    with pytest.raises(BadArchive, match="leads out"):
        await lay(made((info("link/evil"), b"x")), target)
    assert not list(outside.iterdir())


async def test_a_file_that_is_a_link_there_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    target, outside = tmp_path / "target", tmp_path / "outside"
    target.mkdir()
    outside.write_text("mine")
    (target / "f").symlink_to(outside)
    await lay(made((info("f"), b"new")), target)
    assert ((target / "f").read_text(), outside.read_text()) == ("new", "mine")


@pytest.mark.parametrize("cut", [100, 600, 5000, 300_000])
async def test_half_an_archive_is_an_error_and_leaves_no_half_file(tmp_path: Path, cut: int) -> None:
    source = tmp_path / "s"
    source.mkdir()
    (source / "f").write_bytes(os.urandom(400_000))
    data = b"".join(pack(source).chunks())
    with pytest.raises(BadArchive):
        await unpack(reader(data[:cut]), tmp_path / "t", length=len(data))
    assert not [path for path in (tmp_path / "t").rglob("*") if path.is_file()]


def test_a_file_that_shrinks_while_it_is_sent_ends_the_stream(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(bytes(1000))
    packed = pack(file)
    file.write_bytes(b"short")
    with pytest.raises(OSError, match="shrank"):
        b"".join(packed.chunks())


async def test_memory_stays_bounded(tmp_path: Path) -> None:
    source = tmp_path / "s"
    source.mkdir()
    with (source / "f").open("wb") as file:
        file.truncate(200 * 2**20)
    packed = pack(source)
    stream, rest = packed.chunks(), b""

    async def readinto(view: memoryview) -> int:
        nonlocal rest
        rest = rest or next(stream, b"")
        count = min(len(view), len(rest))
        view[:count], rest = rest[:count], rest[count:]
        return count

    tracemalloc.start()
    try:
        await unpack(readinto, tmp_path / "t", length=packed.length)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "t" / "f").stat().st_size == 200 * 2**20
    assert peak < 8 * 2**20
