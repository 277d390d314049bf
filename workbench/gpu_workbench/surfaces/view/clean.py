"""What comes from users and clusters, made fit to be shown: on one line, without control characters, cut."""

from __future__ import annotations

import math
import re

from gpu_workbench.core.model import Failure
from gpu_workbench.surfaces.view.model import Where

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
"""Escape sequences of terminals: colours, movements of the cursor, titles of windows."""

_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Control characters, marks that reverse the direction of what follows, and halves of surrogate pairs."""


def line(text: str, limit: int = 120) -> str:
    """``text`` on one line of at most ``limit`` characters, cut with an ellipsis."""
    whole = " ".join(_plain(text).split())
    return whole if len(whole) <= limit else whole[: limit - 1].rstrip() + "…"


def tail(text: str, limit: int = 2000) -> str:
    """The last lines of ``text``, without colours, at most ``limit`` characters, cut at its beginning."""
    whole = _plain(text).strip("\n")
    return whole if len(whole) <= limit else "…" + whole[-limit + 1 :]


def _plain(text: str) -> str:
    text = ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNSHOWABLE.sub("", text)


def number(value: float | None, digits: int = 1) -> float | None:
    """``value`` rounded; ``None`` where it is no finite number."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits)


def percent(value: float | None, digits: int = 1) -> float | None:
    """A share from 0 to 100, rounded; ``None`` where it is no finite number."""
    found = number(value, digits)
    return None if found is None else min(max(found, 0.0), 100.0)


def seconds(value: float | None) -> float | None:
    """A length of time, rounded as far as it is shown: tenths below 10 s, then whole seconds."""
    found = number(value)
    if found is None:
        return None
    return max(0.0, found if found < 10 else float(round(found)))


def amount(value: int | None) -> int | None:
    """A count of bytes; ``None`` where it is none that a device can have."""
    return value if value is not None and 0 <= value < 2**60 else None


def failure(failed: Failure | None, *, detail: int = 2000) -> Failure | None:
    """``failed`` with its sentences cleaned and its traceback cut to its last lines."""
    if failed is None:
        return None
    return Failure(
        cause=failed.cause,
        what=line(failed.what, 400),
        detail=tail(failed.detail, detail),
        rank=failed.rank,
        exit_code=failed.exit_code,
        signal=line(failed.signal, 20) if failed.signal else None,
    )


class Discretion:
    """Takes out of sentences what may not be saved: names of nodes, the namespace, the cluster."""

    def __init__(self, where: Where, *, hosts: tuple[str, ...], active: bool) -> None:
        self._rules: list[tuple[re.Pattern[str], str]] = []
        if not active:
            return
        names = sorted({name for name in (*where.nodes, *hosts) if name}, key=len, reverse=True)
        if names:
            self._rules.append((_words("|".join(re.escape(name) for name in names)), "(a node)"))
        for kind, name in (("namespace", where.namespace), ("context", where.context)):
            if name:
                quoted = rf"""{kind}:?\s+["'`]?{re.escape(name)}["'`]?"""
                self._rules.append((_words(quoted), f"this {kind}"))
        if where.namespace and where.context:
            both = rf"{re.escape(where.context)}\s*/\s*{re.escape(where.namespace)}"
            self._rules.append((_words(both), "this cluster"))

    def __call__(self, text: str) -> str:
        """``text`` without those names."""
        for pattern, instead in self._rules:
            text = pattern.sub(instead, text)
        return text


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])")
