"""The Dask cluster of one machine."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from dask.system import CPU_COUNT
from distributed import Client
from distributed.system import MEMORY_LIMIT

from gpu_workbench.agent.indask import local
from gpu_workbench.agent.indask.launch import with_preload
from gpu_workbench.agent.indask.local import make_cluster, resize


async def when_there_are(number: int, client: Client) -> None:
    async def look() -> None:
        while len(client.cluster.scheduler_info["workers"]) != number:
            await asyncio.sleep(0.02)

    await asyncio.wait_for(look(), 30)


def cluster(folder: Path, *, n_workers: int, gpus: int) -> Any:
    return make_cluster(n_workers=n_workers, threads=1, memory=0, gpus=gpus, folder=str(folder))


async def test_each_worker_has_gpus_of_its_own_whichever_went_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5")

    async def seen() -> list[str]:
        return sorted((await client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"])).values())

    async with (
        cluster(tmp_path, n_workers=2, gpus=2) as made,
        Client(made, asynchronous=True) as client,
    ):
        assert await seen() == ["0,1", "2,3"]
        for number in (1, 3):
            await resize(made, number)
            await when_there_are(number, client)
        assert await seen() == ["0,1", "2,3", "4,5"]


@pytest.mark.parametrize("gpus", [0, 1])
async def test_first_workers_share_the_memory_out_however_many_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    n_workers = 3 * CPU_COUNT
    made = cluster(tmp_path, n_workers=n_workers, gpus=gpus)
    limits = [worker["options"]["memory_limit"] for worker in made.worker_spec.values()]
    assert limits == [MEMORY_LIMIT // n_workers] * n_workers
    await made.close()


async def test_workers_that_go_hand_their_results_on(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path, n_workers=3, gpus=0) as made,
        Client(made, asynchronous=True) as client,
    ):
        kept = client.map(lambda _: os.urandom(8), range(30), pure=False)
        had = await client.gather(kept)
        await resize(made, 1)
        await when_there_are(1, client)
        assert await client.gather(kept) == had


_SET = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MALLOC_TRIM_THRESHOLD_",
    "PYTHONHASHSEED",
)


def _seen() -> dict[str, object]:
    """What a worker finds in its process."""
    parent = Path(f"/proc/{os.getppid()}/cmdline").read_text().replace("\0", " ")
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_", "PYTHONHASHSEED", "HOME")
    return {
        "forked": "forkserver" in parent,
        "hash": hash("x"),
        **{name: os.environ.get(name) for name in names},
    }


async def _found_by_workers(folder: Path, env: Mapping[str, str]) -> list[dict[str, object]]:
    """The same of both workers of a cluster that runs as the agent starts it."""
    address = folder / "address.json"
    bare = {
        name: value for name, value in os.environ.items() if name not in _SET
    }  # a nanny of another test's sets them
    environment = {
        **bare,
        **with_preload("scheduler", folder=folder, environment={}),
        "GPU_WORKBENCH_DASK_ADDRESS": str(address),
        **env,
    }
    form = {"n_workers": 2, "threads": 1, "memory": 0, "gpus": 0, "folder": str(folder)}
    command = [sys.executable, str(local.__file__), json.dumps(form)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            while not address.exists():
                assert process.poll() is None
                await asyncio.sleep(0.02)
            where = json.loads(address.read_text())["scheduler"]
            async with Client(where, asynchronous=True) as client:
                await client.wait_for_workers(2)
                return [*(await client.run(_seen)).values()]
        finally:
            process.stdin.close()  # the agent is gone


async def test_workers_are_forked_into_the_environment_that_dask_starts_one_in(tmp_path: Path) -> None:
    asked = {"OMP_NUM_THREADS": "3", "DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD": "spawn"}
    started = await _found_by_workers(tmp_path / "started", asked)
    forked = await _found_by_workers(tmp_path / "forked", {"OMP_NUM_THREADS": "3"})
    assert [one.pop("forked") for one in started + forked] == [False, False, True, True]
    assert forked == started
    assert forked[0]["OMP_NUM_THREADS"] == "3"
    assert forked[0] == forked[1]


async def test_what_dask_is_to_set_before_a_worker_starts_is_set(tmp_path: Path) -> None:
    asked = {"DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON": "{'OMP_NUM_THREADS': 2, 'PYTHONHASHSEED': 7}"}
    for one in await _found_by_workers(tmp_path, asked):
        assert (one["forked"], one["OMP_NUM_THREADS"], one["PYTHONHASHSEED"]) == (True, "2", "7")
