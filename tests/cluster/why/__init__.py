"""Why a workload waits or ends: each case brought about on a real cluster. `CASES` names them all."""

from __future__ import annotations

from . import ends, images, nodes, rules, volumes, ways
from .case import CASES, Case

__all__ = ["CASES", "Case", "ends", "images", "nodes", "rules", "volumes", "ways"]
