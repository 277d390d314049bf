"""Which GPUs there are, from this machine's driver to a browser's tab and to the command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import nvml
from tests.kernels import Notebook, notebook
from tests.servers import Server, shared_server, tab

pytestmark = [
    pytest.mark.timeout(180),
    *nvml.MARKS,
]

PROGRAM = Path(sys.executable).with_name("gpu-workbench")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("capacity")


@pytest.fixture(scope="module")
def devices(folder: Path) -> dict[str, str]:
    """The variables of a machine with four SIMULATED GPUs; a process of somebody's runs on the last one."""
    gpus = nvml.machine(folder / "nvml", count=4, busy=1)
    return {**gpus, "GPU_WORKBENCH_STATE_DIR": str(folder / ".state")}


@pytest.fixture(scope="module")
def nb(folder: Path, devices: dict[str, str]) -> Iterator[Notebook]:
    """A notebook with a session that holds one of them."""
    with notebook(folder, env=devices) as made:
        made.check("%%gpu --gpus 1\n6 * 7")
        yield made


@pytest.fixture(scope="module")
def server(folder: Path, devices: dict[str, str], nb: Notebook) -> Iterator[Server]:
    """A server with two users, started for ada as JupyterHub does."""
    with shared_server(folder / "shared", env=devices) as made:
        yield made


def kind(states: dict[str, Any]) -> dict[str, Any]:
    """The one kind of GPU of this machine, as a tab knows it."""
    (found,) = states["capacity"]["local"]["capacity"]["kinds"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("user", ["ada", "bob"])
async def test_owner_and_guest_see_what_is_held_and_what_is_free(server: Server, user: str) -> None:
    async with tab(server, **{"x-user": user}) as seen:
        await seen.subscribe("capacity")
        await seen.until(lambda states: states.get("capacity"))
        assert seen.states["capacity"].keys() == {"local"}
        assert kind(seen.states) == {
            "name": "H200 141 GiB",
            "resource": "gpu",
            "total": 4,
            "mine": 1,
            "others": 1,
            "free": 2,
            "simulated": True,
        }


async def test_a_tab_is_told_of_changes_and_nothing_is_kept_when_it_looks_no_longer(
    server: Server, nb: Notebook
) -> None:
    async with tab(server, **{"x-user": "ada"}) as seen:
        await seen.subscribe("capacity")
        await seen.until(lambda states: states.get("capacity"))
        nb.check("%gpu start --session big --gpus 4")
        await seen.until(lambda states: "waiting" in states["capacity"]["local"]["capacity"])
        assert seen.states["capacity"]["local"]["capacity"]["waiting"] == [
            {"name": "GPUs", "mine": 4, "others": 0}
        ]
        assert (
            "Waits for all 4 GPUs of this machine: sessions and runs that came"
            in nb.check("%gpu why big").result
        )
        await seen.unsubscribe("capacity")
        nb.check("%gpu stop big")
        seen.states.clear()
        await seen.subscribe("capacity")
        await seen.until(lambda states: states.get("capacity"))
        assert "waiting" not in seen.states["capacity"]["local"]["capacity"]


def test_the_magic_and_the_program_say_the_same(folder: Path, devices: dict[str, str], nb: Notebook) -> None:
    assert re.search(
        r"^0 .* / 141 GiB .* SIMULATED H200\nSIMULATED: the devices are doubles$",
        nb.check("%gpu top").result,
        re.M,
    )
    said = nb.check("%gpu capacity").result
    assert re.search(r"^H200 141 GiB +2 of 4 +1 +1 +SIMULATED$", said, re.M), said
    again = subprocess.run(
        [PROGRAM, "capacity"],
        env={**os.environ, **devices, "XDG_CONFIG_HOME": str(folder / ".config")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout.strip() == said


def test_what_the_driver_does_not_say_is_not_known(
    folder: Path, devices: dict[str, str], nb: Notebook
) -> None:
    said = subprocess.run(
        [PROGRAM, "capacity"],
        env={**os.environ, **devices, "GPU_WORKBENCH_NVML_MISSING": "processes,memory"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert re.search(r"^H200 +n/a of 4 +1 +n/a +SIMULATED$", said, re.M), said


def test_a_machine_without_gpus_says_so(tmp_path: Path) -> None:
    env = {**os.environ, "GPU_WORKBENCH_STATE_DIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}
    said = subprocess.run([PROGRAM, "capacity"], env=env, capture_output=True, text=True, check=True).stdout
    assert said == "Capacity · this machine\nNo GPU is visible on this machine\n"
