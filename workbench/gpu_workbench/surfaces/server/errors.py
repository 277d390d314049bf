"""Our errors as the JSON and the HTTP status that browsers get."""

from __future__ import annotations

from gpu_workbench.core import errors as e
from gpu_workbench.core.wire import JsonObject

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (e.RunNotFound, 404),
    (e.NotFound, 404),
    (e.PermissionDenied, 403),
    (e.Conflict, 409),
    (e.UsageError, 400),
    (e.Throttled, 503),
    (e.Unreachable, 503),
)


def status_of(error: e.WorkbenchError) -> int:
    """The HTTP status that says the same; 500 for what is nobody's fault but ours."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def form_of(error: e.WorkbenchError) -> JsonObject:
    """What, why and what to do."""
    return {"error": type(error).__name__, "message": error.what, "why": error.why, "fix": error.fix}
