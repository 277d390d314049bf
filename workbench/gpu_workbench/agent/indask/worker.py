"""Preload of a Dask worker: its devices and its transfers become metrics, which it tells its scheduler anyway.

Source: the section "Customize initialization" (preloads) of Dask's documentation; NVML's API reference.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

ARCHIVE = "GPU_WORKBENCH_AGENT"
"""Environment variable with the path of the agent's archive, which has a reader of NVML in it."""

FRESH = 0.9
"""Seconds for which a sample counts as of now: Dask asks at each heartbeat, twice a second in a small cluster."""


class Devices:
    """The devices of this worker, by NVML. What one does not give is left out, with NVML's reason."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._handles: list[Any] = []
        self._last: tuple[float, list[dict[str, Any]]] = (0.0, [])
        self._name = ""

    def find(self) -> None:
        """Find them; there is none where there is no driver."""
        try:
            self._nvml = _load()
            self._handles = self._visible()
            self._name = _text(self._nvml.nvmlDeviceGetName(self._handles[0])) if self._handles else ""
        except Exception:
            self._handles = []

    def _visible(self) -> list[Any]:
        """Those that CUDA shows to this process; all where nobody says."""
        nvml = self._nvml
        found = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        told = os.environ.get("CUDA_VISIBLE_DEVICES")
        if told is None:
            return found
        chosen = []
        for word in (word.strip() for word in told.split(",")):
            if word.isdecimal() and int(word) < len(found):
                chosen.append(found[int(word)])
            elif word.startswith(("GPU-", "MIG-")):
                chosen.append(nvml.nvmlDeviceGetHandleByUUID(word))
            else:
                break
        return chosen

    def told(self) -> dict[str, Any]:
        """All of them now, and what they are; nothing where there is none."""
        at, samples = self._last
        if self._handles and time.monotonic() - at > FRESH:
            samples = [self._sample(index, handle) for index, handle in enumerate(self._handles)]
            self._last = (time.monotonic(), samples)
        if not samples:
            return {}
        return {"gpus": samples, "device": self._name, "simulated": "SIMULATED" in self._name}

    def _sample(self, index: int, handle: Any) -> dict[str, Any]:
        nvml = self._nvml
        form: dict[str, Any] = {"index": index}
        missing: dict[str, str] = {}
        readers = {
            "utilisation": lambda: float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
            "memory_used": lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).used),
            "memory_total": lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
            "temperature": lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
            "power": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000.0,
        }
        for name, read in readers.items():
            try:
                form[name] = read()  # type: ignore[no-untyped-call]
            except Exception as error:
                missing[name] = str(error) or type(error).__name__
        return {**form, **({"missing": missing} if missing else {})}


class Transfers:
    """Bytes a second between this worker and others, since the last look."""

    def __init__(self) -> None:
        self._looked = time.time()
        self._sent = 0
        self._told: dict[str, float] = {}

    def sample(self, worker: Any) -> dict[str, float]:
        """The speed of both directions; one that is 0 is left out."""
        now = time.time()
        passed = now - self._looked
        if passed > FRESH:
            sent = int(worker.transfer_outgoing_bytes_total)
            speeds = {"sent": (sent - self._sent) / passed, "received": self._received(worker) / passed}
            self._told = {name: round(speed, 1) for name, speed in speeds.items() if speed > 0}
            self._looked, self._sent = now, sent
        return self._told

    def _received(self, worker: Any) -> int:
        """Dask keeps a log of what came, and no sum."""
        since, total = self._looked + worker.scheduler_delay, 0
        for entry in reversed(worker.transfer_incoming_log):
            if entry["stop"] < since:
                break
            total += entry["total"]
        return total


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _load() -> Any:
    import ctypes

    ctypes.CDLL("libnvidia-ml.so.1")  # where there is none, the module would be imported for nothing
    try:
        import pynvml
    except ImportError:
        sys.path.append(os.environ.get(ARCHIVE, ""))
        try:
            from _gwb_vendor import pynvml
        finally:
            sys.path.pop()
    pynvml.nvmlInit()
    return pynvml


def dask_setup(worker: Any) -> None:
    """Called by Dask once the worker is known to its scheduler."""
    devices, transfers = Devices(), Transfers()
    devices.find()
    worker.metrics["gpu_workbench"] = lambda _: devices.told()
    worker.metrics["gpu_workbench_transfer"] = transfers.sample
