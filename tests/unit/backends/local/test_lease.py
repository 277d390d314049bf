"""GPUs are lent by lock files: what is free is taken at once, and who waits says for what."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

import pytest

from gpu_workbench.backends.local.folder import WorkloadFolder
from gpu_workbench.backends.local.lease import is_lent, lease
from tests.unit.agent.harness import eventually


def folder(path: Path) -> WorkloadFolder:
    path.mkdir()
    return WorkloadFolder(path)


def test_what_is_free_is_taken_at_once(tmp_path: Path) -> None:
    asking = folder(tmp_path / "w")
    assert lease(asking, leases=tmp_path / "leases", asked=1, gpus=["A", "B"]) == ["A"]
    assert asking.waiting == ""
    assert is_lent(tmp_path / "leases", "A")
    assert not is_lent(tmp_path / "leases", "B")


@pytest.mark.parametrize(
    ("asked", "gpus", "sentence"),
    [
        (1, "A", "Waits for this machine's GPU: a session or run that came before holds it"),
        (2, "AB", "Waits for all 2 GPUs of this machine: sessions and runs that came before hold them"),
        (2, "ABC", "Waits for 2 of the 3 GPUs of this machine: sessions and runs that came before hold them"),
    ],
)
async def test_who_waits_says_for_what(tmp_path: Path, asked: int, gpus: str, sentence: str) -> None:
    leases, asking = tmp_path / "leases", folder(tmp_path / "w")
    leases.mkdir()
    held = [os.open(leases / f"{gpu}.lock", os.O_RDWR | os.O_CREAT, 0o600) for gpu in gpus[:2]]
    for descriptor in held:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    waits = asyncio.create_task(asyncio.to_thread(lease, asking, leases=leases, asked=asked, gpus=list(gpus)))
    await eventually(lambda: asking.waiting == sentence)
    for descriptor in held:
        os.close(descriptor)
    assert await waits == list(gpus[:asked])
    assert asking.waiting == ""
