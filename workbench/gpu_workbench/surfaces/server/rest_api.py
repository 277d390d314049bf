"""What the routes of :mod:`.rest` say of themselves."""

from __future__ import annotations

from gpu_workbench.core.wire import JsonObject
from gpu_workbench.surfaces.server.openapi import ID, Api, form_with, members_of, operation, schema_of
from gpu_workbench.surfaces.server.rows import Row
from gpu_workbench.surfaces.view.model import Shown, Snapshot, Where

LONGEST_KEEP = 7 * 24 * 3600.0
"""Seconds for which an idle session may be kept at most."""

_TEXT: JsonObject = {"type": "string"}
_NUMBER: JsonObject = {"type": "integer"}
_YES_OR_NO: JsonObject = {"type": "boolean"}

NOTHING: JsonObject = {"type": "object", "maxProperties": 0}

VIEW: JsonObject = {
    **form_with(version=_NUMBER, id=_TEXT, where=schema_of(Where)),
    "description": "The members of the MIME bundle, those of its snapshot one by one",
    "properties": {
        **{name: schema for name, schema in members_of(Snapshot).items() if name != "snapshot"},
        **members_of(Shown, prefix="snapshot."),
        "recorded": _YES_OR_NO,
        "lost_connection": _TEXT,
    },
}

HELLO: Api = {
    "/hello": {
        "get": operation(
            "Which versions answer here, and what whoever asks may do",
            answer=form_with(
                version=_TEXT,
                wire=_NUMBER,
                owner=_YES_OR_NO,
                errors={"type": "object", "additionalProperties": _TEXT},
            ),
        )
    }
}

RUNS: Api = {
    "/runs": {
        "get": operation(
            "All workloads of the user, by id",
            answer=form_with(runs={"type": "object", "additionalProperties": schema_of(Row)}),
        )
    }
}

ONE_RUN: Api = {
    "/runs/{workload}": {
        "get": operation("The view of a workload", answer=VIEW, errors=[404]),
        "delete": operation(
            "Remove the last trace of a workload that has ended, what was recorded of it included",
            answer=NOTHING,
            errors=[404, 409],
            owner=True,
        ),
    }
}

OUTPUTS: Api = {
    "/runs/{workload}/outputs/{run}": {
        "get": operation(
            "What one run has written, as the outputs of a notebook's cell, and its view",
            answer=form_with(
                outputs={"type": "array", "items": {"type": "object", "required": ["output_type"]}},
                characters={"type": "object", "additionalProperties": _NUMBER},
                left_out=_NUMBER,
                complete=_YES_OR_NO,
                view={"type": "object", "required": ["output_type", "data", "metadata"]},
            ),
            errors=[404],
            owner=True,
        )
    }
}

ACTIONS: Api = {
    "/runs/{workload}/stop": {
        "post": operation(
            "Release the processes and GPUs of a workload",
            body={"type": "object", "properties": {"force": {"type": "boolean", "default": False}}},
            answer=NOTHING,
            errors=[400, 404],
            owner=True,
        )
    },
    "/runs/{workload}/keep": {
        "post": operation(
            "Keep an idle session for so many seconds from now",
            body=form_with(seconds={"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_KEEP}),
            answer=NOTHING,
            errors=[400, 404, 409],
            owner=True,
        )
    },
    "/runs/{workload}/interrupt": {
        "post": operation(
            "Interrupt a run: as Ctrl-C does, or by starting its processes anew (grade 2)",
            body={
                "type": "object",
                "required": ["run"],
                "properties": {"run": ID, "grade": {"enum": [1, 2], "default": 1}},
            },
            answer=NOTHING,
            errors=[400, 404, 409],
            owner=True,
        )
    },
}

OPENAPI: Api = {
    "/openapi.json": {"get": operation("This description, in OpenAPI 3.1", answer={"type": "object"})}
}
