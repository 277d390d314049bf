"""What is said while a gang's head waits for other ranks."""

from __future__ import annotations

from gpu_workbench.core.explain.ranks import ranks_awaited
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import Phase, RankState, Workload

UNPLACED = Explanation("gpus-taken", "No node has a free GPU", "Ask for fewer", "pod b")


def workload(*phases: Phase, world: int = 2, phase: Phase = Phase.STARTING) -> Workload:
    ranks = {number: RankState(number, phase=one) for number, one in enumerate(phases)}
    return Workload(id="a", phase=phase, world_size=world, ranks=ranks)


def test_before_the_head_is_heard_and_once_all_are_there_its_objects_speak() -> None:
    for known in (
        workload(),
        workload(Phase.RUNNING, world=1),
        workload(Phase.RUNNING, Phase.RUNNING, phase=Phase.RUNNING),
    ):
        assert ranks_awaited(known, UNPLACED) is UNPLACED
        assert ranks_awaited(known, None) is None


def test_it_is_said_how_many_are_there_and_why_the_others_are_not() -> None:
    found = ranks_awaited(workload(Phase.RUNNING, Phase.STARTING), UNPLACED)
    assert found == Explanation(
        "gpus-taken", "1 of 2 ranks are ready: no node has a free GPU", "Ask for fewer", "pod b"
    )
    alone = ranks_awaited(workload(Phase.RUNNING), None)
    assert alone is not None
    assert alone.sentence == "1 of 2 ranks are ready"


def test_names_keep_their_capitals() -> None:
    found = ranks_awaited(workload(Phase.STARTING), Explanation("x", "GPUs of node a are taken"))
    assert found is not None
    assert found.sentence == "0 of 2 ranks are ready: GPUs of node a are taken"
