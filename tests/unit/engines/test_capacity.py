"""Counting GPUs: what nodes offer, who holds it, and what of it cannot be seen."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.core.capacity import Capacity, GpuKind, Quota, Unseen, Waiting
from gpu_workbench.core.wire import Json, JsonObject, decode, encode_fields
from gpu_workbench.engines.capacity import Seen, capacity_of, gpus_of, is_gpu

ME = "0123456789abcdef"
NOW = "2026-11-26T10:00:00+00:00"
OLD, YOUNG = "2026-11-20T10:00:00Z", "2026-11-26T09:58:00Z"
GPU, MIG = "nvidia.com/gpu", "nvidia.com/mig-1g.18gb"
H200: JsonObject = {"nvidia.com/gpu.product": "NVIDIA-H200", "nvidia.com/gpu.memory": "143771"}


def node(
    name: str,
    offered: dict[str, int],
    *,
    labels: JsonObject | None = None,
    ready: bool = True,
    created: str = OLD,
    cordoned: bool = False,
    taint: str = "",
) -> JsonObject:
    state: Json = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": created,
            "labels": H200 if labels is None else labels,
        },
        "spec": {"unschedulable": cordoned, "taints": [{"key": taint}] if taint else None},
        "status": {
            "allocatable": {resource: str(count) for resource, count in offered.items()},
            "conditions": state,
        },
    }


def container(gpus: int, resource: str = GPU, **more: Json) -> JsonObject:
    return {"resources": {"limits": {resource: str(gpus)}}, **more}


def pod(
    on: str,
    gpus: int = 0,
    *,
    mine: bool = False,
    resource: str = GPU,
    phase: str = "Running",
    init: Json = None,
) -> JsonObject:
    return {
        "metadata": {"labels": {"gpu-workbench.dev/owner": ME} if mine else {}},
        "spec": {"nodeName": on, "containers": [container(gpus, resource)], "initContainers": init},
        "status": {"phase": phase},
    }


def count(*nodes: JsonObject, pods: tuple[JsonObject, ...] = (), **more: Any) -> Capacity:
    seen = Seen("team-a", **{"nodes": nodes, "pods": pods, "quotas": (), **more})
    return capacity_of(seen, owner=ME, now=NOW)


def only(found: Capacity) -> GpuKind:
    (kind,) = found.kinds
    return kind


def test_gpus_are_mine_of_others_or_free() -> None:
    found = count(
        node("a", {GPU: 8}), node("b", {GPU: 8}), pods=(pod("a", 4, mine=True), pod("a", 1), pod("b", 2))
    )
    assert only(found) == GpuKind("H200 140 GiB", GPU, total=16, mine=4, others=3, free=9)
    assert found == Capacity(namespace="team-a", kinds=found.kinds)
    assert decode(Capacity, encode_fields(found)) == found


@pytest.mark.parametrize(
    ("resource", "labels", "name"),
    [
        (GPU, {}, "nvidia.com/gpu"),
        (GPU, {"nvidia.com/gpu.product": "Tesla-T4"}, "Tesla T4"),
        (GPU, {"nvidia.com/gpu.product": "Tesla-T4", "nvidia.com/gpu.memory": "15360"}, "Tesla T4 15 GiB"),
        (
            GPU,
            {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB", "nvidia.com/gpu.memory": "81920"},
            "A100 SXM4 80 GiB",
        ),
        (GPU, {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}, "A100 SXM4 80GB"),
        (GPU, {"nvidia.com/gpu.product": "NVIDIA-H200", "nvidia.com/gpu.memory": "much"}, "H200"),
        ("nvidia.com/gpu.shared", {"nvidia.com/gpu.product": "Tesla-T4-SHARED"}, "Tesla T4 SHARED"),
        (MIG, H200, "H200 MIG 1g.18gb"),
        (MIG, {f"{MIG}.product": "NVIDIA-H200-MIG-1g.18gb", f"{MIG}.memory": "16384"}, "H200 MIG 1g.18gb"),
        (MIG, {}, "MIG 1g.18gb"),
        ("amd.com/gpu", {}, "amd.com/gpu"),
        (
            "amd.com/gpu",
            {"amd.com/gpu.product-name": "AMD_Instinct_MI300X", "amd.com/gpu.vram": "192G"},
            "Instinct MI300X 192 GiB",
        ),
        ("gpu.intel.com/xe", {}, "gpu.intel.com/xe"),
    ],
)
def test_a_kind_is_called_what_the_nodes_labels_say(resource: str, labels: JsonObject, name: str) -> None:
    assert only(count(node("a", {resource: 2}, labels=labels))).name == name


@pytest.mark.parametrize(
    "resource",
    [
        "cpu",
        "memory",
        "ephemeral-storage",
        "gpu",
        "nvidia.com/gpumem",
        "gpu.intel.com/tiles",
        "example.com/gpus",
    ],
)
def test_what_is_no_gpu(resource: str) -> None:
    assert not is_gpu(resource)


def test_doubles_are_said_to_be_doubles() -> None:
    kind = only(count(node("a", {GPU: 1}, labels={"nvidia.com/gpu.product": "SIMULATED-H200"})))
    assert (kind.name, kind.simulated) == ("H200", True)
    assert not only(count(node("a", {GPU: 1}))).simulated


def test_parts_of_gpus_are_kinds_of_their_own_and_come_last() -> None:
    found = count(node("a", {MIG: 7, GPU: 4}), pods=(pod("a", 2, mine=True, resource=MIG),))
    whole, part = found.kinds
    assert (whole.name, whole.mine, whole.free) == ("H200 140 GiB", 0, 4)
    assert (part.name, part.mine, part.free) == ("H200 MIG 1g.18gb", 2, 5)


@pytest.mark.parametrize(
    ("broken", "starting"),
    [
        ({"ready": False, "created": OLD}, 0),
        ({"cordoned": True}, 0),
        ({"cordoned": True, "ready": False, "created": YOUNG}, 0),
        ({"taint": "node.cloudprovider.kubernetes.io/uninitialized"}, 0),
        ({"ready": False, "created": YOUNG}, 1),
        ({"ready": False, "created": "2026-11-26T10:03:00Z"}, 1),
        ({"taint": "karpenter.sh/unregistered", "created": YOUNG}, 1),
    ],
)
def test_a_node_that_takes_no_pods_is_apart_or_starting(broken: dict[str, Any], starting: int) -> None:
    found = count(node("a", {GPU: 8}), node("b", {GPU: 4}, **broken), pods=(pod("b", 4),))
    kind = only(found)
    assert (kind.total, kind.others, kind.free) == (8, 0, 8)
    assert (found.starting, kind.closed) == (starting, 0 if starting else 4)


def test_a_taint_that_keeps_some_pods_away_closes_no_node() -> None:
    assert only(count(node("a", {GPU: 8}, taint="nvidia.com/gpu"))).free == 8


def test_a_node_that_starts_has_no_devices_yet() -> None:
    found = count(node("new", {}, ready=False, created=YOUNG))
    assert (found.kinds, found.starting) == ((), 1)


def test_a_device_that_broke_while_it_is_held_is_not_counted_twice() -> None:
    kind = only(count(node("a", {GPU: 2}), pods=(pod("a", 3, mine=True), pod("a", 1))))
    assert (kind.total, kind.mine, kind.others, kind.free) == (2, 2, 0, 0)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_holds_nothing(phase: str) -> None:
    assert only(count(node("a", {GPU: 2}), pods=(pod("a", 2, phase=phase),))).free == 2


def test_containers_run_beside_each_other_and_init_containers_one_by_one() -> None:
    two: Json = [container(1), container(2)]
    assert gpus_of({"spec": {"containers": two}}) == {GPU: 3}
    assert gpus_of({"spec": {"containers": [container(1)], "initContainers": two}}) == {GPU: 2}
    side: Json = [container(1, restartPolicy="Always"), container(2)]
    assert gpus_of({"spec": {"containers": [container(1)], "initContainers": side}}) == {GPU: 3}
    assert gpus_of({"spec": {"containers": [container(0)]}}) == {}


def test_a_request_counts_before_a_limit() -> None:
    both: JsonObject = {"resources": {"requests": {GPU: "1"}, "limits": {GPU: "2"}}}
    assert gpus_of({"spec": {"containers": [both]}}) == {GPU: 1}


def test_what_has_no_node_waits() -> None:
    leaving = pod("", 2, phase="Pending")
    leaving["metadata"] = {"deletionTimestamp": NOW}
    waits = (
        pod("", 8, mine=True, phase="Pending"),
        pod("", 4, phase="Pending"),
        pod("", 1, phase="Pending", resource=MIG),
    )
    found = count(node("a", {GPU: 2}), pods=(*waits, leaving))
    assert found.waiting == (Waiting("GPUs", mine=8, others=4), Waiting("MIG 1g.18gb", mine=0, others=1))
    assert only(found).free == 2


def test_without_a_sight_of_others_pods_only_mine_and_all_are_known() -> None:
    own = (pod("a", 3, mine=True), pod("a", 1), pod("", 2, mine=True, phase="Pending"))
    found = count(node("a", {GPU: 8}), pods=None, own_pods=own)  # type: ignore[arg-type]
    assert only(found) == GpuKind("H200 140 GiB", GPU, total=8, mine=3)
    assert found.waiting == (Waiting("GPUs", mine=2, others=None),)
    assert found.unseen == (Unseen("list", "pods"),)


def test_without_a_sight_of_nodes_only_what_pods_hold_is_known() -> None:
    found = count(nodes=None, pods=(pod("a", 3, mine=True), pod("b", 1)))
    assert only(found) == GpuKind("nvidia.com/gpu", GPU, mine=3, others=1)
    assert found.unseen == (Unseen("list", "nodes"),)


def test_without_a_sight_of_pods_only_what_there_is_is_known() -> None:
    assert only(count(node("a", {GPU: 8}), pods=None)) == GpuKind("H200 140 GiB", GPU, total=8)  # type: ignore[arg-type]


def test_without_any_sight_each_missing_right_is_named() -> None:
    found = count(nodes=None, pods=None, quotas=None)  # type: ignore[arg-type]
    assert found.kinds == ()
    assert found.unseen == (
        Unseen("list", "nodes"),
        Unseen("list", "pods"),
        Unseen("list", "pods", "team-a"),
        Unseen("list", "resourcequotas", "team-a"),
    )


def test_a_quota_is_told_as_far_as_it_is_about_gpus() -> None:
    hard: JsonObject = {
        "requests.nvidia.com/gpu": "32",
        "count/gpu": "9",
        "requests.cpu": "400",
        "pods": "10",
    }
    counted: JsonObject = {
        "metadata": {"name": "team"},
        "status": {"hard": hard, "used": {"requests.nvidia.com/gpu": "28"}},
    }
    new: JsonObject = {"metadata": {"name": "new"}, "spec": {"hard": {f"requests.{MIG}": "7"}}}
    assert count(quotas=(counted, new)).quotas == (Quota("team", GPU, 32, 28), Quota("new", MIG, 7))


def test_my_place_is_told_where_the_queue_says_one() -> None:
    waits: JsonObject = {"spec": {"queueName": "team"}, "position": 1}
    admitted: JsonObject = {
        **waits,
        "status": {"conditions": [{"type": "Admitted", "status": "True"}]},
    }
    assert count(queue=(waits, admitted)).places == ("number 2 in queue team",)


NODES = st.lists(
    st.builds(
        node,
        st.sampled_from("abc"),
        st.dictionaries(st.sampled_from([GPU, MIG, "amd.com/gpu", "cpu"]), st.integers(0, 8)),
        labels=st.sampled_from([{}, H200]),
        ready=st.booleans(),
        created=st.sampled_from([OLD, YOUNG, ""]),
        cordoned=st.booleans(),
        taint=st.sampled_from(["", "karpenter.sh/unregistered", "team"]),
    ),
    max_size=3,
    unique_by=lambda made: made["metadata"]["name"],  # type: ignore[index,call-overload]
)
PODS = st.lists(
    st.builds(
        pod,
        st.sampled_from(["a", "b", "c", "gone", ""]),
        st.integers(0, 9),
        mine=st.booleans(),
        resource=st.sampled_from([GPU, MIG, "amd.com/gpu", "cpu"]),
        phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed"]),
        init=st.none() | st.lists(st.builds(container, st.integers(0, 9)), max_size=2),
    ),
    max_size=8,
)


@given(NODES, PODS)
def test_what_is_held_and_what_is_free_are_all_there_is(
    nodes: list[JsonObject], pods: list[JsonObject]
) -> None:
    found = count(*nodes, pods=tuple(pods))
    offered: Counter[str] = Counter()
    for one in nodes:
        state: Any = one
        ready = state["status"]["conditions"][0]["status"] == "True"
        unregistered = any("unregistered" in taint["key"] for taint in state["spec"]["taints"] or ())
        if ready and not state["spec"]["unschedulable"] and not unregistered:
            offered.update({key: int(value) for key, value in state["status"]["allocatable"].items()})
    totals: Counter[str] = Counter()
    for kind in found.kinds:
        assert kind.total is not None
        assert kind.mine is not None
        assert kind.others is not None
        assert kind.free is not None
        assert min(kind.mine, kind.others, kind.free, kind.closed) >= 0
        assert kind.mine + kind.others + kind.free == kind.total
        totals[kind.resource] += kind.total
    assert totals == Counter({key: value for key, value in offered.items() if is_gpu(key)})
    assert len({(kind.name, kind.resource) for kind in found.kinds}) == len(found.kinds)


@given(NODES, PODS)
def test_pods_that_have_ended_change_nothing(nodes: list[JsonObject], pods: list[JsonObject]) -> None:
    living = tuple(one for one in pods if one["status"]["phase"] not in ("Succeeded", "Failed"))  # type: ignore[index,call-overload]
    assert count(*nodes, pods=tuple(pods)) == count(*nodes, pods=living)


@given(NODES, PODS)
def test_seeing_less_never_tells_anything_else(nodes: list[JsonObject], pods: list[JsonObject]) -> None:
    """What is known without a right is what is known with it; the rest is not known."""
    everything = {(kind.resource, kind.name): kind for kind in count(*nodes, pods=tuple(pods)).kinds}
    for kind in count(*nodes, pods=None, own_pods=tuple(pods)).kinds:  # type: ignore[arg-type]
        whole = everything[kind.resource, kind.name]
        assert (kind.total, kind.mine, kind.closed) == (whole.total, whole.mine, whole.closed)
        assert kind.others is None
        assert kind.free is None
