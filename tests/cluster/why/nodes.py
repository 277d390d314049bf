"""No node takes the pod."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from gpu_workbench.core.spec import WorkloadSpec
from gpu_workbench.core.wire import Json, JsonObject

from .case import case, sleeper
from .place import Place, spec

FAKE: JsonObject = {"key": "explain.test/fake", "effect": "NoSchedule"}
ALLOWED: JsonObject = {"key": "explain.test/fake", "operator": "Exists"}


@case("didn't match Pod's node affinity/selector")
def gpu_kind_missing(place: Place) -> Iterator[WorkloadSpec]:
    term = {"key": "nvidia.com/gpu.product", "operator": "In", "values": ["h200"]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [term]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    place.create(sleeper(place, gpus=1, pod={"affinity": affinity}))
    yield spec(gpus=1, kind="h200")


@case("Insufficient nvidia.com/gpu")
def gpu_too_many(place: Place) -> Iterator[WorkloadSpec]:
    place.create(sleeper(place, gpus=64))
    yield spec(gpus=64)


@case("Insufficient nvidia.com/gpu")
def gpu_taken(place: Place) -> Iterator[WorkloadSpec]:
    """Whoever else holds some: all of them cannot be had while this holder has one."""
    place.create(sleeper(place, gpus=1, name="gwb-ba9876543210"))
    place.until_said("Started container", job="gwb-ba9876543210")
    every = place.cluster.allocatable_gpus()
    place.create(sleeper(place, gpus=every))
    yield spec(gpus=every)


@case("Insufficient explain.test/accelerator")
def gpu_none(place: Place) -> Iterator[WorkloadSpec]:
    asked: JsonObject = {"cpu": "10m", "explain.test/accelerator": "1"}
    place.create(sleeper(place, container={"resources": {"requests": asked, "limits": asked}}))
    yield spec(gpus=1, resource="explain.test/accelerator")


@case("Insufficient cpu")
def cpu_too_many(place: Place) -> Iterator[WorkloadSpec]:
    place.create(sleeper(place, container={"resources": {"requests": {"cpu": "500"}}}))
    yield spec()


@case("Insufficient memory")
def memory_too_much(place: Place) -> Iterator[WorkloadSpec]:
    place.create(sleeper(place, container={"resources": {"requests": {"cpu": "1m", "memory": "9Ti"}}}))
    yield spec()


@case("didn't match Pod's node affinity/selector")
def node_selector(place: Place) -> Iterator[WorkloadSpec]:
    place.create(sleeper(place, pod={"nodeSelector": {"pool": "moon"}}))
    yield spec()


@case("had untolerated taint")
def taint(place: Place) -> Iterator[WorkloadSpec]:
    with fake_node(place, {"key": "explain.test/team", "value": "vision", "effect": "NoSchedule"}) as pool:
        tolerations: Json = [ALLOWED, {"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]
        place.create(
            sleeper(place, pod={"nodeSelector": {"explain.test/pool": pool}, "tolerations": tolerations})
        )
        yield spec()


@contextmanager
def fake_node(place: Place, *taints: Json) -> Iterator[str]:
    """A node without a kubelet; its name and `explain.test/pool` label. Pods that do not tolerate `FAKE` never go there.

    Kubernetes' own taint of a node that is not ready is not enough: it is gone for a moment while the node is new.
    """
    name = f"explain-{place.namespace}"
    own: list[Json] = [FAKE, *taints]
    place.create(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"explain.test/pool": name}},
            "spec": {"taints": own},
        }
    )
    try:
        offered: JsonObject = {"cpu": "1", "memory": "1Gi", "pods": "10"}
        status: JsonObject = {"capacity": offered, "allocatable": offered}
        place.kubectl("patch", "node", name, "--subresource=status", "-p", json.dumps({"status": status}))
        yield name
    finally:
        place.kubectl("delete", "node", name, "--wait=false")
