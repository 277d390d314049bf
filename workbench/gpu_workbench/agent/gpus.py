"""NVML, once a second, in a thread of its own: a driver that hangs holds up nothing else.

Source: the NVML API reference. What a device does not give is missing with NVML's own reason, never 0.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gpu_workbench.core.model import GpuDevice, GpuSample

INTERVAL = 1.0
"""Seconds between two samples."""

_LIBRARY = "libnvidia-ml.so.1"

_THROTTLE = {
    0x4: "power limit",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "heat (software)",
    0x40: "heat (hardware)",
    0x80: "power brake",
}


def load_nvml() -> Any:
    """The NVML module, initialised.

    Raises:
        Exception: there is no driver, or it does not answer; its words are fit for people.
    """
    try:
        ctypes.CDLL(
            _LIBRARY
        )  # where there is none, the module would be imported for nothing, and it is large
    except OSError:
        raise RuntimeError("NVML Shared Library Not Found") from None
    try:
        from _gwb_vendor import pynvml
    except ImportError:
        import pynvml
    pynvml.nvmlInit()
    return pynvml


class GpuSampler:
    """Samples all visible devices and calls ``deliver`` from its thread.

    Args:
        deliver: Given the samples of one moment.
        environment: What the payload is told of the devices it may use.
        share: Which part of them is this rank's, of how many: those of a node are the business of all its ranks.
    """

    def __init__(
        self,
        deliver: Callable[[tuple[GpuSample, ...]], None],
        *,
        environment: Mapping[str, str],
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._share = share
        self._deliver = deliver
        self._environment = environment
        self._stop = threading.Event()
        self._nvml: Any = None
        self._handles: list[Any] = []
        self.devices: tuple[GpuDevice, ...] = ()
        self.missing = ""
        """Why there are no devices; empty where there are some."""

    def start(self) -> None:
        """Find the devices and begin to sample them, if there are any. A driver may take seconds."""
        try:
            self._nvml = load_nvml()
            self._handles = part(self._visible(), *self._share)
            self.devices = tuple(self._device(index) for index in range(len(self._handles)))
        except Exception as error:
            self.missing = str(error) or type(error).__name__
            return
        if self.devices:
            threading.Thread(target=self._run, name="gpu-workbench NVML", daemon=True).start()
        else:
            self.missing = self.missing or "the driver sees no device"

    def stop(self) -> None:
        """End the thread after its present sample."""
        self._stop.set()

    def _visible(self) -> list[Any]:
        """The devices that CUDA would show to the payload, in its order."""
        nvml = self._nvml
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        uuids = [_text(nvml.nvmlDeviceGetUUID(handle)) for handle in handles]
        chosen = visible(self._environment, uuids=uuids)
        if chosen is None:
            return handles
        if handles and not chosen:
            self.missing = (
                "CUDA_VISIBLE_DEVICES or NVIDIA_VISIBLE_DEVICES hides every device from this workload"
            )
        return [
            handles[one] if isinstance(one, int) else nvml.nvmlDeviceGetHandleByUUID(one) for one in chosen
        ]

    def _device(self, index: int) -> GpuDevice:
        nvml, handle = self._nvml, self._handles[index]
        name = _text(nvml.nvmlDeviceGetName(handle))
        total, _ = self._figure(lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).total))
        uuid, _ = self._figure(lambda: _text(nvml.nvmlDeviceGetUUID(handle)))
        return GpuDevice(
            index=index, name=name, uuid=uuid or "", memory_total=total, simulated="SIMULATED" in name
        )

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            self._deliver(self.sample())
            due = max(due + INTERVAL, time.monotonic())
            self._stop.wait(due - time.monotonic())

    def sample(self) -> tuple[GpuSample, ...]:
        """All devices now."""
        return tuple(self._sample(index) for index in range(len(self._handles)))

    def _sample(self, index: int) -> GpuSample:
        nvml, handle = self._nvml, self._handles[index]
        readers: dict[str, Callable[[], Any]] = {
            "utilisation": lambda: float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
            "memory_used": lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).used),
            "memory_total": lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
            "temperature": lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
            "power": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000.0,
            "clock": lambda: float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
            "clock_max": lambda: float(nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM)),
            "throttle": lambda: _throttle(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),
        }
        figures: dict[str, Any] = {}
        missing: dict[str, str] = {}
        for name, read in readers.items():
            value, reason = self._figure(read)
            if reason:
                missing[name] = reason
            else:
                figures[name] = value
        return GpuSample(index=index, missing=missing, **figures)

    def _figure(self, read: Callable[[], Any]) -> tuple[Any, str]:
        try:
            return read(), ""
        except Exception as error:
            return None, str(error) or type(error).__name__


def part(handles: list[Any], number: int, of: int) -> list[Any]:
    """A rank's part of its node's devices: each is counted by one rank, and by none twice where they are too few."""
    return handles[number * len(handles) // of : (number + 1) * len(handles) // of]


def visible(environment: Mapping[str, str], *, uuids: Sequence[str]) -> list[int | str] | None:
    """Which devices a program with this environment may use: indices, or the UUIDs of parts of one; ``None`` for all.

    ``CUDA_VISIBLE_DEVICES`` is a list of indices or UUIDs, or of beginnings of these; at the first that is not there it
    ends, as CUDA has it. ``NVIDIA_VISIBLE_DEVICES`` is for the container's runtime, which has left out the others already
    and numbered the rest anew; so of that, UUIDs count, and the words for none.

    Args:
        environment: Environment variables.
        uuids: Of the devices the driver shows, in order.

    Source: the CUDA programming guide, and the documentation of the NVIDIA container toolkit.
    """
    told = environment.get("CUDA_VISIBLE_DEVICES")
    if told is None:
        told = environment.get("NVIDIA_VISIBLE_DEVICES")
        if told is None or told == "all":
            return None
        if told in ("", "none", "void"):
            return []
        named = [word.strip() for word in told.split(",")]
        if not all(word.startswith(("GPU-", "MIG-")) for word in named):
            return None
        told = ",".join(word for word in named if word.startswith("MIG-") or word in uuids)
    found: list[int | str] = []
    for word in map(str.strip, told.split(",")):
        one = _place(word, uuids)
        if one is None or one in found:
            break
        found.append(one)
    return found


def _place(word: str, uuids: Sequence[str]) -> int | str | None:
    if word.startswith("MIG-"):
        return word
    if word.isdecimal():
        return int(word) if int(word) < len(uuids) else None
    fitting = [index for index, uuid in enumerate(uuids) if word and uuid.startswith(word)]
    return fitting[0] if len(fitting) == 1 else None


def _throttle(bits: int) -> tuple[str, ...]:
    return tuple(word for bit, word in _THROTTLE.items() if bits & bit)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
