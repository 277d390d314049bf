"""The NVML double answers NVIDIA's own Python binding as the real library does, and never passes for a real GPU."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pynvml", reason="the double is tested with NVIDIA's binding, nvidia-ml-py")

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the NVML double is a Linux library"),
    pytest.mark.skipif(not shutil.which("gcc"), reason="the NVML double is compiled with gcc"),
]

# Ask for every figure of every device; a figure that fails is the error's name.
_ASK = """
import json, pynvml as n

def figure(call, *args):
    try:
        value = call(*args)
    except n.NVMLError as error:
        return type(error).__name__
    fields = getattr(value, "_fields_", None)
    return {name: getattr(value, name) for name, _ in fields} if fields else value

try:
    n.nvmlInit()
except n.NVMLError as error:
    print(json.dumps(type(error).__name__))
    raise SystemExit
devices = [n.nvmlDeviceGetHandleByIndex(i) for i in range(n.nvmlDeviceGetCount())]
print(json.dumps([{
    "driver": figure(n.nvmlSystemGetDriverVersion),
    "name": figure(n.nvmlDeviceGetName, d),
    "uuid": figure(n.nvmlDeviceGetUUID, d),
    "memory": figure(n.nvmlDeviceGetMemoryInfo, d),
    "memory_v2": figure(n.nvmlDeviceGetMemoryInfo, d, n.nvmlMemory_v2),
    "utilization": figure(n.nvmlDeviceGetUtilizationRates, d),
    "temperature": figure(n.nvmlDeviceGetTemperature, d, n.NVML_TEMPERATURE_GPU),
    "power": figure(n.nvmlDeviceGetPowerUsage, d),
    "power_limit": figure(n.nvmlDeviceGetEnforcedPowerLimit, d),
    "clock": figure(n.nvmlDeviceGetClockInfo, d, n.NVML_CLOCK_SM),
    "max_clock": figure(n.nvmlDeviceGetMaxClockInfo, d, n.NVML_CLOCK_SM),
    "throttle": figure(n.nvmlDeviceGetCurrentClocksThrottleReasons, d),
    "processes": figure(lambda d: len(n.nvmlDeviceGetComputeRunningProcesses(d)), d),
} for d in devices]))
n.nvmlShutdown()
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the compiled double, made as a user would."""
    folder = tmp_path_factory.mktemp("nvml")
    said = subprocess.run(
        [sys.executable, "-m", "tests.cluster.nvml", "build", str(folder)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.strip() == str(folder / "libnvidia-ml.so.1")
    return folder


def ask(library: Path, **environment: str) -> object:
    """What NVIDIA's binding is told in a process with that environment."""
    clean = {
        k: v for k, v in os.environ.items() if k not in ("NVIDIA_VISIBLE_DEVICES", "GPU_WORKBENCH_NVML_COUNT")
    }
    said = subprocess.run(
        [sys.executable, "-c", _ASK],
        env={**clean, "LD_LIBRARY_PATH": str(library), **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return json.loads(said)


def devices(library: Path, **environment: str) -> list[dict[str, object]]:
    said = ask(library, **environment)
    assert isinstance(said, list), said
    return said


def test_devices_are_those_the_device_plugin_named(library: Path) -> None:
    found = devices(library, NVIDIA_VISIBLE_DEVICES="GPU-b,GPU-a")
    assert [device["uuid"] for device in found] == ["GPU-b", "GPU-a"]


def test_count_stands_in_where_no_device_plugin_is(library: Path) -> None:
    found = devices(library, GPU_WORKBENCH_NVML_COUNT="8")
    assert len({str(device["uuid"]) for device in found}) == 8


def test_every_device_and_the_driver_say_simulated(library: Path) -> None:
    for device in devices(library, GPU_WORKBENCH_NVML_COUNT="2"):
        assert "SIMULATED" in str(device["name"])
        assert "SIMULATED" in str(device["driver"])


def test_figures_are_plausible(library: Path) -> None:
    (device,) = devices(library, GPU_WORKBENCH_NVML_COUNT="1")
    memory, utilization = device["memory"], device["utilization"]
    assert isinstance(memory, dict)
    assert isinstance(utilization, dict)
    assert memory["used"] + memory["free"] == memory["total"] == 141 << 30
    assert 0 <= utilization["gpu"] <= 100
    for figure, low, high in (
        ("temperature", 20, 90),
        ("power", 50_000, 700_000),
        ("power_limit", 700_000, 700_000),
        ("clock", 1000, 1980),
        ("max_clock", 1980, 1980),
        ("throttle", 0, 1),
    ):
        value = device[figure]
        assert isinstance(value, int)
        assert low <= value <= high, figure


def test_figures_taken_away_are_not_supported_and_the_others_stay(library: Path) -> None:
    (device,) = devices(library, GPU_WORKBENCH_NVML_COUNT="1", GPU_WORKBENCH_NVML_MISSING="utilization,power")
    assert device["utilization"] == device["power"] == "NVMLError_NotSupported"
    assert isinstance(device["power_limit"], int)
    assert isinstance(device["memory"], dict)


def test_the_last_devices_have_a_process(library: Path) -> None:
    found = devices(library, GPU_WORKBENCH_NVML_COUNT="3", GPU_WORKBENCH_NVML_BUSY="1")
    assert [device["processes"] for device in found] == [0, 0, 1]


@pytest.mark.parametrize(
    "environment", [{}, {"NVIDIA_VISIBLE_DEVICES": "void"}, {"NVIDIA_VISIBLE_DEVICES": ""}]
)
def test_without_gpus_there_is_no_driver(library: Path, environment: dict[str, str]) -> None:
    assert ask(library, **environment) == "NVMLError_DriverNotLoaded"
