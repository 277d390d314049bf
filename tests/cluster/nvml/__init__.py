"""A double of NVIDIA's management library for machines without a GPU; every device is named "SIMULATED ...".

`python -m tests.cluster.nvml build DIR` compiles it and prints the path of `libnvidia-ml.so.1`; a process with DIR in
LD_LIBRARY_PATH then finds it as it would the real one. What it shows is set by the environment of that process:

    NVIDIA_VISIBLE_DEVICES      ids of the GPUs, as the device plugin sets it; each id is the UUID of one device
    GPU_WORKBENCH_NVML_COUNT    how many GPUs there are where NVIDIA_VISIBLE_DEVICES is not set (or is "all")
    GPU_WORKBENCH_NVML_BUSY     on how many of them, the last ones, a process runs
    GPU_WORKBENCH_NVML_MISSING  figures that answer NVML_ERROR_NOT_SUPPORTED, separated by commas: name, uuid, memory,
                                utilization, temperature, power, power_limit, clock, max_clock, throttle, processes

With neither of the first two there is no driver: nvmlInit fails as it does on a machine without one.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from ..shell import sh

SOURCE = Path(__file__).with_name("nvml.c")
NAME = "libnvidia-ml.so.1"

MARKS = (
    pytest.mark.skipif(sys.platform != "linux", reason="the NVML double is a Linux library"),
    pytest.mark.skipif(not shutil.which("gcc"), reason="the NVML double is compiled with gcc"),
)
"""Of tests that need it."""


def build(folder: Path) -> Path:
    """Compile the library into `folder` (made if absent) and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / NAME
    flags = (
        "-shared",
        "-fPIC",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fvisibility=hidden",
        f"-Wl,-soname,{NAME}",
    )
    sh("gcc", *flags, "-o", library, SOURCE)
    return library


def machine(folder: Path, *, count: int, busy: int = 0) -> dict[str, str]:
    """Compile it into `folder`; return the variables of a machine with `count` GPUs, a process on the last `busy`."""
    build(folder)
    return {
        "LD_LIBRARY_PATH": str(folder),
        "GPU_WORKBENCH_NVML_COUNT": str(count),
        "GPU_WORKBENCH_NVML_BUSY": str(busy),
    }
