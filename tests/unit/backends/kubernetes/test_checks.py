"""What the doctor says of a cluster that is too old, or that does not answer."""

import json

import pytest

from gpu_workbench.backends.kubernetes.checks import OLDEST, examine
from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.core.spec import WorkloadSpec
from tests.unit.backends.kubernetes.api_server import Fault
from tests.unit.backends.kubernetes.conftest import access_to

SPEC = WorkloadSpec(id="0" * 12, image="image")


@pytest.mark.parametrize(
    ("major", "minor", "good"),
    [
        ("1", "32", None),
        ("1", "9+", None),
        ("0", "40", None),
        ("1", "33", True),
        ("1", "34+", True),
        ("1", "100", True),
        ("2", "0", True),
    ],
)
async def test_an_old_kubernetes_is_said_and_all_else_is_looked_at_all_the_same(
    client, server, major, minor, good
):
    def allowed(number, request):
        if "accessreviews" in request.path:
            return Fault(code=201, body=json.dumps({"status": {"allowed": True}}))
        return None

    server.fault = allowed
    server.objects["/version"] = {"major": major, "minor": minor, "gitVersion": f"v{major}.{minor}.1"}
    server.objects["/api/v1/namespaces/ns"] = {"metadata": {"name": "ns"}}
    version, namespace, rights, image, gpus = await examine(client, namespace="ns", spec=SPEC)
    shown = f"Kubernetes {major}.{minor.rstrip('+')}"
    if good:
        assert (version.ok, version.what, version.fix) == (True, f"{shown} answers", "")
    else:
        least = ".".join(map(str, OLDEST))
        assert (version.ok, version.what) == (None, shown)
        assert version.fix == f"{least} or newer is what we test with: expect rough edges"
    assert (namespace.ok, rights.ok, image.ok, gpus.ok) == (True, True, True, None)


async def test_what_is_no_api_server_is_one_line(client, server):
    server.objects["/version"] = {"hello": "there"}
    (only,) = await examine(client, namespace="ns", spec=SPEC)
    assert only.ok is False
    assert only.what.startswith("What answers is no API server: ")


async def test_where_nobody_answers_nothing_else_is_asked():
    client = ApiClient(access_to("http://127.0.0.1:1"), timeout=0.5, patience=0.2)
    (only,) = await examine(client, namespace="ns", spec=SPEC)
    assert only.ok is False
    await client.close()
