"""A process of this machine is waited for, whoever's child it is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_workbench.backends.local.process import ProcessMark, process_started

FILES = Path("/proc/self/fd")


def _no_pidfd(pid: int, flags: int = 0) -> int:
    raise OSError("no such system call")


@pytest.fixture(params=["told", "looked for"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to hear of an end."""
    if request.param == "looked for":
        monkeypatch.setattr(os, "pidfd_open", _no_pidfd, raising=False)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def _mark(pid: int) -> ProcessMark:
    started = process_started(pid)
    assert started
    return ProcessMark(pid, started)


@pytest.mark.usefixtures("way")
async def test_the_end_is_heard(child: subprocess.Popen[bytes]) -> None:
    mark = _mark(child.pid)
    waiting = asyncio.create_task(mark.gone())
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    assert not done
    child.kill()
    await asyncio.wait_for(waiting, 10)
    assert not mark.alive


@pytest.mark.usefixtures("way")
async def test_another_process_with_its_pid_is_not_waited_for(child: subprocess.Popen[bytes]) -> None:
    await asyncio.wait_for(ProcessMark(child.pid, "0").gone(), 10)
    assert child.poll() is None


async def test_one_that_is_gone_is_not_waited_for(child: subprocess.Popen[bytes]) -> None:
    mark = _mark(child.pid)
    child.kill()
    child.wait()
    await asyncio.wait_for(mark.gone(), 10)


@pytest.mark.skipif(not FILES.exists(), reason="this system does not list a process's files")
async def test_whoever_waits_no_longer_holds_nothing(child: subprocess.Popen[bytes]) -> None:
    before = len(list(FILES.iterdir()))
    waiting = asyncio.create_task(_mark(child.pid).gone())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert len(list(FILES.iterdir())) == before
