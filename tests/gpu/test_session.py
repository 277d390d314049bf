"""A session on a real GPU: it has the device that it asked for, and what the driver measures comes with its journal."""

from __future__ import annotations

import asyncio
import os
import textwrap
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_workbench.agent.gpus import load_nvml
from gpu_workbench.app.workbench import Cell, Started
from gpu_workbench.backends.local.backend import LocalBackend
from gpu_workbench.core.model import GpuSample, GpuState, Phase
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import Resources
from tests.contract.conftest import LIMIT, Kernel, Place

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(180)]

HELD = 512 * 2**20
"""Bytes of the device's memory that the cell takes."""

TAKE_MEMORY = f"""
    import ctypes, os

    print(os.environ["CUDA_VISIBLE_DEVICES"])
    cuda = ctypes.CDLL("libcuda.so.1")
    device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    for status in (
        cuda.cuInit(0),
        cuda.cuDeviceGet(ctypes.byref(device), 0),
        cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device),
        cuda.cuCtxSetCurrent(context),
        cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t({HELD})),
    ):
        assert status == 0, status
"""
"""Through the driver's own library, so that no framework is needed; it stays until the session ends."""


@pytest.fixture(scope="module", autouse=True)
def _with_a_gpu() -> None:
    """What a double of NVML shows is no GPU."""
    try:
        nvml = load_nvml()
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    except Exception as error:  # of NVML's own kinds
        pytest.skip(f"there is no GPU here: {error}")
    if not handles:
        pytest.skip("there is no GPU here: the driver sees no device")
    if "SIMULATED" in str(nvml.nvmlDeviceGetName(handles[0])):
        pytest.skip("there is no GPU here: the device is SIMULATED")


@pytest.fixture
async def kernel(tmp_path: Path) -> AsyncIterator[Kernel]:
    place = Place("local", lambda: LocalBackend(tmp_path / "local"), "", dict(os.environ), tmp_path)
    made = place.kernel()
    yield made
    await made.close()
    await place.close()


async def run(kernel: Kernel, source: str) -> tuple[Started, str]:
    """Run a cell in a session of one GPU; what it printed."""
    spec = replace(kernel.place.spec(id=""), resources=Resources(gpus=Gpus(1)))
    started = await kernel.workbench.start("local", spec, Cell(source=textwrap.dedent(source)), asked={})
    text = ""
    async for step in started.execution.steps():
        text += "".join(str(event.content.get("text", "")) for event in step.outputs)
    return started, text


async def test_a_session_has_its_gpu_and_tells_what_the_cell_uses_of_it(kernel: Kernel) -> None:
    started, _ = await run(kernel, "pass")
    subscription = started.opened.subscription

    def gpu() -> GpuState:
        (one,) = subscription.workload.ranks[0].gpus
        return one

    async def sampled(least: int = 0) -> GpuSample:
        """The first sample with so much memory in use."""

        def found() -> bool:
            latest = gpu().latest
            return latest is not None and (latest.memory_used or 0) >= least

        await asyncio.wait_for(subscription.until(found), LIMIT)
        latest = gpu().latest
        assert latest is not None
        return latest

    before = await sampled()
    assert before.memory_used is not None
    assert before.memory_total is not None
    assert 0 <= before.memory_used < before.memory_total == gpu().device.memory_total
    if before.utilisation is None:  # a part of a device, as MIG makes them, has none
        assert before.missing["utilisation"]
    else:
        assert 0 <= before.utilisation <= 100
    assert not gpu().device.simulated

    again, text = await run(kernel, TAKE_MEMORY)
    ended = again.execution.run
    assert ended is not None
    assert (ended.phase, ended.failure) == (Phase.SUCCEEDED, None)
    assert text.strip() == gpu().device.uuid
    await sampled(before.memory_used + HELD)
