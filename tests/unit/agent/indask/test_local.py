"""The Dask cluster of one machine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from dask.system import CPU_COUNT
from distributed import Client
from distributed.system import MEMORY_LIMIT

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
