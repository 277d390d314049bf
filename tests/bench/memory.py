"""How much memory a process has and had at most. Linux."""

from __future__ import annotations

from pathlib import Path


def resident(pid: int | str = "self") -> int:
    """Bytes it has now."""
    return _field(pid, "VmRSS")


def peak(pid: int | str = "self") -> int:
    """Bytes it had at most since :func:`reset_peak`; its own, while ``ru_maxrss`` begins with its parent's."""
    return _field(pid, "VmHWM")


def reset_peak(pid: int | str = "self") -> None:
    """Let the peak be what it has now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def processor_seconds(pid: int) -> float:
    """Seconds of processor time it has used."""
    import os

    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _field(pid: int | str, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
