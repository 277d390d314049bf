"""The states of topics: what is known of a workload, as the members that browsers get."""

from __future__ import annotations

import json
from dataclasses import dataclass

from gpu_workbench.app.board import Followed
from gpu_workbench.app.capacities import Counted
from gpu_workbench.core.capacity import Capacity
from gpu_workbench.core.model import Kind, Phase, Progress
from gpu_workbench.core.wire import Json, JsonObject, encode_fields
from gpu_workbench.surfaces.picture import snapshot_of
from gpu_workbench.surfaces.server.topics import State
from gpu_workbench.surfaces.view.model import Ending


@dataclass(frozen=True)
class Row:
    """A workload in the panel.

    Args:
        started: Wall clock in seconds since 1970.
        notebook: Id of the notebook it came from; empty for none.
        gpus: In words.
        busy: Mean utilisation of its GPUs in per cent; ``None`` where that is not known.
        recorded: It is no more where it lived, and what is told of it was recorded by this server.
    """

    id: str
    backend: str
    started: float
    notebook: str = ""
    image: str = ""
    namespace: str = ""
    gpus: str = ""
    busy: float | None = None
    kind: Kind = Kind.SESSION
    phase: Phase = Phase.QUEUED
    word: str = ""
    name: str = ""
    answer: str = ""
    waited: float | None = None
    ran: float | None = None
    progress: Progress | None = None
    cost: str = ""
    simulated: bool = False
    ending: Ending | None = None
    recorded: bool = False


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


def row(followed: Followed, *, recorded: bool) -> str:
    """A workload's row in the panel, as JSON."""
    found, handle = snapshot_of(followed.subscription), followed.handle
    shown, busy = found.snapshot, followed.subscription.workload.busy
    made = Row(
        id=handle.id,
        backend=handle.backend,
        started=handle.started,
        notebook=handle.spec.notebook,
        image=handle.spec.image,
        namespace=found.where.namespace,
        gpus=found.where.gpus,
        busy=shown.chart.busy if shown.chart is not None else None,
        kind=shown.kind,
        phase=shown.phase,
        word=shown.word,
        name=handle.spec.name,
        answer=shown.answer,
        waited=shown.waited,
        ran=shown.ran,
        progress=busy.progress if busy is not None else shown.progress,
        cost=shown.cost,
        simulated=shown.simulated,
        ending=shown.ending,
        recorded=recorded,
    )
    return _text(encode_fields(made))


def _text(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))
