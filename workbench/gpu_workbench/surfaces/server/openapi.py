"""The OpenAPI description of the routes, put together from what each of them says of itself.

A handler's ``api`` maps a path to its methods, and each method to an :func:`operation`. Data that is a dataclass here is
described by :func:`schema_of`, from the same class that it is made of.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import inspect
import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from gpu_workbench.__about__ import __version__
from gpu_workbench.core.wire import Json, JsonObject

BASE = "/gpu-workbench/api"

ID: JsonObject = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}

Api = Mapping[str, Mapping[str, JsonObject]]
"""Path to method to operation."""

_PLAIN: dict[object, JsonObject] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}

_ERRORS = {
    400: "The request cannot be understood; the message says what to write",
    403: "Whoever asks may not do that",
    404: "There is no such run of this user's",
    405: "The path has no such method",
    409: "It cannot be done in the state that the run is in",
    500: "The server has failed; its log says why",
    503: "The backend does not answer, or asks to be left alone; the same request may succeed later",
}

_found: dict[str, type] = {}


def operation(
    summary: str,
    *,
    answer: JsonObject,
    body: JsonObject | None = None,
    errors: Iterable[int] = (),
    owner: bool = False,
    query: Mapping[str, JsonObject] | None = None,
    content: str = "application/json",
) -> JsonObject:
    """What one method of one path does.

    Args:
        summary: In one sentence.
        answer: JSON Schema of what it answers.
        body: JSON Schema of what it is sent; ``None`` for nothing.
        errors: Further statuses that it may answer with, besides 403, 405, 500 and 503.
        owner: Whether only the server's owner may do it.
        query: Query parameters by name, with their schemas; each may be left out.
        content: Media type of the answer.
    """
    answers: JsonObject = {"200": {"description": "Done", "content": {content: {"schema": answer}}}}
    for status in sorted({*errors, 403, 405, 500, 503}):
        answers[str(status)] = {"$ref": f"#/components/responses/{status}"}
    form: JsonObject = {"summary": summary, "responses": answers}
    if owner:
        form["description"] = "For the server's owner alone."
    if query:
        form["parameters"] = [{"name": name, "in": "query", "schema": of} for name, of in query.items()]
    if body is not None:
        content_of_body: JsonObject = {"application/json": {"schema": body}}
        form["requestBody"] = {"content": content_of_body, "required": "required" in body}
    return form


def description(apis: Iterable[Api]) -> JsonObject:
    """The whole description.

    Args:
        apis: Of all handlers.
    """
    paths: JsonObject = {}
    for api in apis:
        for path, methods in api.items():
            paths[path] = {**_parameters(path), **methods}
    responses: JsonObject = {
        str(status): {
            "description": text,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
        for status, text in _ERRORS.items()
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "GPU Workbench, the extension of Jupyter's server",
            "version": __version__,
            "description": (
                "Errors are JSON: what, why and what to do. A member that holds its default is left out. "
                "What changes is told on the WebSocket `live`."
            ),
        },
        "servers": [{"url": BASE, "description": "Below the base URL of Jupyter's server"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`token TOKEN`",
                }
            },
            "responses": responses,
            "schemas": {"Error": _ERROR, **_components()},
        },
    }


_ERROR: JsonObject = {
    "type": "object",
    "required": ["error", "message", "why", "fix"],
    "properties": {
        "error": {"type": "string", "description": "A word that programs may ask for"},
        "message": {"type": "string", "description": "What is wrong"},
        "why": {"type": "string"},
        "fix": {"type": "string", "description": "What to do; empty where nothing can be done"},
    },
}


def _parameters(path: str) -> JsonObject:
    names = re.findall(r"\{(\w+)\}", path)
    if not names:
        return {}
    return {"parameters": [{"name": name, "in": "path", "required": True, "schema": ID} for name in names]}


def _components() -> JsonObject:
    made: JsonObject = {}
    while missing := [name for name in _found if name not in made]:
        for name in missing:  # each may name others
            made[name] = _schema(_found[name])
    return dict(sorted(made.items()))


def schema_of(cls: type) -> JsonObject:
    """The schema of a dataclass's or enum's wire form, by its name among the components."""
    _found.setdefault(cls.__name__, cls)
    return {"$ref": f"#/components/schemas/{cls.__name__}"}


def form_with(**members: JsonObject) -> JsonObject:
    """The schema of an object with all of these members."""
    return {"type": "object", "required": [*members], "properties": {**members}}


def members_of(cls: Any, *, prefix: str = "") -> JsonObject:
    """The members of a dataclass's wire form, one by one."""
    hints = typing.get_type_hints(cls)
    return {f"{prefix}{field.name}": _hint(hints[field.name]) for field in dataclasses.fields(cls)}


def _schema(cls: Any) -> JsonObject:
    form: JsonObject = {}
    if summary := inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " "):
        form["description"] = summary
    if issubclass(cls, enum.Enum):
        return {**form, "type": "string", "enum": [member.value for member in cls]}
    required: list[Json] = [
        field.name
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    return {**form, "type": "object", "required": required, "properties": members_of(cls)}


def _hint(hint: object) -> JsonObject:
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_hint(one) for one in arguments]}
    if origin is tuple:
        return {"type": "array", "items": _hint(arguments[0])}
    if origin is collections.abc.Mapping:
        return {"type": "object", "additionalProperties": _hint(arguments[1])}
    assert isinstance(hint, type)
    return schema_of(hint)
