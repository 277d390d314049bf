"""``%gpu doctor`` on this machine: where state is kept, and which GPUs there are."""

from __future__ import annotations

import os
from pathlib import Path

from gpu_workbench.backends.checks import Check
from gpu_workbench.backends.local.lease import visible_gpus


def examine(root: Path) -> list[Check]:
    """Look at the state directory and the devices.

    Args:
        root: Folder of the workloads.
    """
    return [_state(root), _gpus()]


def _state(root: Path) -> Check:
    existing = next(folder for folder in (root, *root.parents) if folder.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        return Check(
            False,
            f"{existing} cannot be written, and sessions keep their state there",
            "Set state-dir to a folder of yours",
        )
    return Check(True, f"Sessions keep their state in {root}")


def _gpus() -> Check:
    found = len(visible_gpus())
    if not found:
        return Check(
            None,
            "No GPU is visible here: cells run on this machine's CPUs",
            "`%gpu use kubernetes` runs them on a cluster",
        )
    return Check(True, "1 GPU of this machine" if found == 1 else f"{found} GPUs of this machine")
