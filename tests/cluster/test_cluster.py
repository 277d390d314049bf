"""The test cluster is a Kubernetes on which everything that the workbench relies on works."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest

from .handle import Cluster, Unavailable
from .shell import ClusterError, until

pytestmark = pytest.mark.cluster

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def pod_spec(image: str, command: Sequence[str], *, gpus: int = 0, user: int = 4711) -> dict[str, object]:
    """A pod that the Pod Security level `restricted` admits, run as a user that the image has never heard of."""
    container = {
        "name": "main",
        "image": image,
        "command": list(command),
        "securityContext": RESTRICTED,
        "resources": {"limits": {"nvidia.com/gpu": gpus}} if gpus else {},
    }
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }


def create(
    cluster: Cluster, namespace: str, name: str, spec: dict[str, object], *, check: bool = True
) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"pod": name}},
        "spec": spec,
    }
    cluster.kubectl("-n", namespace, "create", "-f", "-", data=json.dumps(pod), check=check)


def wait(cluster: Cluster, namespace: str, name: str, phase: str) -> None:
    condition = f"jsonpath={{.status.phase}}={phase}"
    cluster.kubectl("-n", namespace, "wait", f"--for={condition}", name, "--timeout=60s")


def output(cluster: Cluster, namespace: str, command: Sequence[str], *, image: str, gpus: int = 0) -> str:
    """What a pod printed that ran `command` to its good end."""
    create(cluster, namespace, "once", pod_spec(image, command, gpus=gpus))
    wait(cluster, namespace, "pod/once", "Succeeded")
    return cluster.kubectl("-n", namespace, "logs", "once")


def listens(address: str, port: int) -> bool:
    """Whether somebody answers there; raises OSError when not."""
    with socket.create_connection((address, port), 1):
        return True


def test_worker_image_has_a_notebooks_packages_for_any_user(cluster: Cluster, namespace: str) -> None:
    code = "import ipykernel, ipywidgets, numpy, pandas, tqdm, os; print(os.getuid(), numpy.arange(4).sum())"
    said = output(cluster, namespace, ["python3", "-c", code], image=cluster.images.worker)
    assert said.split() == ["4711", "6"]


def test_worker_image_has_dask_and_another_lacks_cloudpickle(cluster: Cluster, namespace: str) -> None:
    """Dask needs cloudpickle; that the agent brings its own shows where there is none."""
    if not (without := cluster.images.no_cloudpickle):
        raise Unavailable("only the tests' own cluster has an image without cloudpickle")
    code = (
        "from importlib.util import find_spec\n"
        "print(*(name for name in ('bokeh', 'cloudpickle', 'distributed', 'pyarrow') if find_spec(name)))\n"
    )
    said = output(cluster, namespace, ["python3", "-c", code], image=cluster.images.worker)
    assert said.split() == ["bokeh", "cloudpickle", "distributed", "pyarrow"]
    cluster.kubectl("-n", namespace, "delete", "pod", "once")
    said = output(cluster, namespace, ["python3", "-c", code], image=without)
    assert said.split() == ["bokeh", "distributed", "pyarrow"]


def test_image_without_ipykernel_and_image_without_python(cluster: Cluster, namespace: str) -> None:
    script = "python3 -c 'import ipykernel' 2>&1 | tail -1"
    assert "No module named 'ipykernel'" in output(
        cluster, namespace, ["/bin/sh", "-c", script], image=cluster.images.no_ipykernel
    )
    cluster.kubectl("-n", namespace, "delete", "pod", "once")
    assert "python3: not found" in output(
        cluster, namespace, ["/bin/sh", "-c", "python3 2>&1; true"], image=cluster.images.no_python
    )


def test_image_for_another_processor_does_not_start(cluster: Cluster, namespace: str) -> None:
    create(cluster, namespace, "foreign", pod_spec(cluster.images.other_architecture, ["python3", "-V"]))
    wait(cluster, namespace, "pod/foreign", "Failed")
    status = cluster.kubectl("-n", namespace, "get", "pod", "foreign", "-o", "jsonpath={.status}")
    assert "exec format error" in status + cluster.kubectl("-n", namespace, "logs", "foreign")


def test_claim_is_bound_and_what_a_pod_writes_is_seen_here(cluster: Cluster, namespace: str) -> None:
    folder = cluster.volume("store", namespace=namespace)
    spec = pod_spec(cluster.images.no_python, ["/bin/sh", "-c", "echo kept > /store/file"])
    spec["volumes"] = [{"name": "store", "persistentVolumeClaim": {"claimName": "store"}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "store", "mountPath": "/store"}]  # type: ignore[index]
    create(cluster, namespace, "writer", spec)
    wait(cluster, namespace, "pod/writer", "Succeeded")
    assert (folder / "file").read_text() == "kept\n"


def test_service_account_may_do_what_its_role_says_and_no_more(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    account = Cluster(cluster.kubeconfig_of("ada", namespace=namespace, folder=tmp_path))
    with pytest.raises(ClusterError, match=r'cannot list resource "pods"'):
        account.kubectl("get", "pods")
    cluster.kubectl("-n", namespace, "create", "role", "reader", "--verb=list", "--resource=pods")
    cluster.kubectl(
        "-n", namespace, "create", "rolebinding", "ada", "--role=reader", f"--serviceaccount={namespace}:ada"
    )
    until(
        "the role to count",
        10,
        lambda: account.kubectl("auth", "can-i", "list", "pods"),
        log="kube-apiserver",
    )
    account.kubectl("get", "pods")


def test_names_resolve_and_others_do_not_exist(cluster: Cluster, namespace: str) -> None:
    code = (
        "import socket\n"
        "print(bool(socket.gethostbyname('kubernetes.default.svc.cluster.local')))\n"
        "try: socket.gethostbyname('example.org')\n"
        "except socket.gaierror as error: print(error.errno == socket.EAI_NONAME)\n"
    )
    said = output(cluster, namespace, ["python3", "-c", code], image=cluster.images.worker)
    assert said.split() == ["True", "True"]


def test_node_offers_four_gpus_and_a_pod_sees_those_it_asked_for(cluster: Cluster, namespace: str) -> None:
    assert cluster.allocatable_gpus() == 4
    code = (
        "import ctypes, os\n"
        "nvml = ctypes.CDLL('libnvidia-ml.so.1'); count = ctypes.c_uint(); device = ctypes.c_void_p()\n"
        "name = ctypes.create_string_buffer(96)\n"
        "assert nvml.nvmlInit_v2() == 0\n"
        "nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))\n"
        "nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device))\n"
        "nvml.nvmlDeviceGetName(device, name, 96)\n"
        "print(count.value, len(os.environ['NVIDIA_VISIBLE_DEVICES'].split(',')), name.value.decode())\n"
    )
    said = output(cluster, namespace, ["python3", "-c", code], image=cluster.images.worker, gpus=2)
    assert said.split(maxsplit=2) == ["2", "2", "SIMULATED H200\n"]


def test_pod_that_wants_too_many_gpus_waits_and_says_why(cluster: Cluster, namespace: str) -> None:
    create(cluster, namespace, "big", pod_spec(cluster.images.worker, ["true"], gpus=5))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=PodScheduled=false", "pod/big", "--timeout=30s")
    said = cluster.kubectl(
        "-n", namespace, "get", "pod", "big", "-o", "jsonpath={.status.conditions[0].message}"
    )
    assert "1 Insufficient nvidia.com/gpu" in said


@pytest.mark.cluster_alone
def test_gpus_break_and_come_back(cluster: Cluster, namespace: str) -> None:
    cluster.set_gpus(8, unhealthy=[3])
    assert cluster.allocatable_gpus() == 7
    cluster.set_gpus(4)
    assert cluster.allocatable_gpus() == 4


def test_restricted_pod_security_refuses_a_privileged_pod(cluster: Cluster, namespace: str) -> None:
    spec = pod_spec(cluster.images.worker, ["true"])
    spec["containers"][0]["securityContext"] = {"privileged": True}  # type: ignore[index]
    with pytest.raises(ClusterError, match=r'violates PodSecurity "restricted.*privileged'):
        create(cluster, namespace, "privileged", spec)


def test_logs_follow_a_running_pod(cluster: Cluster, namespace: str) -> None:
    script = "echo first; until [ -e /tmp/go ]; do sleep 0.1; done; echo last"
    spec = pod_spec(cluster.images.worker, ["/bin/sh", "-c", script])
    spec["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]  # type: ignore[index]
    create(cluster, namespace, "slow", spec)
    wait(cluster, namespace, "pod/slow", "Running")
    with cluster.stream("-n", namespace, "logs", "-f", "slow") as logs:
        assert logs.stdout
        assert logs.stdout.readline() == "first\n"  # while it runs
        cluster.kubectl("-n", namespace, "exec", "slow", "--", "touch", "/tmp/go")
        assert logs.stdout.read() == "last\n"


def test_port_forward_carries_http_and_cut_off_stops_the_pods_network(
    cluster: Cluster, namespace: str
) -> None:
    spec = pod_spec(
        cluster.images.worker, ["python3", "-m", "http.server", "8000", "--directory", "/usr/share"]
    )
    create(cluster, namespace, "web", spec)
    wait(cluster, namespace, "pod/web", "Running")
    address = cluster.kubectl("-n", namespace, "get", "pod", "web", "-o", "jsonpath={.status.podIP}")
    until("the pod to listen", 20, lambda: listens(address, 8000), log="kubelet")

    with cluster.stream(
        "-n", namespace, "port-forward", "pod/web", ":8000", "--address=127.0.0.1"
    ) as forward:
        assert forward.stdout
        said = forward.stdout.readline()
        port = re.search(r"127\.0\.0\.1:(\d+)", said)
        assert port, said
        with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/", timeout=10) as reply:
            assert b"ca-certificates" in reply.read()

    with cluster.cut_off(address), pytest.raises(TimeoutError):
        socket.create_connection((address, 8000), 1)
    socket.create_connection((address, 8000), 5).close()


def test_indexed_job_finds_its_other_pods_by_name(cluster: Cluster, namespace: str) -> None:
    """Two pods of a Job, which do not need to be ready for their names to resolve, talk to each other."""
    code = (
        "import os, socket\n"
        "if os.environ['JOB_COMPLETION_INDEX'] == '0':\n"
        "    server = socket.create_server(('', 9000)); peer, _ = server.accept(); print(peer.recv(10).decode())\n"
        "else:\n"
        "    while True:\n"
        "        try: peer = socket.create_connection(('pair-0.peers', 9000), 1); break\n"
        "        except OSError: pass\n"
        "    peer.send(b'from 1')\n"
    )
    spec = pod_spec(cluster.images.worker, ["python3", "-c", code])
    spec["subdomain"] = "peers"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "peers"},
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {"job-name": "pair"}},
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "pair"},
        "spec": {
            "completions": 2,
            "parallelism": 2,
            "completionMode": "Indexed",
            "backoffLimit": 0,
            "template": {"spec": spec},
        },
    }
    objects = {"apiVersion": "v1", "kind": "List", "items": [service, job]}
    cluster.kubectl("-n", namespace, "create", "-f", "-", data=json.dumps(objects))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Complete", "job/pair", "--timeout=60s")
    first = "batch.kubernetes.io/job-completion-index=0"
    assert cluster.kubectl("-n", namespace, "logs", "-l", first) == "from 1\n"


def test_pods_reach_nothing_outside_the_cluster(cluster: Cluster, namespace: str) -> None:
    with socket.create_server(
        ("0.0.0.0", 0)
    ) as server:  # a port of this machine, opened after the cluster came up
        addresses = subprocess.run(
            ["hostname", "-I"], capture_output=True, text=True, check=True
        ).stdout.split()
        own = [a for a in addresses if ":" not in a and not a.startswith(("172.30.", "10.244."))]
        targets = [(address, server.getsockname()[1]) for address in own] + [("192.0.2.1", 80)]
        code = (
            "import socket\n"
            f"for target in {targets}:\n"
            "    try: socket.create_connection(target, 3); print('reached', target)\n"
            "    except OSError as error: print('refused')\n"
        )
        said = output(cluster, namespace, ["python3", "-c", code], image=cluster.images.worker)
    assert said.split() == ["refused"] * len(targets)


@pytest.mark.cluster_alone
def test_stopped_api_server_comes_back_with_everything(cluster: Cluster, namespace: str) -> None:
    create(cluster, namespace, "sleeper", pod_spec(cluster.images.worker, ["sleep", "300"]))
    wait(cluster, namespace, "pod/sleeper", "Running")
    uid = cluster.kubectl("-n", namespace, "get", "pod", "sleeper", "-o", "jsonpath={.metadata.uid}")
    cluster.stop("kube-apiserver")
    with pytest.raises(ClusterError, match="refused"):
        cluster.kubectl("get", "nodes")
    cluster.start("kube-apiserver")
    assert cluster.kubectl("-n", namespace, "get", "pod", "sleeper", "-o", "jsonpath={.metadata.uid}") == uid


def test_command_line_says_how_to_use_it(cluster: Cluster) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "tests.cluster", "info"], capture_output=True, text=True, check=True
    ).stdout
    assert f"export KUBECONFIG={cluster.kubeconfig}" in said
    assert "%gpu use kubernetes" in said
    assert "SIMULATED" in said
