"""What each run used of the devices, summed from the samples taken while it ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gpu_workbench.core.model import GpuDevice, GpuSample, Receipt


class Meter:
    """Sums samples between the start and the end of a run. Figures that no device gave stay ``None``."""

    def __init__(self, *, waited: float, started: float, devices: tuple[GpuDevice, ...]) -> None:
        self._waited = waited
        self._started = started
        self._devices = devices
        self._sum = 0.0
        self._count = 0
        self._peak: int | None = None

    def add(self, samples: tuple[GpuSample, ...]) -> None:
        """Count one moment's samples."""
        for sample in samples:
            if sample.utilisation is not None:
                self._sum += sample.utilisation
                self._count += 1
            if sample.memory_used is not None:
                self._peak = max(self._peak or 0, sample.memory_used)

    def receipt(self, *, now: float) -> Receipt:
        """The run's receipt, as of ``now`` on the agent's clock."""
        seconds = max(0.0, now - self._started)
        return Receipt(
            seconds=round(seconds, 3),
            waited=round(self._waited, 3),
            gpus=len(self._devices),
            gpu_seconds=round(seconds * len(self._devices), 3),
            mean_utilisation=round(self._sum / self._count, 1) if self._count else None,
            peak_memory=self._peak,
            simulated=any(device.simulated for device in self._devices),
        )


def together(own: Receipt, others: Sequence[Receipt]) -> Receipt:
    """What all ranks of a run used: each held its devices until the run was over.

    Args:
        own: Of the rank whose clock counts.
        others: Of the others, as far as they have told.
    """
    every = (own, *others)
    gpus = sum(one.gpus for one in every)
    measured = [(one.mean_utilisation, one.gpus) for one in every if one.mean_utilisation is not None]
    weight = sum(count for _, count in measured)
    return replace(
        own,
        gpus=gpus,
        gpu_seconds=round(own.seconds * gpus, 3),
        mean_utilisation=round(sum(mean * count for mean, count in measured) / weight, 1) if weight else None,
        peak_memory=max((one.peak_memory for one in every if one.peak_memory is not None), default=None),
        simulated=any(one.simulated for one in every),
    )
