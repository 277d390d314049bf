"""The machine that figures were measured on."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path


def machine() -> dict[str, str]:
    """What has to be known of it to read the figures."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_version()}, ipykernel {_version('ipykernel')}, numpy {_version('numpy')}",
    }


def load() -> float:
    """Processes that wanted to run in the last minute, on average."""
    return os.getloadavg()[0]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)
