"""Reading the JSON that the API server sends, a large part of what watching costs: by `orjson` where it is installed."""

from __future__ import annotations

try:
    from orjson import loads
except ImportError:
    from json import loads  # type: ignore[assignment]

__all__ = ["loads"]
