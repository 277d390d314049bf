"""Our errors as the JSON and the HTTP status that browsers get."""

from __future__ import annotations

from collections.abc import Mapping

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


class FieldsRefused(e.UsageError):
    """What was typed into fields of a form cannot be meant.

    Args:
        errors: Field to what is wrong with it, the first one first.
    """

    def __init__(self, errors: Mapping[str, e.WorkbenchError]) -> None:
        first = next(iter(errors.values()))
        super().__init__(first.what, why=first.why, fix=first.fix)
        self.errors = errors


def status_of(error: e.WorkbenchError) -> int:
    """The HTTP status that says the same; 500 for what is nobody's fault but ours."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def form_of(error: e.WorkbenchError) -> JsonObject:
    """What, why and what to do; of a form, for each of its fields in one sentence."""
    form: JsonObject = {
        "error": type(error).__name__,
        "message": error.what,
        "why": error.why,
        "fix": error.fix,
    }
    if isinstance(error, FieldsRefused):
        form["fields"] = {field: str(one) for field, one in error.errors.items()}
    return form
