"""What may be set: one table, each setting with its reader, its default and a docstring."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from gpu_workbench.app.nearest import did_you_mean
from gpu_workbench.core.errors import FlagError
from gpu_workbench.core.quantities import parse_bytes, parse_duration, show_bytes
from gpu_workbench.core.wire import JsonObject

APPLICATION = "gpu-workbench"
BACKENDS = ("local", "kubernetes")
SAVED = ("summary", "full", "none")


def user_folder(kind: str) -> Path:
    """The user's folder for ``config``, ``state`` or ``cache`` of this application, where the platform keeps such."""
    return _user_folder(kind, os.environ.get("HOME"), os.environ.get(f"XDG_{kind.upper()}_HOME"))


@cache
def _user_folder(kind: str, *_environment: str | None) -> Path:
    import platformdirs

    return Path(getattr(platformdirs, f"user_{kind}_dir")(APPLICATION))


def _one_of(*choices: str) -> Callable[[str], object]:
    def read(text: str) -> str:
        if text not in choices:
            raise FlagError(
                f"{text!r} is none of {', '.join(choices)}",
                fix=did_you_mean(text, choices, otherwise=f"Choose {' or '.join(choices)}"),
            )
        return text

    return read


def _refresh(text: str) -> float:
    seconds = parse_duration(text)
    if seconds < 1:
        raise FlagError(f"{text!r} is too often", fix="Write 1s or longer")
    return seconds


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise FlagError(f"{text!r} is no count", fix="Write a whole number, 0 or more")
    return int(text)


def _folder(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise FlagError(f"{text!r} is not an absolute path", fix="Begin it with / or ~")
    return path


_TEXT: JsonObject = {"type": "string", "minLength": 1}
_BYTES: JsonObject = {"type": ["string", "integer"]}
_SECONDS: JsonObject = {"type": ["string", "number"]}


def _about(
    *,
    read: Callable[[str], object] = str,
    shown: str = "",
    schema: JsonObject = _TEXT,
    example: str,
    of_project: bool = True,
) -> dict[str, Any]:
    """How a setting is read, its default as people write it, and whether a project's file may decide it."""
    return {"read": read, "shown": shown, "schema": schema, "example": example, "of_project": of_project}


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. In a file a name is written with ``-``: ``project-limit: 100Mi``."""

    backend: str = field(
        default="local",
        metadata=_about(read=_one_of(*BACKENDS), schema={"enum": [*BACKENDS]}, example="kubernetes"),
    )
    """Where workloads live: `local` (this machine) or `kubernetes`."""

    context: str = field(
        default="", metadata=_about(shown="the kubeconfig's current one", example="gpu-cluster")
    )
    """Which context of the kubeconfig the `kubernetes` backend uses."""

    namespace: str = field(default="", metadata=_about(shown="the context's", example="team-vision"))
    """The namespace that pods are started in."""

    profile: str = field(default="default", metadata=_about(example="h200"))
    """The profile used where no `--profile` is given."""

    saved: str = field(
        default="summary", metadata=_about(read=_one_of(*SAVED), schema={"enum": [*SAVED]}, example="full")
    )
    """How much of the run view stays in the saved notebook: `summary` (without node names, namespace and cost), `full`,
    or `none`."""

    refresh: float = field(
        default=1.0, metadata=_about(read=_refresh, shown="1s", schema=_SECONDS, example="2s")
    )
    """Time between two refreshes of the run view, 1 s or longer."""

    values_limit: int = field(
        default=2 * 2**30, metadata=_about(read=parse_bytes, shown="2Gi", schema=_BYTES, example="8Gi")
    )
    """Bytes of one value above which it is not sent, and a store or a volume is advised instead."""

    project_limit: int = field(
        default=100 * 2**20, metadata=_about(read=parse_bytes, shown="100Mi", schema=_BYTES, example="500Mi")
    )
    """Bytes of the project folder above which its files are not sent until it is made smaller or this is raised."""

    # Sockets, tokens and code to be run lie in these two: no repository that was cloned may choose them.

    state_dir: Path = field(
        default_factory=lambda: user_folder("state"),
        metadata=_about(
            read=_folder, shown="the user's state folder", example="/scratch/me/state", of_project=False
        ),
    )
    """Folder of the sessions and runs of the `local` backend: sockets, journals, results."""

    cache_dir: Path = field(
        default_factory=lambda: user_folder("cache"),
        metadata=_about(
            read=_folder, shown="the user's cache folder", example="/scratch/me/cache", of_project=False
        ),
    )
    """Folder of what can be made again, such as the agent's archive and the hashes of project files."""

    data_dir: Path = field(
        default_factory=lambda: user_folder("data"),
        metadata=_about(
            read=_folder, shown="the user's data folder", example="/home/me/data", of_project=False
        ),
    )
    """Folder of what the server's extension has recorded of workloads that are no more."""

    recordings_limit: int = field(
        default=2**30,
        metadata=_about(read=parse_bytes, shown="1Gi", schema=_BYTES, example="5Gi", of_project=False),
    )
    """Bytes of all recordings together: of more, the oldest go. `0` records nothing."""

    recordings_count: int = field(
        default=1000,
        metadata=_about(read=_count, schema={"type": ["string", "integer"]}, example="200", of_project=False),
    )
    """How many recordings there may be: of more, the oldest go."""


@cache
def known_settings() -> Mapping[str, Field[Any]]:
    """Every setting by its name in files, e.g. ``project-limit``."""
    return {item.name.replace("_", "-"): item for item in fields(Settings)}


def read_setting(name: str, text: str) -> object:
    """The value of a setting that was written as ``text``.

    Raises:
        FlagError: there is no such setting, or the text is none of its values.
    """
    known = known_settings()
    if name not in known:
        fix = did_you_mean(name, known, otherwise=f"Known are {', '.join(known)}")
        raise FlagError(f"There is no setting {name!r}", fix=fix)
    value: object = known[name].metadata["read"](text)
    return value


def show_setting(name: str, value: object) -> str:
    """A setting's value as people read it, e.g. ``2.0 GiB``."""
    about = known_settings()[name].metadata
    if about["read"] is parse_bytes and isinstance(value, int):
        return show_bytes(value)
    if about["read"] is _refresh:
        return f"{value:g} s"
    return str(value) or str(about["shown"])


def show_default(name: str) -> str:
    """The built-in value of a setting, as it is written or in words."""
    setting = known_settings()[name]
    return setting.metadata["shown"] or ("" if setting.default is MISSING else str(setting.default))


def describe_settings() -> dict[str, str]:
    """What each setting is, from the docstring below its field; a setting without one is missing."""
    import ast
    import inspect

    (body,) = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    name = ""
    for statement in body.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id.replace("_", "-")
        elif name and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            found[name] = " ".join(str(statement.value.value).split())
            name = ""
    return found
