"""The terminal record: what is left to say when the agent is gone, in the container's termination message (4 KiB)."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path

from gpu_workbench.agent.service import Service
from gpu_workbench.core.agent_config import AgentConfig
from gpu_workbench.core.model import Phase
from gpu_workbench.core.wire import JsonObject, encode

LIMIT = 4096


def write_record(config: AgentConfig, service: Service, phase: Phase) -> None:
    """Write the record where the backend finds it."""
    if not config.termination_file:
        return
    with contextlib.suppress(OSError):
        Path(config.termination_file).write_bytes(record(service, phase))


def record(service: Service, phase: Phase) -> bytes:
    """The record as JSON, shortened until it fits."""
    form: JsonObject = {"version": 1, "outcome": phase.value, "seconds": round(service.clock(), 3)}
    failure = service.failure
    for room in (2000, 500, 0):
        if failure is not None:
            form["failure"] = encode(
                dataclasses.replace(failure, detail=failure.detail[-room:] if room else "")
            )
        data = json.dumps(form).encode()
        if len(data) <= LIMIT:
            break
    return data[:LIMIT]
