"""A real notebook with a session on a real cluster, and the processes behind it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.kernels import Notebook, Ran, notebook

from .handle import Cluster
from .network import pod_processes

SMALL = "--gpus 0 --cpus 0.2"
SOON = 10.0
"""Seconds after which an end that the cluster knows of has to be told."""


@dataclass
class Session:
    """A notebook with a session in a namespace of its own."""

    cluster: Cluster
    namespace: str
    nb: Notebook

    def kubectl(self, *argv: object, check: bool = True) -> str:
        return self.cluster.kubectl("-n", self.namespace, *argv, check=check)

    def pod(self) -> dict[str, dict[str, object]]:
        """The session's pod."""
        [pod] = json.loads(self.kubectl("get", "pods", "-o", "json"))["items"]
        assert isinstance(pod, dict)
        return pod

    def why(self, run: str) -> str:
        """What `%gpu why` shows."""
        return self.nb.check(f"%gpu why {run}").shown

    def left(self) -> list[str]:
        """What there is of workloads in the namespace, beside the roots that say how they ended."""
        kinds = "pods,jobs,deployments,services,secrets,configmaps"
        found = self.kubectl("get", kinds, "-l", "gpu-workbench.dev/id", "-o", "name").split()
        return [name for name in found if not name.startswith("configmap/")]

    def run_through(self, fault: Callable[[], None], *, steps: int = 300) -> Ran:
        """Run a cell that counts, let ``fault`` happen in its midst, and hold its output to what it wrote."""
        cell = f"""%%gpu {SMALL}
import os, time
process, steps = os.getpid(), 0
for steps in range(1, {steps} + 1):
    print('line', steps, flush=True)
    time.sleep(0.1)
steps
"""
        ran = during(self.nb, cell, "line 20\n", fault)
        assert ran.status == "ok", ran.shown
        assert ran.stream() == "".join(f"line {number}\n" for number in range(1, steps + 1))
        assert ran.result == str(steps)
        assert self.nb.check("%%gpu\nprocess == os.getpid(), steps").result == f"(True, {steps})"
        return ran


def during(nb: Notebook, cell: str, text: str, act: Callable[[], None], *, limit: float = 150) -> Ran:
    """Run a cell to its end; ``act`` once, as soon as it has shown ``text``."""
    acted = []

    def seen(ran: Ran) -> None:
        if text in ran.shown and not acted:
            acted.append(True)
            act()

    ran = nb.end(nb.begin(cell), limit=limit, seen=seen)
    assert acted, f"the cell ended without {text!r}:\n{ran.shown}"
    return ran


@contextlib.contextmanager
def open_notebook(cluster: Cluster, namespace: str, folder: Path, kubeconfig: Path) -> Iterator[Session]:
    env = {
        "GPU_WORKBENCH_BACKEND": "kubernetes",
        "GPU_WORKBENCH_NAMESPACE": namespace,
        "KUBECONFIG": str(kubeconfig),
        "JUPYTER_IMAGE_SPEC": cluster.images.worker,
    }
    with notebook(folder, env=env, stop=False) as nb:
        yield Session(cluster, namespace, nb)


def processes_in(pod: dict[str, dict[str, object]]) -> dict[int, str]:
    """The processes of a pod as this machine sees them, with their command lines."""
    uid, found = str(pod["metadata"]["uid"]), {}
    for pid in pod_processes():
        with contextlib.suppress(OSError):
            if uid in Path(f"/proc/{pid}/cgroup").read_text():
                found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return found


def first_process(pod: dict[str, dict[str, object]]) -> int:
    """The agent: number 1 in its container."""
    for pid, command in processes_in(pod).items():
        status = Path(f"/proc/{pid}/status").read_text()
        inside = next(line.split()[-1] for line in status.splitlines() if line.startswith("NSpid"))
        if inside == "1" and "agent.pyz" in command:
            return pid
    raise AssertionError(f"no agent among {processes_in(pod)}")


def give_node_up(cluster: Cluster, namespace: str, pod: dict[str, dict[str, object]]) -> None:
    """The node of a pod is gone: nothing on it answers, and the control plane gives the pod up.

    SIMULATED: its processes are stopped, and what the pod garbage collector does is done by the same requests. Its own
    patience would be a minute, and the one node is everybody's.

    Source: kubernetes/pkg/controller/podgc/gc_controller.go, ``markFailedAndDeletePodWithCondition``.
    """
    for pid in processes_in(pod):
        os.kill(pid, signal.SIGSTOP)
    path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
    status = cluster.api.call("GET", path)["status"]
    gone = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByPodGC",
        "message": "PodGC: node no longer exists",
    }
    failed = {"phase": "Failed", "conditions": [*status["conditions"], gone]}
    cluster.api.call("PATCH", f"{path}/status", {"status": failed})
    cluster.api.call("DELETE", path, {"gracePeriodSeconds": 0})
