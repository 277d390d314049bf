"""The dask-kubernetes operator on the test cluster makes a Dask cluster of a DaskCluster, and takes it away again."""

from __future__ import annotations

from typing import Any

import pytest

from .handle import Cluster
from .shell import ClusterError, until
from .test_cluster import pod_spec

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("dask_operator"),
    pytest.mark.timeout(180, func_only=True),
]

NAME = "small"
SCHEDULER = ["python3", "-m", "distributed.cli.dask_scheduler", "--host", "0.0.0.0"]
WORKER = ["python3", "-m", "distributed.cli.dask_worker", "--name", "$(DASK_WORKER_NAME)", "--nthreads", "1"]


def dask_pod(image: str, command: list[str]) -> dict[str, Any]:
    """A pod in which Dask may write its temporary files."""
    spec = pod_spec(image, command)
    del spec["restartPolicy"]  # a Deployment's pods know only one
    (container,) = spec["containers"]  # type: ignore[misc]
    container["env"] = [{"name": "HOME", "value": "/tmp"}]
    container["workingDir"] = "/tmp"
    container["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]
    spec["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    return spec


def dask_cluster(image: str, *, workers: int) -> dict[str, Any]:
    """The smallest DaskCluster that Pod Security `restricted` admits."""
    scheduler = dask_pod(image, SCHEDULER)
    numbers = {"tcp-comm": 8786, "http-dashboard": 8787}
    (container,) = scheduler["containers"]
    container["ports"] = [{"name": name, "containerPort": number} for name, number in numbers.items()]
    # Its schema wants a probe's port to be a string: the name.
    container["readinessProbe"] = {
        "httpGet": {"path": "/health", "port": "http-dashboard"},
        "periodSeconds": 1,
    }
    service = {
        "type": "ClusterIP",
        "selector": {"dask.org/cluster-name": NAME, "dask.org/component": "scheduler"},
        "ports": [
            {"name": name, "protocol": "TCP", "port": number, "targetPort": name}
            for name, number in numbers.items()
        ],
    }
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskCluster",
        "metadata": {"name": NAME},
        "spec": {
            "scheduler": {"spec": scheduler, "service": service},
            "worker": {"replicas": workers, "spec": dask_pod(image, WORKER)},
        },
    }


def create(cluster: Cluster, namespace: str, *, workers: int) -> None:
    form = dask_cluster(cluster.images.worker, workers=workers)
    cluster.api.call("POST", f"/apis/kubernetes.dask.org/v1/namespaces/{namespace}/daskclusters", form)


def phase(cluster: Cluster, namespace: str) -> str:
    path = f"/apis/kubernetes.dask.org/v1/namespaces/{namespace}/daskclusters/{NAME}"
    return str(cluster.api.call("GET", path).get("status", {}).get("phase", ""))


def pods(cluster: Cluster, namespace: str, phase: str = "") -> list[str]:
    """The parts of the Dask cluster that the namespace's pods are, all or those in a phase; terminating ones count."""
    items = cluster.api.call("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
    chosen = [item for item in items if phase in ("", item["status"]["phase"])]
    return sorted(item["metadata"]["labels"]["dask.org/component"] for item in chosen)


def workers_join(cluster: Cluster, namespace: str, number: int) -> None:
    """Wait until the scheduler has so many workers, as its own page says."""
    path = f"/api/v1/namespaces/{namespace}/services/{NAME}-scheduler:8787/proxy/json/counts.json"

    def have_joined() -> bool:
        try:
            return bool(cluster.api.call("GET", path)["workers"] == number)
        except ClusterError:  # the Service does not know its pod yet
            return False

    until(f"{number} workers", 60, have_joined, log="kubelet")


def test_dask_cluster_comes_scales_and_goes(cluster: Cluster, namespace: str) -> None:
    create(cluster, namespace, workers=1)
    until(
        "both pods", 60, lambda: pods(cluster, namespace, "Running") == ["scheduler", "worker"], log="kubelet"
    )
    # Two of its handlers race for the phase: when the wrong one wins, it stays Pending (dask-kubernetes issue 968).
    until("a phase", 30, lambda: phase(cluster, namespace) in ("Pending", "Running"), log="kubelet")
    workers_join(cluster, namespace, 1)
    for number in (2, 1):  # for fewer the operator asks the scheduler, by its name in the cluster's DNS
        cluster.kubectl("-n", namespace, "scale", f"daskworkergroup/{NAME}-default", f"--replicas={number}")
        workers_join(cluster, namespace, number)

    cluster.kubectl("-n", namespace, "delete", "daskcluster", NAME)
    until("the pods to go", 60, lambda: not pods(cluster, namespace), log="kubelet")


@pytest.mark.cluster_alone
def test_operator_that_comes_back_does_what_was_asked_meanwhile(cluster: Cluster, namespace: str) -> None:
    with cluster.without_dask_operator():
        create(cluster, namespace, workers=0)
        assert phase(cluster, namespace) == ""
    until("the scheduler", 60, lambda: pods(cluster, namespace, "Running") == ["scheduler"], log="kubelet")
