"""The form that starts a session: its fields are the flags of ``%%gpu``, and are read as those are. Pure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpu_workbench.app.profile_fields import FIELDS as PROFILE_FIELDS
from gpu_workbench.core.errors import FlagError, WorkbenchError
from gpu_workbench.core.quantities import write_bytes, write_duration
from gpu_workbench.core.spec import DEFAULT_SESSION, WorkloadSpec
from gpu_workbench.core.wire import Json, JsonObject
from gpu_workbench.surfaces import readers
from gpu_workbench.surfaces.flags import SESSION_FLAG, TARGET_FLAGS, WORKLOAD_FLAGS, CellFlags, cell_flags
from gpu_workbench.surfaces.lines import Flag
from gpu_workbench.surfaces.server.errors import FieldsRefused

FOLDER = "folder"
"""The field that is no flag: a notebook's cells run beside it, and a form lies in no folder."""

LONGEST = 256
"""Characters of what may be typed into a field."""

LONGEST_OF_MANY = 4096
"""Characters of one line in a field that takes several."""

_FIRST = ("backend", "profile", "session", "gpus", "memory", "cpus", "image", "idle_limit")
_LABELS = {
    "backend": "Where",
    "session": "Name",
    "gpus": "GPUs",
    "cpus": "CPUs",
    "env": "Variables",
    "volume": "Volumes",
    "secret": "Secrets",
    FOLDER: "Folder",
}

_HELP = {
    "backend": "Where it lives.",
    "session": "What `%%gpu --session` calls it, in any notebook. One is chosen where none is typed.",
    "profile": "A named preset of all this; what is typed beside it wins.",
    FOLDER: "The folder that its cells run in, below the one that this server serves.",
}
"""Help where the flag's own speaks of a line."""


@dataclass(frozen=True)
class StartField:
    """A field of the form that starts a session.

    Args:
        key: What it is called in what is posted.
        value: What is typed into it, e.g. ``SIZE``.
        example: One value of it.
        choices: Values that are offered; others may be typed.
        many: It takes several, each on a line of its own.
        advanced: Seldom needed: folded away at first.
        cluster: It means something on a cluster only.
    """

    key: str
    label: str
    help: str
    value: str = ""
    example: str = ""
    choices: tuple[str, ...] = ()
    many: bool = False
    advanced: bool = False
    cluster: bool = False


@dataclass(frozen=True)
class StartProfile:
    """A profile that can be chosen, and what holds under it where nothing is typed, by field."""

    name: str
    defaults: Mapping[str, str]


@dataclass(frozen=True)
class StartTarget:
    """A place where sessions can be started.

    Args:
        title: In words.
        profile: The profile that holds where none is chosen.
    """

    name: str
    title: str
    profile: str
    profiles: tuple[StartProfile, ...]


@dataclass(frozen=True)
class StartOptions:
    """What the form that starts a session offers.

    Args:
        target: Where it starts one unless another place is chosen.
    """

    target: str
    targets: tuple[StartTarget, ...]
    fields: tuple[StartField, ...]


@dataclass(frozen=True)
class Asked:
    """What was typed into the form, read.

    Args:
        folder: Where its cells run, below the folder that the server serves.
    """

    flags: CellFlags
    folder: str = ""


def _flags() -> list[Flag]:
    """The flags that are fields; context and namespace are those that the panel looks at."""
    backend = next(flag for flag in TARGET_FLAGS if flag.key == "backend")
    found = {flag.key: flag for flag in (backend, SESSION_FLAG, *WORKLOAD_FLAGS)}
    return [found.pop(key) for key in _FIRST] + list(found.values())


def fields(*, kinds: Sequence[str] = ()) -> tuple[StartField, ...]:
    """The form's fields, in their order.

    Args:
        kinds: Of GPUs that are known by name.
    """
    cluster_only = {field.field for field in PROFILE_FIELDS.values() if field.cluster and field.field}
    made = [
        StartField(
            key=flag.key,
            label=_LABELS.get(flag.key) or flag.key.replace("_", " ").capitalize(),
            help=_HELP.get(flag.key, flag.help),
            value=flag.value,
            example=flag.example.partition(" ")[2],
            choices=tuple(kinds) if flag.key == "gpus" else flag.choices,
            many=flag.many,
            advanced=flag.key not in _FIRST,
            cluster=flag.field in cluster_only,
        )
        for flag in _flags()
    ]
    folder = StartField(FOLDER, _LABELS[FOLDER], _HELP[FOLDER], "PATH", "notebooks", advanced=True)
    return (*made, folder)


def defaults(spec: WorkloadSpec) -> dict[str, str]:
    """What holds where nothing is typed, by field, as it would be typed. Of variables only the names."""
    found = {}
    for flag in _flags():
        if flag.field:
            value: Any = functools.reduce(getattr, flag.field.split("."), spec)
            text = _typed(flag, value)
            if text:
                found[flag.key] = text
    return found


def _typed(flag: Flag, value: Any) -> str:
    """A value as it is typed; empty for none."""
    if value is None:
        return ""
    if flag.read is readers.volume:
        return ", ".join(f"{one.claim}:{one.path}{':ro' if one.read_only else ''}" for one in value)
    if isinstance(value, tuple | Mapping):
        return ", ".join(value)
    write: Callable[[Any], str] = _WRITE.get(flag.read, str)
    return write(value)


_WRITE: Mapping[object, Callable[[Any], str]] = {
    readers.size: write_bytes,
    readers.duration: write_duration,
    readers.cpus: "{:g}".format,
}


def read(form: JsonObject) -> Asked:
    """What was typed into the form.

    Raises:
        FieldsRefused: fields are unknown, or what is in them cannot be meant.
    """
    known = {field.key: field for field in fields()}
    errors: dict[str, WorkbenchError] = {}
    given: dict[str, str | list[str] | None] = {}
    for key, value in form.items():
        try:
            if key not in known:
                raise FlagError(f"There is no field {key!r:.60}")
            given[key] = _text(known[key], value) or None
            if key != FOLDER:
                cell_flags({key: given[key]})
        except WorkbenchError as error:
            errors[key[:60]] = error
    if given.get("session") == DEFAULT_SESSION:
        errors["session"] = FlagError(
            f"{DEFAULT_SESSION!r} is what each notebook calls its own session", fix="Choose another name"
        )
    if errors:
        raise FieldsRefused(errors)
    return Asked(folder=str(given.pop(FOLDER, None) or ""), flags=cell_flags(given))


def _text(field: StartField, value: Json) -> str | list[str]:
    if value is None:
        return ""
    items = value if isinstance(value, list) else [value]
    if len(items) > 1 and not field.many:
        raise FlagError(f"{field.label} takes one value")
    texts = [text for item in items if (text := _item(field, item))]
    return texts if field.many else "".join(texts)


def _item(field: StartField, item: Json) -> str:
    if isinstance(item, bool | list | dict | None):
        raise FlagError(f"{field.label} is neither text nor a number")
    text = str(item).strip()
    if len(text) > (LONGEST_OF_MANY if field.many else LONGEST):
        raise FlagError(f"{field.label} is too long")
    if not text.isprintable():
        raise FlagError(f"{field.label} has a character in it that cannot be shown")
    return text
