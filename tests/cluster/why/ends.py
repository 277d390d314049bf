"""Containers that end, and pods that are taken away."""

from __future__ import annotations

import json
from collections.abc import Iterator

from gpu_workbench.core.explain.nodes import is_ready
from gpu_workbench.core.objects import members, name_of
from gpu_workbench.core.spec import WorkloadSpec
from gpu_workbench.core.wire import Json, JsonObject

from .case import case, deaf, running, sleeper
from .nodes import ALLOWED, fake_node
from .place import Place, job_of, spec


@case('"exitCode": 3')
def crash(place: Place) -> Iterator[WorkloadSpec]:
    code = "import sys; print('reading the settings'); sys.stderr.write('no such option: --colour\\n'); sys.exit(3)"
    place.create(job_of(place, "python3", "-c", code))
    yield spec()


@case('"reason": "StartError"')
def image_without_python(place: Place) -> Iterator[WorkloadSpec]:
    image = place.cluster.images.no_python
    place.create(sleeper(place, image=image))
    yield spec(image=image)


@case('"exitCode": 127')
def image_without_python_in_a_shell(place: Place) -> Iterator[WorkloadSpec]:
    place.create(
        job_of(place, "python3", "-c", "import sys; print('sh: 1: python: not found'); sys.exit(127)")
    )
    yield spec()


@case('"exitCode": 65')
def image_without_ipykernel(place: Place) -> Iterator[WorkloadSpec]:
    """Until an agent is in the picture: a process that ends as it does."""
    failure = {
        "cause": "not-started",
        "what": "The image has no ipykernel, which a session needs",
        "exit_code": 65,
    }
    record = json.dumps({"version": 1, "outcome": "Failed", "exit_code": 65, "failure": failure})
    code = f"import sys; open('/dev/termination-log', 'w').write({record!r}); sys.exit(65)"
    image = place.cluster.images.no_ipykernel
    place.create(job_of(place, "python3", "-c", code, image=image))
    yield spec(image=image)


@case("exec format error")
def image_architecture(place: Place) -> Iterator[WorkloadSpec]:
    elf = "7f454c460201010000000000000000000200b7000100000078004000000000004000000000000000"
    code = f"import os; p = '/x/python3'; open(p, 'wb').write(bytes.fromhex({elf!r})); os.chmod(p, 0o755)"
    mounts: Json = [{"name": "x", "mountPath": "/x"}]
    job = job_of(place, "/x/python3", container={"volumeMounts": mounts})
    container = members(job, "spec", "template", "spec", "containers")[0]
    first: JsonObject = {**container, "name": "first", "command": ["python3", "-c", code]}
    template = job["spec"]["template"]["spec"]  # type: ignore[index,call-overload]
    template["volumes"] = [{"name": "x", "emptyDir": {}}]  # type: ignore[index,call-overload]
    template["initContainers"] = [first]  # type: ignore[index,call-overload]
    place.create(job)
    yield spec()


@case("OOMKilled")
def out_of_memory(place: Place) -> Iterator[WorkloadSpec]:
    place.create(job_of(place, "python3", "-c", "x = [bytes(10_000_000) + b'1' for _ in range(100)]"))
    yield spec(memory=64 * 2**20)


@case('"phase": "Failed"')
def evicted_scratch_full(place: Place) -> Iterator[WorkloadSpec]:
    code = "import time; open('/gwb/x', 'wb').write(bytes(5_000_000)); time.sleep(600)"
    volumes: Json = [{"name": "scratch", "emptyDir": {"sizeLimit": "1Mi"}}]
    mounts: Json = [{"name": "scratch", "mountPath": "/gwb"}]
    place.create(
        job_of(place, "python3", "-c", code, pod={"volumes": volumes}, container={"volumeMounts": mounts})
    )
    yield spec()


@case('"type": "DisruptionTarget"')
def evicted_by_drain(place: Place) -> Iterator[WorkloadSpec]:
    place.create(deaf(place, pod={"terminationGracePeriodSeconds": 30}))
    pod = running(place)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    path = f"/api/v1/namespaces/{place.namespace}/pods/{pod}/eviction"
    place.cluster.kubectl("create", "--raw", path, "-f", "-", data=json.dumps(eviction))
    yield spec()


@case("PreemptionByScheduler")
def preempted(place: Place) -> Iterator[WorkloadSpec]:
    """On a resource of this test's own, so that nobody else's pod can be chosen."""
    name = f"explain-{place.namespace}"
    slot = f"explain.test/{place.namespace}"
    node = next(name_of(node) for node in place.list("nodes") if is_ready(node))
    _offer(place, node, slot, "1")
    classes: list[JsonObject] = [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": f"{name}-{word}"},
            "value": value,
        }
        for word, value in (("low", -10), ("high", 10))
    ]
    try:
        place.create(*classes)
        asked: JsonObject = {"cpu": "10m", slot: "1"}
        resources: JsonObject = {"resources": {"requests": asked, "limits": asked}}
        low: JsonObject = {"priorityClassName": f"{name}-low", "terminationGracePeriodSeconds": 30}
        place.create(deaf(place, pod=low, container=resources))
        running(place)
        high: JsonObject = {"priorityClassName": f"{name}-high"}
        place.create(sleeper(place, name="gwb-ba9876543210", pod=high, container=resources))
        yield spec()
    finally:
        place.kubectl("delete", "priorityclass", f"{name}-low", f"{name}-high")
        _offer(place, node, slot, None)


def _offer(place: Place, node: str, resource: str, amount: str | None) -> None:
    status = {"status": {"capacity": {resource: amount}, "allocatable": {resource: amount}}}
    place.kubectl("patch", "node", node, "--subresource=status", "-p", json.dumps(status))


@case("DeletionByTaintManager")
def node_lost(place: Place) -> Iterator[WorkloadSpec]:
    """A node without a kubelet: the control plane finds it silent and gives its pods up, which nobody can confirm."""
    gone: Json = [
        ALLOWED,
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoSchedule"},
        {
            "key": "node.kubernetes.io/not-ready",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 2,
        },
        {
            "key": "node.kubernetes.io/unreachable",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 2,
        },
    ]
    with fake_node(place) as pool:
        selector: JsonObject = {"explain.test/pool": pool}
        place.create(sleeper(place, pod={"nodeSelector": selector, "tolerations": gone}))
        try:
            yield spec()
        finally:
            place.kubectl("delete", "pods", "--all", "--force", "--grace-period=0", "--wait=false")


@case("DeadlineExceeded")
def time_limit(place: Place) -> Iterator[WorkloadSpec]:
    place.create(sleeper(place, job={"activeDeadlineSeconds": 2}))
    yield spec(time_limit=2.0)
