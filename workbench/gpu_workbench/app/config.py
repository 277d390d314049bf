"""Where settings stand: the files, the environment, this kernel, the line; and which of them holds.

The first of these that says something wins: a flag, ``%gpu use`` in this kernel, a ``GPU_WORKBENCH_…`` environment variable,
the project's file, the user's, the hub's, what is built in. Each file has one form: settings on top, ``profiles:`` below.

A kubeconfig that merely lies around is mentioned, never used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gpu_workbench.app.documents import Item, read_document
from gpu_workbench.app.settings import Settings, known_settings, read_setting, user_folder
from gpu_workbench.core.errors import ProfileError, UsageError

PROJECT_FILE = "gpu-workbench.yaml"
USER_FILE = "config.yaml"
HUB_FILE = Path("/etc/gpu-workbench/config.yaml")
HUB_VARIABLE = "GPU_WORKBENCH_HUB_CONFIG"
ENVIRONMENT_PREFIX = "GPU_WORKBENCH_"
BUILT_IN = "built-in"
PROFILES = "profiles"

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class ConfigFile:
    """One file, read: its settings and its profiles, each still with its line.

    Args:
        level: ``namespace``, ``hub``, ``user`` or ``project``.
        source: The file, as people know it.
    """

    level: str
    source: str
    settings: Mapping[str, Item]
    profiles: Mapping[str, Item]


@dataclass(frozen=True)
class Config:
    """The settings that hold, where each came from, and the files that were read (hub's, user's, project's)."""

    settings: Settings
    origins: Mapping[str, str]
    files: tuple[ConfigFile, ...] = ()


@cache
def variable_of(name: str) -> str:
    """The environment variable of a setting: ``project-limit`` is ``GPU_WORKBENCH_PROJECT_LIMIT``."""
    return ENVIRONMENT_PREFIX + name.replace("-", "_").upper()


def load(
    *, project: Path | None = None, flags: Mapping[str, str] = _NOTHING, used: Mapping[str, str] = _NOTHING
) -> Config:
    """Read every place where settings may stand and decide; nothing is read again while nothing has changed.

    Args:
        project: The project folder, where there is one.
        flags: Settings given as flags on this line, by name.
        used: Settings that ``%gpu use`` made in this kernel, by name.

    Raises:
        ProfileError: a file or a variable is wrong; nothing of it was used.
        FlagError: ``flags`` or ``used`` are.
    """
    key = (project, tuple(flags.items()), tuple(used.items()), _state(project))
    if key not in _loaded:
        _loaded.clear()
        _loaded[key] = _load(project, flags, used)
    return _loaded[key]


_loaded: dict[object, Config] = {}
"""The settings decided last, by all that decided them."""


def _state(project: Path | None) -> tuple[object, ...]:
    """The environment and the files, as far as a look at each can tell: it differs once anything in them does."""
    variables = tuple(map(os.environ.get, _variables()))
    return variables, user_folder("state"), user_folder("cache"), *map(_stamp, _places(project).values())


@cache
def _variables() -> tuple[str, ...]:
    return (HUB_VARIABLE, "HOME", *map(variable_of, known_settings()))


def _stamp(path: Path) -> tuple[Path, int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - for each cell: Path's own costs twice as much
    except OSError:
        return None
    return path, found.st_ino, found.st_size, found.st_mtime_ns


def _load(project: Path | None, flags: Mapping[str, str], used: Mapping[str, str]) -> Config:
    files = config_files(project)
    found: dict[str, tuple[object, str]] = {}
    for file in files:
        for name, item in file.settings.items():
            found[name] = (_read_item(name, item), item.origin)
    for name in known_settings():
        variable = variable_of(name)
        if text := os.environ.get(variable):
            found[name] = (_read_variable(name, variable, text), variable)
    for layer, origin in ((used, "%gpu use"), (flags, "")):
        for name, text in layer.items():
            found[name] = (read_setting(name, text), origin or f"--{name}")
    chosen: dict[str, Any] = {known_settings()[name].name: value for name, (value, _) in found.items()}
    origins = {name: found[name][1] if name in found else BUILT_IN for name in known_settings()}
    return Config(settings=Settings(**chosen), origins=origins, files=files)


def _read_item(name: str, item: Item) -> object:
    text = item.text(name)
    try:
        return read_setting(name, text)
    except UsageError as error:
        raise item.wrong(f"{name}: {error.what}", why=error.why, fix=error.fix) from None


def _read_variable(name: str, variable: str, text: str) -> object:
    try:
        return read_setting(name, text)
    except UsageError as error:
        raise ProfileError(f"{variable}: {error.what}", why=error.why, fix=error.fix) from None


# --- Files ------------------------------------------------------------------------------------------------------------


def config_files(project: Path | None = None) -> tuple[ConfigFile, ...]:
    """The hub's, the user's and the project's file, as far as they exist, in this order: a later one overrides.

    Raises:
        ProfileError: one of them is wrong or cannot be read, or the hub's was named and is not there.
    """
    named = os.environ.get(HUB_VARIABLE)
    files = []
    for level, path in _places(project).items():
        text = _content(path)
        if text is not None:
            files.append(read_config(text, source=_short(path), level=level))
        elif level == "hub" and named:
            raise ProfileError(
                f"{named} is not there", why=f"{HUB_VARIABLE} names it", fix=f"Unset {HUB_VARIABLE}"
            )
    return tuple(files)


def _places(project: Path | None) -> Mapping[str, Path]:
    """Where files may be, by the level of each, a later one overriding."""
    named = os.environ.get(HUB_VARIABLE)
    return _places_of(project, Path(named) if named else HUB_FILE, user_folder("config"))


@cache
def _places_of(project: Path | None, hub: Path, folder: Path) -> Mapping[str, Path]:
    places = {"hub": hub, "user": folder / USER_FILE}
    return places if project is None else {**places, "project": project / PROJECT_FILE}


def read_config(text: str, *, source: str, level: str) -> ConfigFile:
    """Read the text of a configuration file. Its profiles stay as they were written, for :mod:`~gpu_workbench.app.profiles`.

    Args:
        text: What it holds.
        source: The file or ConfigMap, as people know it.
        level: ``namespace`` (profiles alone), ``hub``, ``user`` or ``project``.

    Raises:
        ProfileError: it is no YAML, or has a key that nothing reads.
    """
    settings: dict[str, Item] = {}
    profiles: Mapping[str, Item] = {}
    root = read_document(text, source=source)
    allowed = [name for name, setting in known_settings().items() if _may_decide(level, setting)]
    for name, item in root.mapping("the file").items():
        if name == PROFILES:
            profiles = item.mapping(PROFILES)
        elif name in allowed:
            settings[name] = item
        elif name in known_settings():
            raise item.wrong(
                f"{name} cannot be set here",
                why="it is each user's own",
                fix=f"Set it in {_short(user_file())}",
            )
        else:
            raise item.unknown(name, [*allowed, PROFILES])
    for name, item in settings.items():
        _read_item(name, item)
    return ConfigFile(level=level, source=source, settings=settings, profiles=profiles)


def _may_decide(level: str, setting: Field[Any]) -> bool:
    if level == "namespace":
        return False
    return level != "project" or bool(setting.metadata["of_project"])


def user_file() -> Path:
    """The user's own file, which ``%gpu use --save`` writes."""
    return user_folder("config") / USER_FILE


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8"
        raise ProfileError(f"{_short(path)} cannot be read", why=why) from None


def _short(path: Path) -> str:
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)


def save_user_settings(values: Mapping[str, str]) -> Path:
    """Write settings into the user's file, leaving everything else in it as it is, comments too.

    Args:
        values: Setting name to its text, e.g. ``{"backend": "kubernetes"}``.

    Returns:
        The file.

    Raises:
        FlagError: a setting or its value is not known; nothing was written.
        ProfileError: the file is wrong as it stands; nothing was written.
    """
    for name, text in values.items():
        read_setting(name, text)
    path = user_file()
    before = _content(path) or ""
    read_config(before, source=_short(path), level="user")
    after = before
    for name, text in values.items():
        after = _with_setting(after, name, text)
    read_config(after, source=_short(path), level="user")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(after, encoding="utf-8")
    draft.replace(path)
    return path


def _with_setting(document: str, name: str, text: str) -> str:
    import yaml

    # Written as inside braces, it can stand in either style of mapping.
    line = yaml.safe_dump({name: text}, default_flow_style=True, allow_unicode=True, width=10_000).strip()[
        1:-1
    ]
    root = yaml.compose(document, Loader=yaml.SafeLoader)
    if root is None or (root.tag.endswith(":null")):
        return f"{document.rstrip()}\n{line}\n".lstrip()
    for key, value in root.value:
        if key.value == name:
            return document[: key.start_mark.index] + line + document[value.end_mark.index :]
    if document[root.start_mark.index] == "{":
        return document[: root.start_mark.index + 1] + line + ", " + document[root.start_mark.index + 1 :]
    first = root.start_mark
    indented = " " * first.column
    return document[: first.index] + line + "\n" + indented + document[first.index :]


# --- What is only mentioned -------------------------------------------------------------------------------------------


def unused_kubeconfig(config: Config) -> str:
    """A sentence about a kubeconfig that is there while nobody chose a backend; empty where there is nothing to say."""
    if config.origins["backend"] != BUILT_IN:
        return ""
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    path = Path(named) if named else Path.home() / ".kube" / "config"
    if not path.is_file():
        return ""
    return f"There is a kubeconfig at {_short(path)}, which is not used; %gpu use kubernetes would run cells on its cluster"
