"""The cluster as tests see it: the one they were pointed at, else the one they start, else a reason to skip.

`GPU_WORKBENCH_TEST_KUBECONFIG` points at another cluster; its worker image is `GPU_WORKBENCH_TEST_IMAGE`. What only our
own cluster can do (stop a component, change the GPUs, cut the network) raises `Unavailable` there.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import build, cluster, config, dask_operator, images, locks, network, packages, s3
from .api import Api
from .components import components
from .paths import ADMIN, VOLUMES
from .shell import ClusterError, sh, until

_VOLUME_LABEL = "test-cluster-namespace"


class Unavailable(Exception):
    """This machine or this cluster cannot do what a test needs; the message is the reason to skip it."""


@dataclass(frozen=True)
class Images:
    """Names of the images that pods can use; `images/__init__.py` says what is in each."""

    worker: str
    no_cloudpickle: str
    no_ipykernel: str
    no_python: str
    other_architecture: str
    root_only: str


class Cluster:
    """A Kubernetes to test on."""

    def __init__(self, kubeconfig: Path, *, kubectl: str | Path = "kubectl") -> None:
        self.kubeconfig = kubeconfig
        self._kubectl = kubectl
        self._api: Api | None = None
        self._making = threading.Lock()

    @property
    def images(self) -> Images:
        """The images of this cluster."""
        if not (worker := os.environ.get("GPU_WORKBENCH_TEST_IMAGE")):
            raise Unavailable("GPU_WORKBENCH_TEST_IMAGE must name a worker image that this cluster can pull")
        other = "arm64v8" if platform.machine() == "x86_64" else "amd64"
        return Images(
            worker=worker,
            no_cloudpickle="",  # nobody publishes one
            no_ipykernel="python:3.11-slim",
            no_python="debian:bookworm-slim",
            other_architecture=f"{other}/python:3.11-slim",
            root_only="",  # nobody publishes one
        )

    def kubectl(self, *argv: object, data: str | None = None, check: bool = True, timeout: float = 90) -> str:
        """Run kubectl and return its output; `data` is its standard input. Raises `ClusterError` when it fails."""
        return sh(*self.command(*argv), data=data, check=check, timeout=timeout)

    @property
    def api(self) -> Api:
        """The API server, for many small requests."""
        with self._making:  # several threads may ask first, and each program that is started has to be ended
            if self._api is None:
                self._api = Api(self.command())
            return self._api

    def close(self) -> None:
        """Let go of it; it goes on."""
        if self._api is not None:
            self._api.close()

    @contextmanager
    def namespace(self, prefix: str, *, labels: Mapping[str, str]) -> Iterator[str]:
        """The name of a new namespace, ready for pods; it and its pods are told to go afterwards."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        form = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}
        self.api.call("POST", "/api/v1/namespaces", form)
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        until(
            "a service account",
            30,
            lambda: self.api.call("GET", account, absent=True),
            log="kube-controller-manager",
            every=0.02,
        )
        try:
            yield name
        finally:
            self.api.call("DELETE", f"/api/v1/namespaces/{name}", absent=True)
            self.api.call("DELETE", f"/api/v1/namespaces/{name}/pods", {"gracePeriodSeconds": 1})

    def command(self, *argv: object) -> list[str]:
        """The words of a kubectl command for this cluster."""
        return [str(word) for word in (self._kubectl, "--kubeconfig", self.kubeconfig, *argv)]

    @contextmanager
    def stream(self, *argv: object) -> Iterator[subprocess.Popen[str]]:
        """A kubectl that goes on (port-forward, logs -f, get -w), its output to be read line by line; ended afterwards."""
        process = subprocess.Popen(
            self.command(*argv), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )
        try:
            with process:
                try:
                    yield process
                finally:
                    process.kill()
        finally:
            process.wait()

    def allocatable_gpus(self) -> int:
        """How many GPUs all nodes together offer to pods."""
        nodes = self.api.call("GET", "/api/v1/nodes")["items"]
        return sum(int(node["status"].get("allocatable", {}).get("nvidia.com/gpu", 0)) for node in nodes)

    def ready_node(self) -> str:
        """The name of a node that runs pods; tests make some that do not."""
        for node in self.api.call("GET", "/api/v1/nodes")["items"]:
            conditions = {item["type"]: item["status"] for item in node["status"].get("conditions", [])}
            if conditions.get("Ready") == "True":
                return str(node["metadata"]["name"])
        raise ClusterError("no node is ready")

    def kubeconfig_of(self, account: str, *, namespace: str, folder: Path) -> Path:
        """A kubeconfig in `folder` for a new service account that may do nothing until it is given a role."""
        self.kubectl("-n", namespace, "create", "serviceaccount", account)
        token = self.kubectl("-n", namespace, "create", "token", account, "--duration=1h").strip()
        config = json.loads(self.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        config["users"] = [{"name": account, "user": {"token": token}}]
        config["contexts"][0]["context"].update(user=account, namespace=namespace)
        path = folder / f"{account}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return path

    def volume(self, claim: str, *, namespace: str) -> Path:
        """Make a claim bound to a folder of this machine that any user of a pod may write; returns the folder."""
        raise Unavailable(f"only the tests' own cluster has volumes on this machine (asked for: {claim})")

    def s3(self, folder: Path) -> AbstractContextManager[Mapping[str, str]]:
        """An S3 server that pods reach, with its buckets in `folder`; the variables by which clients find it."""
        raise Unavailable("only the tests' own cluster has an S3 server on this machine")

    def dask_operator(self) -> None:
        """Have the dask-kubernetes operator work; another cluster than our own must have it already."""
        if not self.api.call("GET", f"/apis/{dask_operator.API}", absent=True):
            raise Unavailable(
                f"this cluster has no dask-kubernetes operator (no resources of {dask_operator.API})"
            )

    def without_dask_operator(self) -> AbstractContextManager[None]:
        """While it lasts, the operator is stopped; for a test marked `cluster_alone`."""
        raise Unavailable(
            "only the tests' own cluster can be broken (asked for: stop dask-kubernetes' operator)"
        )

    def forget_volumes(self, namespace: str) -> None:
        """Remove the volumes that were made for a namespace, and what is in them."""

    def share(self) -> None:
        """Before a test: wait until no other session has broken the cluster."""

    def mend(self) -> None:
        """After a test: make whole what it broke."""

    def release(self) -> None:
        """After a test and all it leaves behind: let others break the cluster again."""

    def stop(self, component: str) -> None:
        """Stop one program of the cluster, for example "kubelet", once no other test session is in the midst of a test."""
        raise Unavailable(f"only the tests' own cluster can be broken (asked for: stop {component})")

    def start(self, component: str) -> None:
        """Start it again, and wait until it works."""
        raise Unavailable(f"only the tests' own cluster can be broken (asked for: start {component})")

    def restart(self, component: str) -> None:
        """Stop it and start it again."""
        self.stop(component)
        self.start(component)

    def set_gpus(self, count: int, *, unhealthy: Sequence[int] = ()) -> None:
        """Let the node have other GPUs and wait until it offers them; those in `unhealthy` are broken."""
        raise Unavailable(f"only the tests' own cluster has pretend GPUs (asked for: {count})")

    def tainted(self, key: str) -> AbstractContextManager[None]:
        """While it lasts, the nodes take no new pod that does not tolerate this taint."""
        raise Unavailable(f"only the tests' own cluster may be closed to others (asked for: {key})")

    def cut_off(self, address: str) -> AbstractContextManager[None]:
        """While it lasts, nothing reaches this pod's address and nothing leaves it.

        A port-forward still works: it enters the pod's network from inside.
        """
        raise Unavailable(f"only the tests' own cluster can be cut ({address})")


class OwnCluster(Cluster):
    """The cluster that the tests start themselves."""

    def __init__(self) -> None:
        super().__init__(ADMIN, kubectl=build.program("kubectl"))
        self._sharing = locks.Sharing()
        self._broken: set[str] = set()
        self._gpus_changed = False
        self._has_volumes: set[str] = set()

    @property
    def images(self) -> Images:
        return Images(
            worker=images.WORKER,
            no_cloudpickle=images.NO_CLOUDPICKLE,
            no_ipykernel=images.NO_IPYKERNEL,
            no_python=images.NO_PYTHON,
            other_architecture=images.OTHER_ARCHITECTURE,
            root_only=images.ROOT_ONLY,
        )

    def volume(self, claim: str, *, namespace: str) -> Path:
        folder = VOLUMES / f"{namespace}-{claim}"
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        self._has_volumes.add(namespace)
        size, modes = {"storage": "1Gi"}, ["ReadWriteMany"]
        made = {"name": folder.name, "labels": {_VOLUME_LABEL: namespace}}
        volume = {
            "capacity": size,
            "accessModes": modes,
            "storageClassName": "",
            "hostPath": {"path": str(folder)},
            "claimRef": {"namespace": namespace, "name": claim},
        }
        wanted = {
            "accessModes": modes,
            "storageClassName": "",
            "volumeName": folder.name,
            "resources": {"requests": size},
        }
        items = [
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": made, "spec": volume},
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": claim, "namespace": namespace},
                "spec": wanted,
            },
        ]
        self.kubectl(
            "create", "-f", "-", data=json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        )
        self.kubectl(
            "-n", namespace, "wait", "--for=jsonpath={.status.phase}=Bound", f"pvc/{claim}", "--timeout=30s"
        )
        return folder

    def s3(self, folder: Path) -> AbstractContextManager[Mapping[str, str]]:
        return s3.server(folder)

    def dask_operator(self) -> None:
        with self._sharing.shared():
            dask_operator.ensure(self)

    @contextmanager
    def without_dask_operator(self) -> Iterator[None]:
        self._sharing.alone()
        with dask_operator.stopped(self):
            yield

    def forget_volumes(self, namespace: str) -> None:
        if namespace not in self._has_volumes:
            return
        self.kubectl("delete", "persistentvolumes", "-l", f"{_VOLUME_LABEL}={namespace}", "--wait=false")
        for folder in VOLUMES.glob(f"{namespace}-*"):
            shutil.rmtree(folder)

    def share(self) -> None:
        self._sharing.share()

    def mend(self) -> None:
        if self._broken:
            with locks.exclusive():
                cluster.mend()
                if "kube-apiserver" in self._broken:
                    self._wake_others()
            self._broken.clear()
        if self._gpus_changed:
            self.set_gpus(config.GPUS)
            self._gpus_changed = False

    def _wake_others(self) -> None:
        """After 20 s without an API server a kubelet looked again after 67 s, Dask's operator after 72; new ones at once."""
        others = ("kube-controller-manager", "kube-scheduler", "kubelet")
        for component in others:
            cluster.stop(component)
        for component in others:
            cluster.start(component)
        until("the GPUs", 60, lambda: self.allocatable_gpus() == config.GPUS, log="fakegpu")
        dask_operator.wake(self)

    def release(self) -> None:
        self._sharing.release()

    def stop(self, component: str) -> None:
        self._known(component)
        self._sharing.alone()
        self._broken.add(component)
        cluster.stop(component)

    def start(self, component: str) -> None:
        self._known(component)
        cluster.start(component)

    def set_gpus(self, count: int, *, unhealthy: Sequence[int] = ()) -> None:
        self._sharing.alone()
        self._gpus_changed = True
        config.gpus(count, unhealthy=unhealthy)
        healthy = count - len(unhealthy)
        until(f"{healthy} GPUs", 30, lambda: self.allocatable_gpus() == healthy, log="fakegpu")

    @contextmanager
    def tainted(self, key: str) -> Iterator[None]:
        self._sharing.alone()
        node = self.ready_node()
        self.kubectl("taint", "node", node, f"{key}=:NoSchedule")
        try:
            yield
        finally:
            self.kubectl("taint", "node", node, f"{key}-")

    @contextmanager
    def cut_off(self, address: str) -> Iterator[None]:
        network.cut(address, off=True)
        try:
            yield
        finally:
            network.cut(address, off=False)

    def _known(self, component: str) -> None:
        if component not in components():
            raise ValueError(f"no component {component!r}; there are {', '.join(components())}")


@contextmanager
def session() -> Iterator[Cluster]:
    """The cluster for one test session: chosen, started if need be, and afterwards left as it was found.

    One that ran already stays; one started here goes when its last user leaves. Raises `Unavailable` with the reason
    when there is none and none can be started, `ClusterError` when starting one fails.
    """
    if chosen := os.environ.get("GPU_WORKBENCH_TEST_KUBECONFIG"):
        if not Path(chosen).is_file():
            raise ClusterError(f"GPU_WORKBENCH_TEST_KUBECONFIG names {chosen}, which is not there")
        with closing(Cluster(Path(chosen))) as cluster_:
            yield cluster_
        return
    if reason := packages.cannot_run():
        raise Unavailable(f"{reason}; or set GPU_WORKBENCH_TEST_KUBECONFIG")
    with locks.exclusive():
        cluster.up()
        locks.use()
    try:
        with closing(OwnCluster()) as own:
            yield own
    finally:
        with locks.exclusive():
            locks.leave()
            if not locks.kept() and not locks.users():
                cluster.down()
