"""The Role to ask for, and the check of what one has."""

import json

import yaml

from gpu_workbench.backends.kubernetes.rights import RIGHTS, missing_rights, role_yaml
from tests.unit.backends.kubernetes.api_server import Fault


def test_the_role_grants_each_right_and_nothing_else():
    role, binding, cluster_role, cluster_binding = yaml.safe_load_all(role_yaml(namespace="team", user="ada"))
    granted = [(rule["apiGroups"][0], rule["resources"][0], tuple(rule["verbs"])) for rule in role["rules"]]
    assert granted == [(right.group, right.resource, right.verbs) for right in RIGHTS if not right.everywhere]
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == "team"
    assert {rule["verbs"][0] for rule in cluster_role["rules"]} == {"list"}
    assert binding["subjects"][0]["name"] == cluster_binding["subjects"][0]["name"] == "ada"
    assert not any("*" in rule["verbs"] + rule["resources"] for rule in role["rules"] + cluster_role["rules"])


def test_without_a_user_nobody_is_bound():
    kinds = [document["kind"] for document in yaml.safe_load_all(role_yaml(namespace="team"))]
    assert kinds == ["Role", "ClusterRole"]


async def test_each_right_is_asked_for_by_its_own_name(client, server):
    def answer(number, request):
        attributes = request.body["spec"]["resourceAttributes"]
        allowed = attributes["verb"] != "watch" and attributes["subresource"] != "log"
        return Fault(code=201, body=json.dumps({"status": {"allowed": allowed}}))

    server.fault = answer
    missing = await missing_rights(client, namespace="team")
    assert sorted((verb, right.resource) for verb, right in missing) == [
        ("get", "pods/log"),
        ("watch", "daskclusters"),
        ("watch", "deployments"),
        ("watch", "events"),
        ("watch", "jobs"),
        ("watch", "pods"),
    ]
    asked = [request.body["spec"]["resourceAttributes"] for request in server.requests]
    assert {item.get("namespace") for item in asked if item["resource"] == "nodes"} == {None}
    assert {item.get("namespace") for item in asked if item["resource"] == "jobs"} == {"team"}
