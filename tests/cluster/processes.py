"""Start and stop the long-running programs of the cluster, which outlive the process that started them.

A program is known by its command line, which no other has; so one that was started is found again whatever happened to
the process that started it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from .paths import BIN, CONF, ROOT, SOCKET
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
    shell = subprocess.run(
        words, cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, text=True, check=True
    )
    pid = int(shell.stdout)
    while _argv(pid)[:1] == ["sh"]:  # the shell's child has yet to become the program
        time.sleep(0.001)
    return pid


def running() -> dict[str, int]:
    """The living programs of the cluster, name -> pid, in the order they were started."""
    found = {name: pid for pid in _pids() if (name := _component(_argv(pid)))}
    return dict(sorted(found.items(), key=lambda item: int(started_at(item[1]) or 0)))


def stop(names: Iterable[str], *, grace: float = 5.0) -> None:
    """End programs: SIGTERM, after `grace` seconds SIGKILL; returns when they are gone."""
    now = running()
    end([now[name] for name in names if name in now], grace=grace)


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
    return [pid for pid in _pids() if (argv := _argv(pid)) and _is_shim(argv)]


def _is_shim(argv: list[str]) -> bool:
    return argv[0].endswith("containerd-shim-runc-v2") and str(SOCKET) in argv


def _component(argv: list[str]) -> str | None:
    """The name of the component that a command line is, or None."""
    if not argv:
        return None
    program = Path(argv[0])
    if program.is_relative_to(BIN) and program.name != "kubectl":
        return program.name
    return "containerd" if argv == ["containerd", "--config", str(CONF / "containerd.toml")] else None


def _pids() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal()]


def _argv(pid: int) -> list[str]:
    """The command line of a process; empty when it is gone (a zombie's is)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    except OSError:
        return []
