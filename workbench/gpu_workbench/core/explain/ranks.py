"""What is said of a gang of which some ranks are there: how many, and why the others are not."""

from __future__ import annotations

from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import Phase, Workload


def ranks_awaited(workload: Workload, found: Explanation | None) -> Explanation | None:
    """What to say while a gang's head waits for other ranks; ``found`` where it does not.

    Args:
        workload: As far as its journal tells.
        found: What its objects say.
    """
    world, ranks = workload.world_size, workload.ranks.values()
    if world == 1 or not workload.ranks or workload.phase is not Phase.STARTING:
        return found
    ready = sum(rank.phase is Phase.RUNNING for rank in ranks)
    said = f"{ready} of {world} ranks are ready"
    if found is None:
        return Explanation("ranks-awaited", said, source="the head's journal")
    return Explanation(found.code, f"{said}: {_continued(found.sentence)}", found.fix, found.source)


def _continued(sentence: str) -> str:
    """A sentence after a colon."""
    first, rest = sentence[:1], sentence[1:]
    return first.lower() + rest if rest[:1].islower() else sentence
