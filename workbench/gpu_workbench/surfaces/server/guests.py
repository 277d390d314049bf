"""What others than the server's owner are told of runs: that they are there, and how they stand; nothing they wrote. Pure.

A failure's sentence quotes what the code printed, and a done run's names the values that came back.
"""

from __future__ import annotations

import json

from gpu_workbench.core.model import Phase
from gpu_workbench.core.wire import Json
from gpu_workbench.surfaces.server.topics import RUNS, State

PRIVATE = frozenset(f"snapshot.{name}" for name in ("failure", "results", "cell", "hint", "notes", "moments"))
"""Members of a run's view that may quote its output or name its values."""

_SENTENCES = ("snapshot.answer", "snapshot.explanation")
_PHASE, _RANKS = "snapshot.phase", "snapshot.ranks"
_WAITS = frozenset({Phase.QUEUED.value, Phase.PENDING.value, Phase.STARTING.value})


def for_guests(topic: str, state: State) -> State:
    """A topic's state without what is its owner's alone."""
    if topic == RUNS:
        return {name: _row(text) for name, text in state.items()}
    waits = json.loads(state.get(_PHASE, f'"{Phase.QUEUED.value}"')) in _WAITS
    private = PRIVATE if waits else PRIVATE.union(_SENTENCES)
    told = {name: text for name, text in state.items() if name not in private}
    if _RANKS in told:
        told[_RANKS] = _text([_without(rank, "failure") for rank in json.loads(told[_RANKS])])
    return told


def _row(text: str) -> str:
    row = json.loads(text)
    return text if row.get("phase", Phase.QUEUED.value) in _WAITS else _text(_without(row, "answer"))


def _without(form: dict[str, Json], name: str) -> dict[str, Json]:
    return {key: value for key, value in form.items() if key != name}


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
