"""What the namespace allows, and what the cluster refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

from gpu_workbench.core.objects import at
from gpu_workbench.core.spec import WorkloadSpec
from gpu_workbench.core.wire import Json, JsonObject

from .case import case, sleeper
from .place import GPU, Place, spec


@case("exceeded quota")
def quota_exceeded(place: Place) -> Iterator[WorkloadSpec]:
    place.create(_quota({f"requests.{GPU}": "1"}))
    _counted(place)
    place.create(sleeper(place, gpus=1, name="gwb-ba9876543210"))
    place.until_said("Created pod", job="gwb-ba9876543210")
    place.create(sleeper(place, gpus=1))
    yield spec(gpus=1)


@case("exceeded quota")
def quota_too_small(place: Place) -> Iterator[WorkloadSpec]:
    place.create(_quota({f"requests.{GPU}": "1"}))
    _counted(place)
    place.create(sleeper(place, gpus=2))
    yield spec(gpus=2)


@case("must specify")
def quota_unspecified(place: Place) -> Iterator[WorkloadSpec]:
    place.create(_quota({"limits.cpu": "1", "limits.memory": "1Gi"}))
    _counted(place)
    place.create(sleeper(place, container={"resources": {}}))
    yield spec()


def _quota(hard: JsonObject) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team"}, "spec": {"hard": hard}}


def _counted(place: Place) -> None:
    place.kubectl("wait", "resourcequota/team", "--for=jsonpath={.status.hard}", "--timeout=30s")


@case("maximum cpu usage per Container")
def limit_range(place: Place) -> Iterator[WorkloadSpec]:
    limits: Json = [{"type": "Container", "max": {"cpu": "1"}}]
    place.create(
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": limits}},
    )
    asked: JsonObject = {"cpu": "2"}
    place.create(sleeper(place, container={"resources": {"requests": asked, "limits": asked}}))
    yield spec()


@case("violates PodSecurity")
def pod_security(place: Place) -> Iterator[WorkloadSpec]:
    loose: JsonObject = {"allowPrivilegeEscalation": True, "runAsNonRoot": False}
    pod: JsonObject = {"securityContext": {}, "volumes": [{"name": "host", "hostPath": {"path": "/"}}]}
    place.create(sleeper(place, container={"securityContext": loose}, pod=pod))
    yield spec()


@case("ValidatingAdmissionPolicy")
def admission_policy(place: Place) -> Iterator[WorkloadSpec]:
    name = f"explain-{place.namespace}"
    ours: JsonObject = {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}}
    pods: JsonObject = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    rule: JsonObject = {
        "expression": "has(object.metadata.labels.team)",
        "message": "Every pod must carry the label team",
    }
    api: JsonObject = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    policy: JsonObject = {
        "matchConstraints": {"namespaceSelector": ours, "resourceRules": [pods]},
        "validations": [rule],
    }
    place.create(
        {**api, "kind": "ValidatingAdmissionPolicy", "spec": policy},
        {
            **api,
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": ours},
            },
        },
    )
    try:
        _until_denied(place, str(rule["message"]))
        place.create(sleeper(place))
        yield spec()
    finally:
        place.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name)


def _until_denied(place: Place, message: str) -> None:
    """A new policy takes a moment until the API server goes by it; nothing says when.

    What is asked for is a pod that nothing else refuses: Pod Security would say no before the policy is asked.
    """
    template = at(sleeper(place), "spec", "template")
    assert isinstance(template, dict)
    labels = at(template, "metadata", "labels")
    metadata: JsonObject = {"name": "probe", "labels": labels}
    probe = json.dumps({"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata})
    command = place.cluster.command("-n", place.namespace, "create", "--dry-run=server", "-f", "-")
    said = ""
    for _ in range(100):
        ended = subprocess.run(command, input=probe, capture_output=True, text=True, check=False, timeout=60)
        said = ended.stdout + ended.stderr
        if message in said:
            return
    raise AssertionError(f"the policy never came into force: {said}")


@case("serviceaccount")
def service_account_missing(place: Place) -> Iterator[WorkloadSpec]:
    place.create(sleeper(place, pod={"serviceAccountName": "trainer"}))
    yield spec()


@case("no PriorityClass with name")
def priority_class_missing(place: Place) -> Iterator[WorkloadSpec]:
    place.create(sleeper(place, pod={"priorityClassName": "urgent"}))
    yield spec()
