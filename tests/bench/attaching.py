"""A new kernel finds a session with a million lines in its journal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.backends.local.backend import LocalBackend
from tests.bench.harness import Figure, Target, in_turn
from tests.bench.place import LIMIT, Place, timed

TITLE = "Coming back"

LINES = 1_000_000
READ = 1 << 20


def measure(place: Place) -> Iterator[Figure]:
    """To the first line again, and to the journal's end."""
    lines = place.lines(LINES)
    with place.local("first") as made:
        made.check(f"%%gpu\nfor i in range({lines}): print(i)", limit=LIMIT)
        root = place.folder / "first.state"
        again = [_again(place, root) for _ in range(place.times(5))]
        journal = sorted((root / "local").glob("*/state/journal/*.ndjson"))
        size = sum(path.stat().st_size for path in journal)

        def caught_up() -> float:
            _forget(journal)
            return size / asyncio.run(_catch_up(root / "local")) / 1e6

        def received() -> float:
            _forget(journal)
            return size / asyncio.run(_receive(root / "local", size)) / 1e6

        def read() -> float:
            _forget(journal)
            return size / _read(journal) / 1e6

        found = in_turn({"ours": caught_up, "bytes": received, "disk": read}, times=place.times(10))
    note = "A virtual disk may answer from its host's memory, far faster than a disk reads."
    journal_size = f"{lines:,} lines ({size / 1e6:.1f} MB of journal), local"
    yield Figure("from `%gpu logs` to the first line, local", "s", again, target=Target(1))
    yield Figure(
        f"catching up {journal_size}",
        "MB/s",
        found["ours"],
        found["disk"],
        "reading these files from disk",
        Target(0.5, of="ratio", at_least=True),
        note,
    )
    yield Figure(
        f"the same bytes, not decoded: {journal_size}",
        "MB/s",
        found["bytes"],
        found["disk"],
        "reading these files from disk",
    )
    yield Figure("time to catch up", "ms", [size / rate / 1e3 for rate in found["ours"]])


def _again(place: Place, root: Path) -> float:
    """A kernel of the same notebook, newly started."""
    env = {"GPU_WORKBENCH_STATE_DIR": str(root)}
    with place.notebook("first", env=env, stop=False) as made:
        return timed(made, "%gpu logs").first


async def _catch_up(root: Path) -> float:
    backend = LocalBackend(root)
    (handle,) = await backend.list(owner="")
    began = time.perf_counter()
    subscription = Subscription(backend, handle)
    await subscription.until(lambda: subscription.caught_up)
    seconds = time.perf_counter() - began
    await subscription.close()
    return seconds


async def _receive(root: Path, size: int) -> float:
    backend = LocalBackend(root)
    (handle,) = await backend.list(owner="")
    began, left = time.perf_counter(), size
    channel = await backend.open(handle)
    async with contextlib.aclosing(channel.journal("")) as chunks:
        async for chunk in chunks:
            left -= len(chunk)
            if left <= 0:
                break
    channel.close()
    return time.perf_counter() - began


def _read(paths: list[Path]) -> float:
    began = time.perf_counter()
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.read(READ):
                pass
    return time.perf_counter() - began


def _forget(paths: list[Path]) -> None:
    """Take the files out of the page cache, so that they come from disk."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
