"""``%gpu use`` and ``%gpu profiles``: what is set, and which file or line said so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpu_workbench.app.config import save_user_settings
from gpu_workbench.app.profiles import read_profiles
from gpu_workbench.app.settings import show_setting
from gpu_workbench.core.quantities import show_about, show_bytes
from gpu_workbench.core.spec import Toleration, Volume
from gpu_workbench.surfaces.command_lines import Command
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.view import tables
from gpu_workbench.surfaces.view.tables import Rendered

_SIZES = frozenset({"memory", "shared-memory", "scratch"})


def use(here: Here, shell: Any, command: Command) -> Rendered:
    """Choose where cells run from now on; alone, say what is set and where."""
    flags = command.flags
    given = {name: getattr(flags, name) for name in ("backend", "context", "namespace", "profile")}
    given = {name: value for name, value in given.items() if value}
    if given:
        here.config(given)  # a wrong value changes nothing
        here.used.update(given)
        if flags.save:
            print(f"Kept in {save_user_settings(given)}")  # noqa: T201
    config = here.config()
    rows = [
        (name, show_setting(name, getattr(config.settings, name)) or "–", config.origins[name])
        for name in ("backend", "context", "namespace", "profile")
    ]
    return tables.plain(("setting", "value", "from"), rows)


def profiles(here: Here, shell: Any, command: Command) -> Rendered:
    """Profiles, with where each value was written."""
    config = here.request(command.flags).config
    rows: list[tuple[str, ...]] = []
    for name, profile in read_profiles(config.files).items():
        shown = f"{name} (in use)" if name == config.settings.profile else name
        values = [
            (key, show_value(key, value), profile.origins.get(key, ""))
            for key, value in profile.values.items()
        ]
        for key, value, origin in values or [("–", "what is built in", "")]:
            rows.append((shown, key, value, origin))
            shown = ""
    return tables.plain(("profile", "key", "value", "from"), rows)


def show_value(key: str, value: object) -> str:
    """A profile's value as people write it. Of variables only the names: what they hold may not be for the screen."""
    if value is None or (isinstance(value, tuple | Mapping) and not value):
        return "none"
    if key == "env" and isinstance(value, Mapping):
        return ", ".join(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={item}" for name, item in value.items())
    if isinstance(value, tuple):
        return ", ".join(show_value("", item) for item in value)
    if isinstance(value, Volume):
        return f"{value.claim}:{value.path}" + (":ro" if value.read_only else "")
    if isinstance(value, Toleration):
        return " ".join(part for part in (value.key, value.value, value.effect) if part) or "everything"
    if isinstance(value, int | float) and key in _SIZES:
        return show_bytes(value)
    if isinstance(value, int | float) and key.endswith("-limit"):
        return show_about(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
