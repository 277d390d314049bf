"""The steps of a start, and objects that say nothing."""

from __future__ import annotations

import pytest

from gpu_workbench.core.explain import RULES, explain
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Phase
from gpu_workbench.core.wire import JsonObject
from tests.unit.core.explain.objects import SPEC, job_of, pod_of


@pytest.mark.parametrize(
    ("pods", "code"),
    [
        ([], "pod-creating"),
        ([{}], "scheduling"),
        ([{"node": "n", "waiting": "ContainerCreating"}], "container-creating"),
        ([{"node": "n", "waiting": "PodInitializing"}], "container-creating"),
    ],
)
def test_the_steps_of_a_start(pods: list[dict[str, str]], code: str) -> None:
    made = tuple(pod_of(**pod) for pod in pods)  # type: ignore[arg-type]
    told = explain(Facts(phase=Phase.PENDING, job=job_of(), pods=made), spec=SPEC)
    assert told is not None
    assert (told.code, told.waits, told.fix) == (code, True, "")


def test_no_rule_breaks_on_objects_that_say_nothing() -> None:
    empty: JsonObject = {}
    for phase in Phase:
        for job in (None, empty):
            for pods in ((), (empty,)):
                facts = Facts(
                    phase=phase,
                    job=job,
                    pods=pods,
                    events=(empty,),
                    claims=(empty,),
                    queue=empty,
                    nodes=(empty,),
                )
                explain(facts, spec=SPEC)


def test_no_rule_stands_twice() -> None:
    assert len(set(RULES)) == len(RULES)
