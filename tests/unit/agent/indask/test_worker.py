"""What the preload of a Dask worker adds to what that tells its scheduler."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from distributed import Client, Scheduler, Worker

from gpu_workbench.agent.indask import worker as preload
from gpu_workbench.agent.indask.worker import FRESH, Devices, Transfers
from gpu_workbench.core.model import DaskWorker
from gpu_workbench.core.wire import decode


class Nvml:
    """SIMULATED: as much of NVML as is asked, with one device that does not tell its power."""

    NVML_TEMPERATURE_GPU = 0

    def __init__(self, name: str | bytes = b"NVIDIA H200 (SIMULATED)", count: int = 4) -> None:
        self.name, self.count, self.asked = name, count, 0

    def nvmlDeviceGetCount(self) -> int:
        return self.count

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return f"GPU-{index}"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        return uuid

    def nvmlDeviceGetName(self, handle: str) -> str | bytes:
        return self.name

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> Any:
        self.asked += 1
        return SimpleNamespace(gpu=10 * int(handle[-1]))

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> Any:
        return SimpleNamespace(used=2**30, total=2**37)

    def nvmlDeviceGetTemperature(self, handle: str, kind: int) -> int:
        return 40

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        raise RuntimeError("Not Supported")


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    made = Nvml()
    monkeypatch.setattr(preload, "_load", lambda: made)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return made


def devices() -> Devices:
    made = Devices()
    made.find()
    return made


def told() -> DaskWorker:
    """As the agent reads it."""
    return decode(DaskWorker, {"name": "w", **json.loads(json.dumps(devices().told()))})


def test_the_devices_of_a_worker_are_told_with_the_reason_for_what_is_not(nvml: Nvml) -> None:
    found = told()
    assert [gpu.index for gpu in found.gpus] == [0, 1, 2, 3]
    assert [gpu.utilisation for gpu in found.gpus] == [0.0, 10.0, 20.0, 30.0]
    first = found.gpus[0]
    assert (first.memory_used, first.memory_total, first.temperature, first.power) == (
        2**30,
        2**37,
        40.0,
        None,
    )
    assert first.missing == {"power": "Not Supported"}
    assert (found.device, found.simulated) == ("NVIDIA H200 (SIMULATED)", True)


def test_a_device_that_is_none_of_a_test_is_not_called_so(nvml: Nvml) -> None:
    nvml.name = "NVIDIA H200"
    assert (told().device, told().simulated) == ("NVIDIA H200", False)


@pytest.mark.parametrize(
    ("visible", "utilisation"),
    [
        ("2", [20.0]),
        ("3,1", [30.0, 10.0]),
        (" 1 , 2 ", [10.0, 20.0]),
        ("GPU-3", [30.0]),
        ("MIG-1", [10.0]),
        ("1,-1,2", [10.0]),  # CUDA stops at the first that it does not know
        ("1,9,2", [10.0]),
        ("", []),
        ("none", []),
    ],
)
def test_only_those_that_cuda_shows_are_the_workers(
    nvml: Nvml, monkeypatch: pytest.MonkeyPatch, visible: str, utilisation: list[float]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = devices().told()
    assert [gpu["utilisation"] for gpu in found.get("gpus", [])] == utilisation
    assert [gpu["index"] for gpu in found.get("gpus", [])] == [*range(len(utilisation))]


def test_dask_asks_more_often_than_a_driver_is_asked(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(preload, "time", SimpleNamespace(monotonic=lambda: clock.now))
    found = devices()
    assert found.told() == found.told()
    assert nvml.asked == nvml.count
    clock.now += FRESH + 0.1
    found.told()
    assert nvml.asked == 2 * nvml.count


@pytest.mark.parametrize("broken", ["nvmlDeviceGetCount", "nvmlDeviceGetName", "nvmlDeviceGetHandleByIndex"])
def test_a_driver_that_fails_is_none(nvml: Nvml, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Driver/library version mismatch")

    monkeypatch.setattr(nvml, broken, fail)
    assert devices().told() == {}


def test_the_reader_in_the_agents_archive_is_taken_where_the_image_has_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    vendor = tmp_path / "_gwb_vendor"
    vendor.mkdir()
    (vendor / "__init__.py").touch()
    (vendor / "pynvml.py").write_text("begun = []\ndef nvmlInit():\n    begun.append(1)\n")
    monkeypatch.setattr("ctypes.CDLL", lambda name: None)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    for name in [name for name in sys.modules if name.startswith("_gwb_vendor")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv(preload.ARCHIVE, str(tmp_path))
    before = [*sys.path]
    found: ModuleType = preload._load()
    for name in ("_gwb_vendor", "_gwb_vendor.pynvml"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert found.begun == [1]
    assert sys.path == before


def entry(stop: float, total: int) -> dict[str, float]:
    return {"stop": stop, "total": total}


def test_transfers_are_bytes_a_second_since_the_last_look(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(preload, "time", SimpleNamespace(time=lambda: clock.now))
    transfers = Transfers()
    worker = SimpleNamespace(transfer_outgoing_bytes_total=0, transfer_incoming_log=[], scheduler_delay=5.0)
    clock.now += 2
    assert transfers.sample(worker) == {}
    clock.now += 2
    worker.transfer_outgoing_bytes_total = 4000
    worker.transfer_incoming_log = [
        entry(1006.5, 999),
        entry(1007.5, 100),
        entry(1008.0, 300),
    ]  # 5 s before it is 1002
    assert transfers.sample(worker) == {"sent": 2000.0, "received": 200.0}
    clock.now += 0.1
    worker.transfer_outgoing_bytes_total = 9999
    assert transfers.sample(worker) == {"sent": 2000.0, "received": 200.0}, "asked twice in a moment"
    clock.now += 1.9
    assert transfers.sample(worker) == {"sent": 2999.5}


async def test_a_worker_without_a_driver_tells_of_its_transfers_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load() -> None:
        raise OSError("libnvidia-ml.so.1: cannot open shared object file")

    monkeypatch.setattr(preload, "_load", load)
    monkeypatch.setattr(preload, "FRESH", -1.0)
    async with (
        Scheduler(host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0") as scheduler,
        Worker(scheduler.address, host="127.0.0.1", name="a") as a,
        Worker(scheduler.address, host="127.0.0.1", name="b") as b,
        Client(scheduler.address, asynchronous=True) as client,
    ):
        for worker in (a, b):
            preload.dask_setup(worker)
        assert (await a.get_metrics())["gpu_workbench"] == {}
        made = client.submit(bytes, 2**20, workers="a")
        await client.submit(len, made, workers="b")
        sent, received = await a.get_metrics(), await b.get_metrics()
        assert sent["gpu_workbench_transfer"]["sent"] > 0
        assert received["gpu_workbench_transfer"]["received"] > 0
