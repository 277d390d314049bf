"""What a scheduler's preload tells, read as the agent reads it."""

from __future__ import annotations

import json
from typing import Any

from gpu_workbench.core.model import DaskState, DaskTasks
from gpu_workbench.core.wire import decode


def tasks_of(form: Any) -> DaskTasks:
    return decode(DaskTasks, json.loads(json.dumps(form)))


def state_of(form: Any) -> DaskState:
    return decode(DaskState, json.loads(json.dumps(form)))
