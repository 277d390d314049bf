"""What ``%gpu capacity`` says, word for word."""

from __future__ import annotations

import pytest

from gpu_workbench.core.capacity import Capacity, GpuKind, Quota, Unseen, Waiting
from gpu_workbench.surfaces.view.capacity import capacity

H200 = GpuKind("H200 141 GiB", "nvidia.com/gpu", total=32, mine=16, others=12, free=4)
MIG = GpuKind("H200 MIG 1g.18gb", "nvidia.com/mig-1g.18gb", total=14, mine=1, others=4, free=9)


def test_kinds_are_a_table_and_the_rest_are_sentences() -> None:
    found = Capacity(
        namespace="team-a",
        kinds=(H200, MIG),
        starting=2,
        waiting=(Waiting("GPUs", mine=8, others=4), Waiting("MIG 1g.18gb", mine=0, others=1)),
        places=("number 2 in queue team-a",),
        quotas=(Quota("team", "nvidia.com/gpu", 32, 28), Quota("new", "amd.com/gpu", 8)),
    )
    assert capacity(found).text.splitlines() == [
        "Capacity · team-a",
        "GPU               free     mine  others",
        "H200 141 GiB      4 of 32  16    12",
        "H200 MIG 1g.18gb  9 of 14  1     4",
        "2 nodes are starting",
        "12 GPUs queued, 8 of them by you",
        "1 MIG 1g.18gb queued",
        "Yours: number 2 in queue team-a",
        "Quota team: 28 of 32 nvidia.com/gpu used",
        "Quota new: n/a of 8 amd.com/gpu used",
    ]


def test_what_cannot_be_seen_is_na_with_the_right_that_is_missing() -> None:
    partly = GpuKind("H200 141 GiB", "nvidia.com/gpu", total=32, mine=16)
    found = Capacity(
        namespace="team-a",
        kinds=(partly,),
        waiting=(Waiting("GPUs", mine=2),),
        unseen=(Unseen("list", "pods"), Unseen("list", "resourcequotas", "team-a")),
    )
    assert capacity(found).text.splitlines()[2:] == [
        "H200 141 GiB  n/a of 32  16    n/a",
        "2 GPUs queued by you; by others n/a",
        "What others hold is not visible to you: you may not list pods in all namespaces",
        "The quota is not visible to you: you may not list resourcequotas in namespace team-a",
    ]
    blind = Capacity(namespace="team-a", unseen=(Unseen("list", "nodes"),))
    assert capacity(blind).text.splitlines() == [
        "Capacity · team-a",
        "Which GPUs there are is not visible to you: you may not list nodes",
    ]


def test_without_nodes_there_is_no_total() -> None:
    found = Capacity(namespace="a", kinds=(GpuKind("nvidia.com/gpu", "nvidia.com/gpu", mine=2, others=3),))
    assert capacity(found).text.splitlines()[2].split() == ["nvidia.com/gpu", "n/a", "2", "3"]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (Capacity(), "Capacity · this machine\nNo GPU is visible on this machine"),
        (Capacity(namespace="a"), "Capacity · a\nNo GPU in this cluster"),
        (Capacity(kinds=(GpuKind("H200", "gpu", total=1, simulated=True, closed=3),)), "SIMULATED"),
        (
            Capacity(kinds=(GpuKind("H200", "gpu", total=1, closed=3),)),
            "3 more on nodes that take no pods now",
        ),
    ],
)
def test_what_is_said_of(found: Capacity, says: str) -> None:
    assert says in capacity(found).text


@pytest.mark.parametrize("bad", ["<img src=x onerror=alert(1)>", "a\x1b[31m\nb", "x" * 900])
def test_labels_are_shown_as_text_on_one_line(bad: str) -> None:
    found = Capacity(
        namespace=bad,
        kinds=(GpuKind(bad, "r", total=1),),
        places=(bad,),
        quotas=(Quota(bad, "nvidia.com/gpu", 1),),
    )
    shown = capacity(found)
    assert "<img" not in shown.html
    assert "\x1b" not in shown.text
    assert len(shown.text.splitlines()) == 5
