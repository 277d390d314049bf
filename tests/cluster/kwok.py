"""Nodes that only pretend, by KWOK: pods on them are Running, and nothing runs. SIMULATED.

Sources: KWOK's documentation of stages; its own stages are used, and they lie beside its sources.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import build, locks
from .paths import ADMIN, LOGS
from .shell import until

if TYPE_CHECKING:
    from .handle import Cluster

GPUS = 8
"""Of each node."""

KIND = "KWOK-GPU"
"""What its nodes' label says of their GPUs: pods that ask for that kind come here."""

_ANNOTATION = "kwok.x-k8s.io/node"
_STAGES = (
    "node/fast/node-initialize",
    "node/heartbeat-with-lease/node-heartbeat-with-lease",
    "pod/fast/pod-ready",
    "pod/fast/pod-delete",
)
_LEASE = 40
"""Seconds; longer than the controller's patience, and nodes turn Unknown."""


@contextmanager
def nodes(own: Cluster, count: int) -> Iterator[None]:
    """While it lasts there are so many more nodes, which pods that do not ask for their GPUs avoid."""
    with locks.exclusive():
        build.build_on_demand("kwok")
    stages = build.sources("kwok", "sigs.k8s.io/kwok") / "kustomize" / "stage"
    argv = [
        *(str(build.program("kwok")), "--kubeconfig", str(ADMIN)),
        f"--manage-nodes-with-annotation-selector={_ANNOTATION}=fake",
        f"--node-lease-duration-seconds={_LEASE}",
        f"--server-address=127.0.0.1:{_free_port()}",
        *(f"--config={stages}/{stage}.yaml" for stage in _STAGES),
    ]
    names = [f"kwok-{number:03d}" for number in range(count)]
    with (LOGS / "kwok.log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        try:
            _delete(own)  # those of a benchmark that was killed
            own.kubectl("create", "-f", "-", data=json.dumps(_list(names)))
            until("nodes that pretend", 60, lambda: _ready(own) >= set(names), log="kwok")
            yield
        finally:
            _delete(own)
            process.kill()


def _delete(own: Cluster) -> None:
    own.kubectl("delete", "node", "-l", "type=kwok", "--wait=false", check=False)


def _list(names: list[str]) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "List", "items": [_node(name) for name in names]}


def _node(name: str) -> dict[str, object]:
    offered = {"cpu": "64", "memory": "1Ti", "pods": "110", "nvidia.com/gpu": str(GPUS)}
    labels = {"type": "kwok", "kubernetes.io/hostname": name, "nvidia.com/gpu.product": KIND}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {_ANNOTATION: "fake"}},
        "spec": {"taints": [{"key": "type", "value": "kwok", "effect": "PreferNoSchedule"}]},
        "status": {"allocatable": offered, "capacity": offered},
    }


def _ready(own: Cluster) -> set[str]:
    return {
        node["metadata"]["name"]
        for node in own.api.call("GET", "/api/v1/nodes")["items"]
        if any(
            one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions", ())
        )
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
