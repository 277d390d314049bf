"""The sampler asks what the payload could ask, and says why a figure is missing. Devices are NVML's double: SIMULATED."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpu_workbench.agent.gpus import part, visible
from gpu_workbench.core import events as e
from gpu_workbench.core.model import Phase

from .harness import agent, resident

UUIDS = ["GPU-aa11", "GPU-ab22", "GPU-cc33"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, []),
        ({"CUDA_VISIBLE_DEVICES": "2,0"}, [2, 0]),
        ({"CUDA_VISIBLE_DEVICES": "0,7,1"}, [0]),
        ({"CUDA_VISIBLE_DEVICES": "1,1"}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-cc33,GPU-aa"}, [2, 0]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-a"}, []),
        ({"CUDA_VISIBLE_DEVICES": "MIG-77"}, ["MIG-77"]),
        ({"CUDA_VISIBLE_DEVICES": "", "NVIDIA_VISIBLE_DEVICES": "all"}, []),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, None),
        ({"NVIDIA_VISIBLE_DEVICES": ""}, []),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, []),
        ({"NVIDIA_VISIBLE_DEVICES": "none"}, []),
        ({"NVIDIA_VISIBLE_DEVICES": "GPU-ab22"}, [1]),
        ({"NVIDIA_VISIBLE_DEVICES": "5,6,7"}, None),
    ],
)
def test_devices_are_those_that_cuda_would_show(
    environment: dict[str, str], expected: list[int | str] | None
) -> None:
    assert visible(environment, uuids=UUIDS) == expected


needs_double = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("gcc"), reason="the NVML double is compiled with gcc on Linux"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("nvml")
    subprocess.run([sys.executable, "-m", "tests.cluster.nvml", "build", str(folder)], check=True)
    return str(folder)


_SAMPLE = """
import json, os
from gpu_workbench.agent.gpus import GpuSampler
from gpu_workbench.core.wire import encode
sampler = GpuSampler(lambda samples: None, environment=os.environ)
sampler.start()
print(json.dumps([encode(sampler.devices), encode(sampler.sample()), sampler.missing]))
"""


def sample(library: str, **env: str) -> tuple[list[dict[str, object]], list[dict[str, object]], str]:
    clean = {key: value for key, value in os.environ.items() if "VISIBLE_DEVICES" not in key}
    ran = subprocess.run(
        [sys.executable, "-c", _SAMPLE],
        env={**clean, "LD_LIBRARY_PATH": library, "PYTHONPATH": os.pathsep.join(sys.path), **env},
        capture_output=True,
        text=True,
        check=True,
    )
    devices, samples, missing = json.loads(ran.stdout)
    return devices, samples, missing


@needs_double
def test_what_a_device_does_not_give_is_missing_with_its_reason(library: str) -> None:
    missing = "utilization,power,throttle"
    devices, (figures,), _ = sample(library, GPU_WORKBENCH_NVML_COUNT="1", GPU_WORKBENCH_NVML_MISSING=missing)
    assert devices[0]["simulated"] is True
    assert "utilisation" not in figures
    assert "power" not in figures
    assert isinstance(figures["memory_used"], int)
    reasons = figures["missing"]
    assert isinstance(reasons, dict)
    assert set(reasons) == {"utilisation", "power", "throttle"}
    assert all("Supported" in reason for reason in reasons.values())


@needs_double
def test_only_visible_devices_are_sampled_in_their_order(library: str) -> None:
    all_, _, _ = sample(library, GPU_WORKBENCH_NVML_COUNT="4")
    some, figures, _ = sample(library, GPU_WORKBENCH_NVML_COUNT="4", CUDA_VISIBLE_DEVICES="3,1")
    assert [device["uuid"] for device in some] == [all_[3]["uuid"], all_[1]["uuid"]]
    assert [figure["index"] for figure in figures] == [0, 1]
    none, _, why = sample(library, GPU_WORKBENCH_NVML_COUNT="4", CUDA_VISIBLE_DEVICES="")
    assert none == []
    assert "hides every device" in why


@needs_double
async def test_eight_devices_once_a_second_cost_next_to_nothing(tmp_path: Path, library: str) -> None:
    env = {"LD_LIBRARY_PATH": library, "GPU_WORKBENCH_NVML_COUNT": "8"}
    with agent(tmp_path, env=env) as made:
        async with made.client(after="") as client:
            started = await client.event(e.AgentStarted)
            assert len(started.gpus) == 8
            await client.up()
            await client.event(e.GpuSampled)
            before, since = _cpu(made.process.pid), time.monotonic()
            end = await client.run("import time; time.sleep(6)")
            assert end.phase is Phase.SUCCEEDED
            share = (_cpu(made.process.pid) - before) / (time.monotonic() - since)
            assert end.receipt is not None
            assert end.receipt.gpus == 8
            assert end.receipt.simulated
            assert end.receipt.mean_utilisation is not None
            assert len(client.events(e.GpuSampled)) >= 4
            held = resident(made.process.pid)
        print(f"{share:.2%} of a core, {held / 2**20:.0f} MiB resident, at 1 Hz x 8 devices (SIMULATED)")
        assert share < 0.02  # 1 % is the aim; a scheduler's tick is a sixth of that here
        assert held < 60e6


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    ("of", "parts"),
    [
        (1, ["abcdefgh"]),
        (4, ["ab", "cd", "ef", "gh"]),
        (3, ["ab", "cde", "fgh"]),
        (16, ["", "a", "", "b", "", "c", "", "d", "", "e", "", "f", "", "g", "", "h"]),
    ],
)
def test_every_device_of_a_node_is_one_ranks(of: int, parts: list[str]) -> None:
    assert ["".join(part(list("abcdefgh"), number, of)) for number in range(of)] == parts
