"""``%gpu capacity``: which GPUs there are, and how many are free."""

from __future__ import annotations

from typing import Any

from gpu_workbench.backends.protocol import CountsGpus
from gpu_workbench.core.capacity import Capacity
from gpu_workbench.core.errors import UsageError
from gpu_workbench.surfaces.command_lines import Command
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.view import capacity as view
from gpu_workbench.surfaces.view.tables import Rendered


def capacity(here: Here, shell: Any, command: Command) -> Rendered:
    """Count the GPUs now."""
    request = here.request(command.flags)
    backend: Any = here.workbench(request.config).backend(request.backend)
    if not isinstance(backend, CountsGpus):
        raise UsageError(f"The backend {request.backend} cannot say which GPUs there are")
    found: Capacity = here.portal.call(backend.capacity, owner=request.spec.owner)
    return view.capacity(found)
