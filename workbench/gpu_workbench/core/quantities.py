"""Amounts as people write them: Kubernetes quantities, durations, ``h200:2``; and as they like to read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from gpu_workbench.core.errors import FlagError

_SUFFIXES = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "P": 10**15,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "Pi": 2**50,
    "E": 10**18,
    "Ei": 2**60,
}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?B?", re.ASCII)
_CANONICAL = re.compile(
    r"([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?", re.ASCII
)
_SMALL = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?")
_GPUS = re.compile(r"(?:(?P<kind>[A-Za-z0-9][A-Za-z0-9._-]*):)?(?P<count>\d+)", re.ASCII)


@dataclass(frozen=True)
class Gpus:
    """GPUs of one node: how many, and of which kind where that matters (a word of the node's product label)."""

    count: int = 0
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.count}" if self.kind else str(self.count)


def parse_gpus(text: str) -> Gpus:
    """``2`` or ``h200:2``.

    Raises:
        FlagError: it is neither.
    """
    found = _GPUS.fullmatch(text.strip())
    if not found:
        raise FlagError(
            f"--gpus {text} is not an amount of GPUs",
            fix="Write a number or kind:number, e.g. --gpus 2 or --gpus h200:2",
        )
    return Gpus(count=int(found["count"]), kind=found["kind"] or "")


def parse_bytes(text: str) -> int:
    """Bytes of a Kubernetes quantity such as ``16Gi`` or ``500M``.

    Raises:
        FlagError: it is not a quantity.
    """
    found = _QUANTITY.fullmatch(text.strip())
    if not found or found[2] == "m":
        raise FlagError(
            f"{text!r} is not an amount of memory", fix="Write it as Kubernetes does, e.g. 16Gi or 500M"
        )
    return int(Decimal(found[1]) * _SUFFIXES[found[2] or ""])


def parse_cpus(text: str) -> float:
    """CPU cores of a Kubernetes quantity such as ``2``, ``0.5`` or ``500m``.

    Raises:
        FlagError: it is not a quantity.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)", text.strip())
    if not found:
        raise FlagError(
            f"{text!r} is not an amount of CPUs", fix="Write it as Kubernetes does, e.g. 4 or 500m"
        )
    return float(found[1]) / (1000 if found[2] else 1)


def read_quantity(form: object) -> float | None:
    """The number of a quantity as the API server writes it (``16Gi``, ``500m``, ``1e3``); ``None`` for anything else.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    found = (
        _CANONICAL.fullmatch(str(form))
        if isinstance(form, str | int) and not isinstance(form, bool)
        else None
    )
    if not found:
        return None
    suffix = found[2] or ""
    return float(Decimal(found[1]) * (_SMALL[suffix] if suffix in _SMALL else _SUFFIXES[suffix]))


def parse_duration(text: str) -> float:
    """Seconds of ``90s``, ``15m``, ``4h``, ``1d12h`` or a plain number of seconds.

    Raises:
        FlagError: it is not a duration, or not longer than 0.
    """
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        seconds = float(text)
    else:
        found = _DURATION.fullmatch(text)
        if not found or not any(found.groups()):
            raise FlagError(f"{text!r} is not a duration", fix="Write e.g. 90s, 15m, 4h or 1d12h")
        days, hours, minutes, rest = (float(part or 0) for part in found.groups())
        seconds = ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if seconds <= 0:
        raise FlagError(f"{text!r} is no time at all", fix="Write a duration longer than 0")
    return seconds


def show_bytes(count: float) -> str:
    """``1.5 GiB``; three figures at most."""
    value, unit = float(count), "B"
    for step in ("KiB", "MiB", "GiB", "TiB"):
        if value < 999.5:
            break
        value, unit = value / 1024, step
    return f"{value:.2g} {unit}" if unit != "B" and value < 10 else f"{value:.0f} {unit}"


def show_seconds(seconds: float) -> str:
    """``0.2 s``, ``8.2 s``, ``1:41`` (minutes), ``2:07:05`` (hours)."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def show_about(seconds: float) -> str:
    """A length of time to go: ``40 s``, ``5 min 04 s``, ``1 h 52 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def write_duration(seconds: float) -> str:
    """A duration as :func:`parse_duration` reads it: ``40s``, ``1h``, ``1h30m``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def write_bytes(count: int) -> str:
    """An amount of memory as :func:`parse_bytes` reads it, exactly: ``64Gi``, ``1500Mi``."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if count and count % _SUFFIXES[unit] == 0:
            return f"{count // _SUFFIXES[unit]}{unit}"
    return str(count)
