"""What is asked of the API server to count GPUs, and what comes of it where something is refused."""

from __future__ import annotations

import json
import re

import pytest

from gpu_workbench.backends.kubernetes.capacity import count
from gpu_workbench.backends.kubernetes.lists import Lists
from gpu_workbench.core.capacity import GpuKind, Quota, Unseen, Waiting
from gpu_workbench.core.errors import Unreachable
from tests.unit.backends.kubernetes.api_server import Fault, status

ME = "0123456789abcdef"
NODE = {
    "metadata": {"name": "a"},
    "status": {
        "allocatable": {"nvidia.com/gpu": "8"},
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}
QUOTA = {
    "metadata": {"name": "q"},
    "status": {"hard": {"requests.nvidia.com/gpu": "4"}, "used": {"requests.nvidia.com/gpu": "2"}},
}
QUEUED = {
    "metadata": {"labels": {"kueue.x-k8s.io/job-uid": "mine"}},
    "spec": {"queueName": "team"},
    "position": 0,
}
STRANGER = {**QUEUED, "metadata": {"labels": {"kueue.x-k8s.io/job-uid": "strange"}}}


def pod(gpus, *, owner="", node="a"):
    return {
        "metadata": {"labels": {"gpu-workbench.dev/owner": owner}},
        "spec": {"nodeName": node, "containers": [{"resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}]},
        "status": {"phase": "Running" if node else "Pending"},
    }


OWN = [pod(2, owner=ME), pod(1, owner=ME, node="")]
LISTS = {
    "/api/v1/nodes": [NODE],
    "/api/v1/pods": [*OWN, pod(3)],
    "/api/v1/namespaces/team/pods": OWN,
    "/api/v1/namespaces/team/resourcequotas": [QUOTA],
    "/apis/kueue.x-k8s.io/v1beta1/namespaces/team/workloads": [STRANGER, QUEUED],
    "/apis/batch/v1/namespaces/team/jobs": [{"metadata": {"uid": "mine"}}],
}


@pytest.fixture
def cluster(server):
    """A cluster whose lists are those above; paths that match ``forbidden`` or ``absent`` are refused or not there."""

    class Cluster:
        forbidden = absent = "nothing"

    def answer(number, request):
        if re.fullmatch(Cluster.forbidden, request.path):
            words = f'User "ada" cannot list resource "{request.path.rpartition("/")[2]}"'
            return Fault(code=403, body=json.dumps(status(403, "Forbidden", words)))
        if re.fullmatch(Cluster.absent, request.path):
            return Fault(code=404, body=json.dumps(status(404, "NotFound", "no such API")))
        return Fault(code=200, body=json.dumps({"items": LISTS[request.path], "metadata": {}}))

    server.fault = answer
    return Cluster


async def test_everything_is_counted(client, server, cluster):
    found = await count(Lists(client), namespace="team", owner=ME)
    assert found.kinds == (GpuKind("nvidia.com/gpu", "nvidia.com/gpu", total=8, mine=2, others=3, free=3),)
    assert found.waiting == (Waiting("GPUs", mine=1, others=0),)
    assert found.quotas == (Quota("q", "nvidia.com/gpu", 4, 2),)
    assert found.places == ("next in queue team",)
    assert found.unseen == ()
    pods = next(request for request in server.requests if request.path == "/api/v1/pods")
    assert pods.query["fieldSelector"] == "status.phase!=Succeeded,status.phase!=Failed"
    assert "/api/v1/namespaces/team/pods" not in [request.path for request in server.requests]


@pytest.mark.parametrize(
    ("forbidden", "unseen", "kind"),
    [
        ("/api/v1/nodes", [Unseen("list", "nodes")], (None, 2, 3, None)),
        ("/api/v1/pods", [Unseen("list", "pods")], (8, 2, None, None)),
        (
            "/api/v1/(namespaces/team/)?pods",
            [Unseen("list", "pods"), Unseen("list", "pods", "team")],
            (8, None, None, None),
        ),
        (".*/resourcequotas", [Unseen("list", "resourcequotas", "team")], (8, 2, 3, 3)),
        (".*/workloads", [], (8, 2, 3, 3)),
        (".*/jobs", [], (8, 2, 3, 3)),
    ],
)
async def test_what_may_not_be_seen_is_named_and_the_rest_is_counted(
    client, cluster, forbidden, unseen, kind
):
    cluster.forbidden = forbidden
    found = await count(Lists(client), namespace="team", owner=ME)
    assert list(found.unseen) == unseen
    (gpus,) = found.kinds
    assert (gpus.total, gpus.mine, gpus.others, gpus.free) == kind
    assert bool(found.quotas) == ("quotas" not in forbidden)
    assert bool(found.places) == (forbidden not in (".*/workloads", ".*/jobs"))


async def test_without_kueue_nothing_is_said_of_it(client, server, cluster):
    cluster.absent = ".*/workloads"
    found = await count(Lists(client), namespace="team", owner=ME)
    assert (found.places, found.unseen) == ((), ())
    assert not any(request.path.endswith("/jobs") for request in server.requests)


async def test_a_cluster_that_fails_is_an_error(client, server):
    server.fault = lambda number, request: Fault(code=500)
    with pytest.raises(Unreachable):
        await count(Lists(client), namespace="team", owner=ME)
