"""Reading the JSON of Kubernetes objects without trusting that anything is in it."""

from __future__ import annotations

from gpu_workbench.core.wire import Json, JsonObject


def at(form: Json, *path: str) -> Json:
    """What stands at ``path``, or ``None`` where something on the way is missing."""
    for key in path:
        if not isinstance(form, dict):
            return None
        form = form.get(key)
    return form


def text(form: Json, *path: str) -> str:
    """The string at ``path``, or an empty one."""
    found = at(form, *path)
    return found if isinstance(found, str) else ""


def number(form: Json, *path: str) -> int:
    """The whole number at ``path``, or 0."""
    found = at(form, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def members(form: Json, *path: str) -> tuple[JsonObject, ...]:
    """The objects of the list at ``path``; none where there is no list."""
    found = at(form, *path)
    return tuple(item for item in found if isinstance(item, dict)) if isinstance(found, list) else ()


def member(form: Json, *path: str) -> JsonObject:
    """The object at ``path``, or an empty one."""
    found = at(form, *path)
    return found if isinstance(found, dict) else {}


def strings(form: Json, *path: str) -> tuple[str, ...]:
    """The strings of the list at ``path``; none where there is no list."""
    found = at(form, *path)
    return tuple(item for item in found if isinstance(item, str)) if isinstance(found, list) else ()


def name_of(form: Json) -> str:
    """``metadata.name``."""
    return text(form, "metadata", "name")


def uid_of(form: Json) -> str:
    """``metadata.uid``."""
    return text(form, "metadata", "uid")


def label(form: Json, name: str) -> str:
    """The value of a label, or an empty string."""
    return text(form, "metadata", "labels", name)


def condition(form: Json, name: str, status: str = "True") -> JsonObject:
    """The status condition of that type if it has that status, else an empty object."""
    for item in members(form, "status", "conditions"):
        if item.get("type") == name and item.get("status") == status:
            return item
    return {}
