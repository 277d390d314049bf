"""Profiles: named presets of what a workload is, from the namespace, the hub, the user and the project.

::

    profiles:
      h200:
        image: registry.example/torch:2.6
        gpus: h200:2
        memory: 64Gi
        volumes: [datasets:/data:ro]

A later file overrides an earlier one key by key, in the order ConfigMap of the namespace, hub, user, project; where each
key came from is kept. A profile inherits from no other one. ``default`` is the one used where none is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from gpu_workbench.app.config import BUILT_IN, PROFILES, ConfigFile
from gpu_workbench.app.documents import Item
from gpu_workbench.app.nearest import did_you_mean
from gpu_workbench.app.profile_fields import CACHE, CACHE_FOLDERS, FIELDS
from gpu_workbench.app.settings import describe_settings, known_settings
from gpu_workbench.core.errors import FlagError, ProfileError
from gpu_workbench.core.spec import Volume, check_name
from gpu_workbench.core.wire import Json, JsonObject

DEFAULT_PROFILE = "default"


@dataclass(frozen=True)
class Profile:
    """A named preset: its keys' values, and where each was written (``file:line``)."""

    name: str
    values: Mapping[str, object]
    origins: Mapping[str, str]

    def fields(self, *, backend: str) -> dict[str, object]:
        """The dotted fields of ``WorkloadSpec`` that it fills.

        Args:
            backend: On ``local``, what means something on a cluster only is left out.
        """
        kept = {
            key: value for key, value in self.values.items() if backend != "local" or not FIELDS[key].cluster
        }
        cache_volume = kept.pop(CACHE, None)
        found = {FIELDS[key].field: value for key, value in kept.items()}
        if isinstance(cache_volume, Volume):
            found |= _with_cache(cache_volume, found)
        return found


def _with_cache(volume: Volume, found: Mapping[str, object]) -> dict[str, object]:
    env, volumes = found.get("env", {}), found.get("volumes", ())
    assert isinstance(env, Mapping)
    assert isinstance(volumes, tuple)
    path = volume.path.rstrip("/")
    folders = {name: f"{path}/{folder}" for name, folder in CACHE_FOLDERS.items()}
    return {"env": folders | dict(env), "volumes": (*volumes, volume)}


def read_profiles(files: Sequence[ConfigFile]) -> dict[str, Profile]:
    """All profiles by name, ``default`` always among them.

    Args:
        files: In rising precedence: the namespace's ConfigMap, the hub's, the user's, the project's.

    Raises:
        ProfileError: one is wrong; it says file, line, key and what is allowed.
    """
    found = {DEFAULT_PROFILE: Profile(name=DEFAULT_PROFILE, values={}, origins={})}
    for file in files:
        for name, item in file.profiles.items():
            _check_profile_name(name, item)
            before = found.get(name, Profile(name=name, values={}, origins={}))
            values, origins = dict(before.values), dict(before.origins)
            for key, inner in item.mapping(name).items():
                if key not in FIELDS:
                    raise inner.unknown(key, FIELDS)
                values[key] = FIELDS[key].read(inner, f"{name}.{key}")
                origins[key] = inner.origin
            found[name] = Profile(name=name, values=values, origins=origins)
    for profile in found.values():
        _check_mounts(profile)
    return found


def _check_profile_name(name: str, item: Item) -> None:
    try:
        check_name(name, what="profile's name")
    except FlagError as error:
        raise item.wrong(error.what, fix=error.fix) from None


def _check_mounts(profile: Profile) -> None:
    """Two volumes at one path would only fail in the cluster, and there in other words."""
    mounts = [*_volumes(profile)]
    for mount in mounts:
        twice = [other for other in mounts if other.path.rstrip("/") == mount.path.rstrip("/")]
        if len(twice) > 1:
            claims = " and ".join(other.claim for other in twice)
            origin = profile.origins.get("volumes", BUILT_IN)
            raise ProfileError(
                f"{origin}: profile {profile.name} mounts {claims} at one path, {mount.path}",
                fix="Give each its own path",
            )


def _volumes(profile: Profile) -> Iterable[Volume]:
    listed, one = profile.values.get("volumes", ()), profile.values.get(CACHE)
    for volume in (*(listed if isinstance(listed, tuple) else ()), one):
        if isinstance(volume, Volume):
            yield volume


def pick(profiles: Mapping[str, Profile], name: str) -> Profile:
    """The profile of that name.

    Raises:
        ProfileError: there is none.
    """
    if name not in profiles:
        raise ProfileError(
            f"There is no profile {name!r}",
            fix=did_you_mean(name, profiles, otherwise=f"There are {', '.join(sorted(profiles))}"),
        )
    return profiles[name]


@cache
def profile_schema() -> JsonObject:
    """The JSON Schema of a configuration file, from the same tables that read it. For editors; reading is stricter."""
    described = describe_settings()
    properties: dict[str, Json] = {
        name: {**setting.metadata["schema"], "description": described[name]}
        for name, setting in known_settings().items()
    }
    keys: dict[str, Json] = {
        key: {**field.schema, "description": field.help} for key, field in FIELDS.items()
    }
    properties[PROFILES] = {
        "type": ["object", "null"],
        "description": "Named presets of what a session or a run is.",
        "propertyNames": {"pattern": "^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$"},
        "additionalProperties": {"$ref": "#/$defs/profile"},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "GPU Workbench configuration",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": {
            "profile": {"type": ["object", "null"], "additionalProperties": False, "properties": keys},
        },
    }


if __name__ == "__main__":
    import json
    import sys

    sys.stdout.write(json.dumps(profile_schema(), indent=2) + "\n")
