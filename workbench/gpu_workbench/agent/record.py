"""The terminal record: what is left to say when the agent is gone, in the container's termination message (4 KiB)."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path

from gpu_workbench.agent.endings import Outcome
from gpu_workbench.core.agent_config import AgentConfig
from gpu_workbench.core.wire import JsonObject, encode

LIMIT = 4096
"""Bytes of a container's termination message."""


def write_record(config: AgentConfig, outcome: Outcome, *, seconds: float) -> None:
    """Write the record where the backend finds it."""
    if not config.termination_file:
        return
    with contextlib.suppress(OSError):
        Path(config.termination_file).write_bytes(record(outcome, seconds=seconds))


def record(outcome: Outcome, *, seconds: float) -> bytes:
    """The record as JSON, its longest texts shortened until it fits.

    Args:
        outcome: How the workload ended.
        seconds: From the agent's start to its end.
    """
    form: JsonObject = {
        "version": 1,
        "outcome": outcome.phase.value,
        "exit_code": int(outcome.code),
        "seconds": round(seconds, 3),
    }
    if outcome.receipt is not None:
        form["receipt"] = encode(outcome.receipt)
    data = b""
    for room in (2000, 500, 100, 0):
        if outcome.reason:
            form["reason"] = outcome.reason[: room + 100]
        if (failure := outcome.failure) is not None:
            detail = failure.detail[-room:] if room else ""
            short = dataclasses.replace(failure, what=failure.what[: room + 100], detail=detail)
            form["failure"] = encode(short)
        data = json.dumps(form).encode()
        if len(data) <= LIMIT:
            break
    return data
