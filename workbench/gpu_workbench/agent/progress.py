"""Progress read from what a program prints: tqdm's own line, with no change to the program.

Source: the default ``bar_format`` in tqdm's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gpu_workbench.core.events import OutputWritten, ProgressMoved
from gpu_workbench.core.model import Progress

_KNOWN_TOTAL = re.compile(
    r"(?:(?P<label>[^\r\n]{0,200}?): +)?(?P<percent>\d{1,3})%\|[^|\r\n]{0,400}\| *"
    r"(?P<done>[\d.]+)(?P<scale>[kMGTP]?)/(?P<total>[\d.]+)(?P<total_scale>[kMGTP]?)(?P<unit_after>[A-Za-z]*)"
    r" *\[(?P<elapsed>[\d:]+)<(?P<left>[\d:?]+)(?:, *(?P<rate>[\d.?]+)(?P<rate_scale>[kMGTP]?)(?P<rate_unit>[^\],\s]*))?"
)
_UNKNOWN_TOTAL = re.compile(
    r"(?:(?P<label>[^\r\n]{0,200}?): +)?(?P<done>[\d.]+)(?P<scale>[kMGTP]?)(?P<unit>[A-Za-z]+)"
    r" \[(?P<elapsed>\d+:[\d:]+), *(?P<rate>[\d.?]+)(?P<rate_scale>[kMGTP]?)(?P<rate_unit>[A-Za-z/]*)"
)
_SCALES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}


def read_progress(text: str) -> Progress | None:
    """The last progress line in ``text``, or ``None``."""
    if "[" not in text:
        return None
    for line in reversed(re.split(r"[\r\n]", text[-4000:])):
        if found := _KNOWN_TOTAL.search(line):
            return _known(found)
        if found := _UNKNOWN_TOTAL.search(line):
            return Progress(
                label=(found["label"] or "").strip(),
                done=float(found["done"]) * _SCALES[found["scale"]],
                unit=found["unit"],
                rate=_rate(found),
            )
    return None


def newest_progress(events: Iterable[OutputWritten]) -> list[ProgressMoved]:
    """The newest progress of each run among these outputs."""
    found: dict[str, ProgressMoved] = {}
    for event in events:
        text = event.content.get("text")
        if event.message == "stream" and isinstance(text, str) and (progress := read_progress(text)):
            found[event.run] = ProgressMoved(run=event.run, progress=progress)
    return list(found.values())


def _known(found: re.Match[str]) -> Progress:
    unit = found["unit_after"] or _unit(found["rate_unit"] or "")
    return Progress(
        label=(found["label"] or "").strip(),
        done=float(found["done"]) * _SCALES[found["scale"]],
        total=float(found["total"]) * _SCALES[found["total_scale"]],
        unit=unit or "it",
        rate=_rate(found),
        seconds_left=_seconds(found["left"]),
    )


def _rate(found: re.Match[str]) -> float | None:
    """Items per second; tqdm turns the fraction round when one item takes over a second."""
    text = found["rate"]
    if not text or "?" in text:
        return None
    rate = float(text) * _SCALES[found["rate_scale"]]
    if found["rate_unit"].startswith("s/"):
        return 1 / rate if rate else None
    return rate


def _unit(rate_unit: str) -> str:
    return rate_unit[2:] if rate_unit.startswith("s/") else rate_unit.partition("/")[0]


def _seconds(clock: str) -> float | None:
    if "?" in clock:
        return None
    seconds = 0
    for part in clock.split(":"):
        seconds = seconds * 60 + int(part)
    return float(seconds)
