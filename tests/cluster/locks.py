"""Who may change the cluster, and who is using it.

`exclusive()` lets one process at a time build, start or stop. Users are processes (test sessions) that need the
cluster to stay; a user that died without saying so does not count. `keep` means that somebody started it by hand.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from .paths import CACHE
from .processes import started_at

_USERS = CACHE / "users"
_KEEP = CACHE / "keep"


@contextmanager
def exclusive(say: Callable[[str], None] = print) -> Iterator[None]:
    """Hold the one lock of the test cluster; waits for whoever has it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "cluster.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            say(
                f"waiting for process {lock.read().strip() or '?'}, which is building or starting the test cluster"
            )
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)


class Sharing:
    """Several test sessions may use the cluster at once, but one that breaks a part of it must be alone."""

    def __init__(self) -> None:
        self._file: TextIO | None = None

    def share(self) -> None:
        """Wait until nobody breaks the cluster, and keep it whole from now on."""
        self._lock(fcntl.LOCK_SH)

    def alone(self) -> None:
        """Wait until no other session shares the cluster, and keep them all out from now on."""
        self._lock(fcntl.LOCK_EX)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Keep the cluster whole while it lasts; a session that shares it already, or is alone, goes on like that."""
        if self._file:
            yield
            return
        self.share()
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        """Let the others do as they like again."""
        if self._file:
            self._file.close()
        self._file = None

    def _lock(self, kind: int) -> None:
        # Changing from shared to alone lets go first, so two sessions that both want it do not block each other.
        self._file = self._file or (CACHE / "sharing.lock").open("a")
        fcntl.flock(self._file, kind)


def use() -> None:
    """Note that this process needs the cluster."""
    _USERS.mkdir(parents=True, exist_ok=True)
    (_USERS / str(os.getpid())).write_text(started_at(os.getpid()))


def leave() -> None:
    """Note that this process no longer needs it."""
    (_USERS / str(os.getpid())).unlink(missing_ok=True)


def users() -> list[int]:
    """The living processes that need the cluster."""
    alive = []
    for file in _USERS.glob("*") if _USERS.exists() else ():
        if file.read_text() and started_at(int(file.name)) == file.read_text():
            alive.append(int(file.name))
        else:
            file.unlink(missing_ok=True)
    return alive


def keep(on: bool) -> None:
    """Say whether the cluster stays when its last user leaves."""
    CACHE.mkdir(parents=True, exist_ok=True)
    _KEEP.touch() if on else _KEEP.unlink(missing_ok=True)


def kept() -> bool:
    """Whether the cluster stays when its last user leaves."""
    return _KEEP.exists()
