"""Where an agent's socket lies, nobody else can put one of theirs."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from gpu_workbench.backends.local.backend import LocalBackend
from gpu_workbench.backends.local.folder import WorkloadFolder
from gpu_workbench.core.errors import PermissionDenied
from gpu_workbench.core.spec import WorkloadSpec


@pytest.fixture
def spec() -> WorkloadSpec:
    """With an id of its own: short folders of all tests lie side by side."""
    return WorkloadSpec(id=secrets.token_hex(6))


@pytest.mark.parametrize("length", [10, 150], ids=["in the workload's folder", "in a short one"])
def test_the_folder_of_a_socket_is_its_users_alone(tmp_path: Path, spec: WorkloadSpec, length: int) -> None:
    folder = WorkloadFolder(tmp_path / ("x" * length) / spec.id)
    folder.create(spec, started=0.0)
    place = folder.socket.parent
    place.mkdir(mode=0o700, exist_ok=True)
    try:
        folder.check_private()
        for mode in (0o750, 0o701, 0o777):
            place.chmod(mode)
            with pytest.raises(PermissionDenied, match="answer in the agent's place"):
                folder.check_private()
        place.chmod(0o700)
        elsewhere = place.rename(place.with_name(f"{place.name}.moved"))
        place.symlink_to(elsewhere)
        with pytest.raises(PermissionDenied):
            folder.check_private()
        place.unlink()
        elsewhere.rename(place)
    finally:
        folder.remove()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
async def test_in_somebody_elses_folder_nothing_is_started(tmp_path: Path, spec: WorkloadSpec) -> None:
    root = tmp_path / ("x" * 150)
    place = WorkloadFolder(root / spec.id).socket.parent
    place.mkdir(mode=0o700)
    os.chown(place, 12345, 12345)
    try:
        with pytest.raises(PermissionDenied, match=place.name):
            await LocalBackend(root).start(spec)
        assert not (root / spec.id / "process.json").exists()
        assert not list(place.iterdir())
    finally:
        WorkloadFolder(root / spec.id).remove()
