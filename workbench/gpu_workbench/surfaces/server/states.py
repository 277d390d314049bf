"""The states of topics: what is known of a workload, as the members that browsers get."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from gpu_workbench.app.board import Followed
from gpu_workbench.app.capacities import Counted
from gpu_workbench.core.capacity import Capacity
from gpu_workbench.core.wire import Json, JsonObject, encode_fields
from gpu_workbench.surfaces.picture import snapshot_of
from gpu_workbench.surfaces.server.rows import row_of
from gpu_workbench.surfaces.server.topics import State


def run_state(followed: Followed, run: str, *, recorded: bool) -> State:
    """The view of a workload, or of one run in it: the members of the MIME bundle, those of its snapshot one by one."""
    form = snapshot_of(followed.subscription, run).to_json()
    shown = form.pop("snapshot")
    assert isinstance(shown, dict)
    members: JsonObject = {**form, **{f"snapshot.{name}": value for name, value in shown.items()}}
    members["recorded"] = recorded
    members["lost_connection"] = followed.subscription.lost_connection
    return {name: _text(value) for name, value in members.items()}


@dataclass(frozen=True)
class TargetState:
    """A backend that is looked at.

    Args:
        error: Why its workloads cannot be listed at the moment; empty while they can.
    """

    name: str
    error: str = ""


def target(name: str, error: str) -> str:
    """A backend, as JSON."""
    return _text(encode_fields(TargetState(name, error)))


@dataclass(frozen=True)
class CapacityState:
    """The GPUs of a backend.

    Args:
        capacity: ``None`` where they cannot be counted.
        error: Why they cannot; empty where they can.
    """

    name: str
    capacity: Capacity | None = None
    error: str = ""


def capacity(name: str, counted: Counted) -> str:
    """What was counted on a backend, as JSON."""
    return _text(encode_fields(CapacityState(name, counted.capacity, counted.error)))


def row(followed: Followed, *, root: Path, recorded: bool) -> str:
    """A workload's row in the panel, as JSON.

    Args:
        root: The folder that the server serves.
        recorded: It is no more where it lived, and what is told of it was recorded by this server.
    """
    subscription = followed.subscription
    made = row_of(
        followed.handle,
        subscription.workload,
        snapshot_of(subscription),
        root=root,
        recorded=recorded,
    )
    return _text(encode_fields(made))


def _text(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))
