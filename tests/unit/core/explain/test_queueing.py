"""The place in the queue, in the words of Kueue v0.19."""

from __future__ import annotations

import pytest

from gpu_workbench.core.explain import explain
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Phase
from gpu_workbench.core.wire import Json, JsonObject
from tests.unit.core.explain.objects import SPEC, job_of

LACK = (
    "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor ctl-h200, "
    "2 more needed"
)
EVICTION = (
    "Preempted to accommodate a workload (UID: 1-2, JobUID: 3-4) due to prioritization in the ClusterQueue; "
    "preemptor path: /ctl-cq; preemptee path: /ctl-cq"
)


def _queue(*conditions: tuple[str, str, str, str], position: int | None = None) -> JsonObject:
    form: list[Json] = [
        {"type": kind, "status": status, "reason": reason, "message": message}
        for kind, status, reason, message in conditions
    ]
    workload: JsonObject = {
        "metadata": {"name": "job-x"},
        "spec": {"queueName": "gpus"},
        "status": {"conditions": form},
    }
    return workload if position is None else {**workload, "position": position}


PENDING = ("QuotaReserved", "False", "Pending", LACK)
EVICTED = ("Evicted", "True", "Preempted", EVICTION)


@pytest.mark.parametrize(
    ("queue", "code", "sentence"),
    [
        (_queue(PENDING, position=0), "queued", f'Next in queue gpus: "{LACK}"'),
        (_queue(PENDING, position=2), "queued", f'Number 3 in queue gpus: "{LACK}"'),
        (_queue(PENDING), "queued", f'Waits in queue gpus: "{LACK}"'),
        (
            _queue(("QuotaReserved", "False", "Inadmissible", "LocalQueue gpus doesn't exist")),
            "queue-inadmissible",
            'The queue cannot take it; waits in queue gpus: "LocalQueue gpus doesn\'t exist"',
        ),
        (
            _queue(PENDING, EVICTED, ("Preempted", "True", "InClusterQueue", EVICTION), position=0),
            "queue-preempted",
            f'It gave its place to a workload of higher priority and waits again; next in queue gpus: "{LACK}"',
        ),
        (
            _queue(PENDING, EVICTED, ("Preempted", "True", "InCohortReclamation", EVICTION), position=1),
            "queue-preempted",
            "It gave back GPUs that its queue had borrowed from another team, and waits again; number 2 in queue gpus: "
            f'"{LACK}"',
        ),
        (
            _queue(PENDING, ("Evicted", "True", "PodsReadyTimeout", "Exceeded the PodsReady timeout")),
            "queue-preempted",
            "Its pods did not all become ready in time, so it gave its place back and waits again; waits in queue gpus: "
            f'"{LACK}"',
        ),
        (
            _queue(("QuotaReserved", "True", "QuotaReserved", "Quota reserved in ClusterQueue ctl-cq")),
            "queue-check",
            "Its GPUs are reserved; a check of the queue is not done yet",
        ),
    ],
)
def test_the_place_in_the_queue_and_its_own_message(queue: JsonObject, code: str, sentence: str) -> None:
    facts = Facts(phase=Phase.QUEUED, job=job_of(suspend=True), queue=queue)
    told = explain(facts, spec=SPEC)
    assert told is not None
    assert (told.code, told.sentence) == (code, sentence)
    assert "UID" not in told.sentence


def test_an_admitted_workload_waits_for_its_pods() -> None:
    queue = _queue(
        ("QuotaReserved", "True", "QuotaReserved", ""),
        ("Admitted", "True", "Admitted", "The workload is admitted"),
        ("PodsReady", "False", "WaitForStart", "Not all pods are ready or succeeded"),
    )
    told = explain(Facts(phase=Phase.PENDING, job=job_of(), queue=queue), spec=SPEC)
    assert told is not None
    assert told.code == "queue-admitted"


def test_a_job_with_a_queue_name_waits_though_the_queue_is_not_visible() -> None:
    job = job_of(suspend=True, labels={"kueue.x-k8s.io/queue-name": "gpus"})
    told = explain(Facts(phase=Phase.QUEUED, job=job), spec=SPEC)
    assert told is not None
    assert (told.code, told.sentence) == ("queued", "Waits in queue gpus")


def test_a_machine_whose_gpus_are_lent_says_so_itself() -> None:
    told = explain(Facts(phase=Phase.QUEUED, waits_for="Waits for this machine's GPU"), spec=SPEC)
    assert told is not None
    assert (told.code, told.sentence, told.waits) == ("gpus-lent", "Waits for this machine's GPU", True)
    assert "%gpu stop" in told.fix
