"""The GPUs of this machine: which there are, as NVML says, and which are lent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_workbench.backends.local.folder import WorkloadFolder
from gpu_workbench.backends.local.lease import is_lent, leases_of, visible_gpus
from gpu_workbench.core.capacity import Capacity, GpuKind, Waiting

_RESOURCE = "gpu"


@dataclass(frozen=True)
class Device:
    """One GPU.

    Args:
        busy: Whether a process uses it; ``None`` where the driver does not say.
    """

    uuid: str
    name: str
    memory: int | None = None
    busy: bool | None = None


def count(root: Path) -> Capacity:
    """What there is, what is lent and what waits. A driver may take seconds.

    Args:
        root: Folder of the workloads.
    """
    devices = _devices()
    lent = {device.uuid for device in devices if is_lent(leases_of(root), device.uuid)}
    return Capacity(kinds=tuple(_kinds(devices, lent)), waiting=_waiting(root))


def _devices() -> list[Device]:
    uuids = visible_gpus()
    if not uuids:
        return []
    import pynvml

    return [_device(pynvml, uuid) for uuid in uuids]


def _device(nvml: Any, uuid: str) -> Device:
    handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
    name = _asked(lambda: nvml.nvmlDeviceGetName(handle)) or "GPU"
    return Device(
        uuid=uuid,
        name=name.decode() if isinstance(name, bytes) else name,
        memory=_asked(lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).total)),
        busy=_asked(lambda: bool(nvml.nvmlDeviceGetComputeRunningProcesses(handle))),
    )


def _asked(read: Any) -> Any:
    try:
        return read()
    except Exception:  # whatever this driver does not give
        return None


def _kinds(devices: Iterable[Device], lent: set[str]) -> list[GpuKind]:
    kinds: dict[str, list[Device]] = {}
    for device in devices:
        kinds.setdefault(_kind_name(device), []).append(device)
    return [_kind(name, members, lent) for name, members in sorted(kinds.items())]


def _kind(name: str, devices: list[Device], lent: set[str]) -> GpuKind:
    others = [device.busy for device in devices if device.uuid not in lent]
    known = None not in others
    return GpuKind(
        name=name,
        resource=_RESOURCE,
        total=len(devices),
        mine=len(devices) - len(others),
        others=sum(map(bool, others)) if known else None,
        free=others.count(False) if known else None,
        simulated=any("SIMULATED" in device.name for device in devices),
    )


def _kind_name(device: Device) -> str:
    words = [word for word in device.name.split() if word not in ("NVIDIA", "SIMULATED")]
    memory = [f"{device.memory / 2**30:.0f} GiB"] if device.memory else []
    return " ".join([*(word for word in words if not (memory and word.endswith("GB"))), *memory])


def _waiting(root: Path) -> tuple[Waiting, ...]:
    """What workloads wait for whose process still lives."""
    folders = [WorkloadFolder(path) for path in (root.iterdir() if root.exists() else ())]
    queued = [folder for folder in folders if folder.waiting and not folder.ended]
    asked = sum(handle.spec.gpus for folder in queued if (handle := folder.handle()))
    return (Waiting("GPUs", mine=asked, others=0),) if asked else ()
