"""The keys of a profile: one table, from which reading, the JSON Schema and the documentation come."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from gpu_workbench.app.documents import Item
from gpu_workbench.core.errors import FlagError, UsageError
from gpu_workbench.core.quantities import parse_bytes, parse_cpus, parse_duration, parse_gpus
from gpu_workbench.core.spec import Toleration, Volume, parse_volume
from gpu_workbench.core.store import parse_store
from gpu_workbench.core.wire import JsonObject

CACHE = "cache"

# Who keeps what in a cache volume: variable to folder.
CACHE_FOLDERS = {"HF_HOME": "huggingface", "TORCH_HOME": "torch", "PIP_CACHE_DIR": "pip"}

_TOLERATION = {
    "key": None,
    "operator": ("Equal", "Exists"),
    "value": None,
    "effect": ("NoSchedule", "PreferNoSchedule", "NoExecute"),
}

Reader = Callable[[Item, str], object]


class ProfileField(NamedTuple):
    """One key of a profile.

    Args:
        field: The dotted field of ``WorkloadSpec`` that it fills; empty where it fills several.
        read: Makes the value of what was written.
        schema: Its JSON Schema.
        help: What it is, with its unit.
        example: As it is written in YAML, on one line.
        cluster: It means something on a cluster only, and is left out on this machine.
    """

    field: str
    read: Reader
    schema: JsonObject
    help: str
    example: str
    cluster: bool = False


def _value(item: Item, name: str, *, read: Callable[[str], object]) -> object:
    text = item.text(name)
    try:
        return read(text)
    except UsageError as error:
        raise item.wrong(f"{name}: {text!r} cannot be read", why=error.why, fix=error.fix) from None


def _optional(item: Item, name: str, *, read: Callable[[str], object]) -> object:
    return None if item.value is None else _value(item, name, read=read)


def _list(item: Item, name: str, *, read: Callable[[str], object]) -> object:
    return tuple(_value(inner, name, read=read) for inner in item.sequence(name))


def _map(item: Item, name: str) -> object:
    return {key: inner.text(f"{name}.{key}") for key, inner in item.mapping(name).items()}


def _env(item: Item, name: str) -> object:
    for key in item.mapping(name):
        if not _VARIABLE.fullmatch(key):
            raise item.wrong(f"{name}: {key!r} is no name of a variable", fix="Use letters, digits and '_'")
    return _map(item, name)


def _tolerations(item: Item, name: str) -> object:
    return tuple(_toleration(inner, name) for inner in item.sequence(name))


def _toleration(item: Item, name: str) -> Toleration:
    parts: dict[str, str] = {}
    for key, inner in item.mapping(name).items():
        if key not in _TOLERATION:
            raise inner.unknown(key, _TOLERATION)
        parts[key] = inner.text(f"{name}.{key}")
        allowed = _TOLERATION[key]
        if allowed is not None and parts[key] not in allowed:
            raise inner.wrong(f"{name}.{key} is {parts[key]!r}", fix=f"Write {', '.join(allowed)}")
    return Toleration(**parts)


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _id(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise FlagError(
            f"{text!r} is no user or group id",
            fix="Write a whole number above 0: root is not allowed in pods",
        )
    return int(text)


def _price(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise FlagError(
            f"{text!r} is no price", fix="Write a number such as 3.20; the unit is another key, currency"
        )
    return float(text)


def _store(text: str) -> str:
    return str(parse_store(text))


def _full_path(text: str) -> Volume:
    volume = parse_volume(text)
    if volume.read_only:
        raise FlagError("A cache is written to", fix="Leave :ro out")
    return volume


_TEXT: JsonObject = {"type": "string", "minLength": 1}
_TEXTS: JsonObject = {"type": "array", "items": _TEXT}
_TEXT_MAP: JsonObject = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
_MOUNT = r"^[^:]+:/[^:]*"
_BYTES: JsonObject = {
    "type": ["string", "integer"],
    "pattern": r"^\d+(\.\d+)?\s*(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?B?$",
    "minimum": 0,
}
_SECONDS: JsonObject = {"type": ["string", "number"], "pattern": r"^[0-9.dhms]+$", "exclusiveMinimum": 0}
_ID: JsonObject = {"type": ["integer", "null"], "minimum": 1}


def _or_null(schema: JsonObject) -> JsonObject:
    kinds = schema["type"]
    return {**schema, "type": [*(kinds if isinstance(kinds, list) else [kinds]), "null"]}


_text = partial(_value, read=str)
_texts = partial(_list, read=str)

FIELDS: Mapping[str, ProfileField] = {
    "image": ProfileField(
        "image", _text, _TEXT, "Container image of the pods.", "image: pytorch/pytorch:2.6.0", cluster=True
    ),
    "python": ProfileField(
        "python", _text, _TEXT, "The interpreter in the image.", "python: /opt/conda/bin/python", cluster=True
    ),
    "gpus": ProfileField(
        "resources.gpus",
        partial(_value, read=parse_gpus),
        {"type": ["string", "integer"], "pattern": r"^([A-Za-z0-9][A-Za-z0-9._-]*:)?\d+$", "minimum": 0},
        "GPUs per node: a number, or kind:number with a word of the node's product label.",
        "gpus: h200:2",
    ),
    "gpu-resource": ProfileField(
        "resources.gpu_resource",
        _text,
        _TEXT,
        "The Kubernetes resource that one GPU is asked by; slices of a GPU (MIG) have names of their own.",
        "gpu-resource: nvidia.com/mig-1g.18gb",
        cluster=True,
    ),
    "gpu-label": ProfileField(
        "resources.gpu_label",
        _text,
        _TEXT,
        "The node label that tells the kind of its GPUs.",
        "gpu-label: nvidia.com/gpu.product",
        cluster=True,
    ),
    "cpus": ProfileField(
        "resources.cpus",
        partial(_optional, read=parse_cpus),
        {"type": ["string", "number", "null"], "pattern": r"^\d+(\.\d+)?m?$", "minimum": 0},
        "CPU cores per node; null leaves it to the namespace's default.",
        "cpus: 8",
    ),
    "memory": ProfileField(
        "resources.memory",
        partial(_optional, read=parse_bytes),
        _or_null(_BYTES),
        "Memory per node; null leaves it to the namespace's default.",
        "memory: 64Gi",
    ),
    "shared-memory": ProfileField(
        "resources.shared_memory",
        partial(_optional, read=parse_bytes),
        _or_null(_BYTES),
        "Size of /dev/shm, which data loaders with workers need; null leaves the runtime's 64 MiB.",
        "shared-memory: 16Gi",
        cluster=True,
    ),
    "scratch": ProfileField(
        "resources.scratch",
        partial(_value, read=parse_bytes),
        _BYTES,
        "Size of the writable folder that holds the journal, HOME and caches.",
        "scratch: 20Gi",
        cluster=True,
    ),
    "volumes": ProfileField(
        "volumes",
        partial(_list, read=parse_volume),
        {"type": "array", "items": {"type": "string", "pattern": _MOUNT + "(:(ro|rw))?$"}},
        "PersistentVolumeClaims to mount, each claim:/path or claim:/path:ro.",
        "volumes: [datasets:/data:ro]",
        cluster=True,
    ),
    CACHE: ProfileField(
        "",
        partial(_value, read=_full_path),
        {"type": "string", "pattern": _MOUNT + "(:rw)?$"},
        f"A PersistentVolumeClaim for downloads, claim:/path; {', '.join(CACHE_FOLDERS)} point into it.",
        "cache: downloads:/cache",
        cluster=True,
    ),
    "env": ProfileField(
        "env",
        _env,
        {**_TEXT_MAP, "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}},
        "Environment variables for the cells. Never secrets.",
        "env: {NCCL_DEBUG: WARN}",
    ),
    "secrets": ProfileField(
        "placement.secrets",
        _texts,
        _TEXTS,
        "Secrets of the namespace whose keys become environment variables.",
        "secrets: [hugging-face]",
        cluster=True,
    ),
    "store": ProfileField(
        "store",
        partial(_value, read=_store),
        {"type": "string", "pattern": "^[a-z][a-z0-9+.:-]*://.+"},
        "Where the output and the results of detached runs outlive their pods: pvc://claim/folder, or a URL that fsspec "
        "understands.",
        "store: pvc://team-runs",
        cluster=True,
    ),
    "node-selector": ProfileField(
        "placement.node_selector",
        _map,
        _TEXT_MAP,
        "Labels a node must have.",
        "node-selector: {pool: gpu}",
        cluster=True,
    ),
    "tolerations": ProfileField(
        "placement.tolerations",
        _tolerations,
        {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    name: {"type": "string"} if allowed is None else {"enum": [*allowed]}
                    for name, allowed in _TOLERATION.items()
                },
            },
        },
        "Taints of nodes that do not keep the pods away, as Kubernetes writes tolerations.",
        "tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}]",
        cluster=True,
    ),
    "service-account": ProfileField(
        "placement.service_account",
        _text,
        _TEXT,
        "Service account of the pods. Its token is not mounted.",
        "service-account: notebooks",
        cluster=True,
    ),
    "pull-secrets": ProfileField(
        "placement.pull_secrets",
        _texts,
        _TEXTS,
        "Secrets with the credentials of the image's registry.",
        "pull-secrets: [registry]",
        cluster=True,
    ),
    "user-id": ProfileField(
        "placement.user_id",
        partial(_optional, read=_id),
        _ID,
        "User id of the processes; null where the platform sets it.",
        "user-id: 1000",
        cluster=True,
    ),
    "group-id": ProfileField(
        "placement.group_id",
        partial(_optional, read=_id),
        _ID,
        "Group id of the processes and of mounted volumes; null where the platform sets it.",
        "group-id: 100",
        cluster=True,
    ),
    "idle-limit": ProfileField(
        "idle_limit",
        partial(_value, read=parse_duration),
        _SECONDS,
        "Time without a running cell after which a session ends itself.",
        "idle-limit: 30m",
    ),
    "orphan-limit": ProfileField(
        "orphan_limit",
        partial(_value, read=parse_duration),
        _SECONDS,
        "Time without a running cell and without any notebook connected after which a session ends itself.",
        "orphan-limit: 15m",
    ),
    "time-limit": ProfileField(
        "time_limit",
        partial(_optional, read=parse_duration),
        _or_null(_SECONDS),
        "Time after which it ends whatever it does; null for never.",
        "time-limit: 8h",
    ),
    "price": ProfileField(
        "placement.price",
        partial(_optional, read=_price),
        {"type": ["number", "null"], "minimum": 0},
        "Cost of one GPU for one hour, shown in receipts.",
        "price: 3.20",
        cluster=True,
    ),
    "currency": ProfileField(
        "placement.currency", _text, _TEXT, "Unit of the price.", "currency: EUR", cluster=True
    ),
}
