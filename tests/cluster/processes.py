"""Start and stop the long-running programs of the cluster, which outlive the process that started them.

A pid file holds the pid and the kernel's start time of the process, so that a reused pid is never taken for ours.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from .paths import ROOT, RUN, SOCKET
from .shell import log_of

# The shell starts the program and ends: the program is nobody's child here and leaves no zombie behind in a test run.
_DETACH = '"$@" >>"$0" 2>&1 </dev/null & echo $!'


def started_at(pid: int) -> str:
    """The start time of a process in the kernel's ticks, or "" if it is gone (a zombie is)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def start(name: str, argv: Iterable[object]) -> int:
    """Start a program detached, its output appended to its log, and return its pid."""
    words = ["sh", "-c", _DETACH, str(log_of(name)), *map(str, argv)]
    pid = int(
        subprocess.run(
            words, cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    )
    (RUN / f"{name}.pid").write_text(f"{pid} {started_at(pid)}")
    return pid


def running() -> dict[str, int]:
    """The living programs, name -> pid, in the order they were started."""
    found = {}
    for file in sorted(RUN.glob("*.pid"), key=lambda f: f.stat().st_mtime_ns):
        pid, _, ticks = file.read_text().partition(" ")
        if ticks and started_at(int(pid)) == ticks:
            found[file.stem] = int(pid)
    return found


def stop(names: Iterable[str], *, grace: float = 5.0) -> None:
    """End programs: SIGTERM, after `grace` seconds SIGKILL; returns when they are gone."""
    names = list(names)
    pids = [pid for name, pid in running().items() if name in names]
    end(pids, grace=grace)
    for name in names:
        (RUN / f"{name}.pid").unlink(missing_ok=True)


def end(pids: Iterable[int], *, grace: float) -> None:
    """End processes by pid and wait until they are gone; `grace` 0 kills at once."""
    handles = {}
    for pid in pids:
        try:
            handles[pid] = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
    try:
        for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
            if number == signal.SIGTERM and not grace:
                continue
            for handle in handles.values():
                try:
                    signal.pidfd_send_signal(handle, number)
                    signal.pidfd_send_signal(handle, signal.SIGCONT)
                except ProcessLookupError:
                    continue
            handles = _still_there(handles, seconds)
    finally:
        for handle in handles.values():
            os.close(handle)


def _still_there(handles: dict[int, int], seconds: float) -> dict[int, int]:
    """Wait for the processes behind pid handles; close the handles of those that ended and return the others."""
    deadline = time.monotonic() + seconds
    handles = dict(handles)
    while handles and (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select(list(handles.values()), [], [], left)
        for pid, handle in list(handles.items()):
            if handle in ready:
                os.close(handles.pop(pid))
    return handles


def shims() -> list[int]:
    """The container shims of our containerd, which outlive it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            argv = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if argv[0].endswith(b"containerd-shim-runc-v2") and str(SOCKET).encode() in argv:
            found.append(int(folder.name))
    return found
