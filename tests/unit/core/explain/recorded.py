"""What a real API server said, recorded by `tests/cluster/why/record.py`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from gpu_workbench.core.explain import explain
from gpu_workbench.core.facts import Explanation, Facts
from gpu_workbench.core.spec import WorkloadSpec
from gpu_workbench.core.wire import decode

FACTS = Path(__file__).parent.parent / "facts"


def recorded(name: str) -> tuple[Facts, WorkloadSpec]:
    form = json.loads((FACTS / f"{name}.json").read_text())
    return decode(Facts, form["facts"]), decode(WorkloadSpec, form["spec"])


def explain_recorded(name: str, **other: object) -> Explanation:
    facts, spec = recorded(name)
    told = explain(replace(facts, **other), spec=spec)  # type: ignore[arg-type]
    assert told is not None
    return told
