"""The dask-kubernetes operator on our own cluster, with the resources and rights of the one that is installed here.

It is the real one, with what is known to be wrong with it: now and then a DaskCluster whose pods all run says for ever
that its phase is Pending (dask-kubernetes issue 968; on a busy machine one in three). Wait for its pods instead.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from . import cluster, locks
from .images import DASK_OPERATOR, bundles
from .paths import HERE
from .shell import ClusterError, until

if TYPE_CHECKING:
    from .handle import Cluster

API = "kubernetes.dask.org/v1"
"""Group and version of its custom resources."""

NAME = "dask-operator"
"""What its namespace, its Deployment and all else of it is called."""

_DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAME}/deployments/{NAME}"
_SECONDS = 120


def ensure(own: Cluster) -> None:
    """Install the operator unless this very one works already, and wait until it does."""
    with locks.exclusive():
        bundle = bundles.make("operator")
        if _works(own, bundle.name):
            return
        cluster.load_bundle("operator")
        chart = _chart()
        _apply(own, "-f", chart / "crds")
        kinds = {f"{file.stem}s" for file in (chart / "crds").iterdir()}
        until("Dask's custom resources", 30, lambda: kinds <= _served(own), log="kube-apiserver")
        text = Template((HERE / "dask_operator.yaml").read_text())
        objects = text.substitute(image=DASK_OPERATOR, images=bundle.name)
        _apply(own, "-f", "-", data=f"{_role(chart)}---\n{objects}")
        _wait(own)


@contextmanager
def stopped(own: Cluster) -> Iterator[None]:
    """While it lasts, no operator runs. It works again afterwards."""
    _scale(own, 0)
    own.kubectl("-n", NAME, "wait", "--for=delete", "pod", "-l", f"app={NAME}", "--timeout=30s")
    try:
        yield
    finally:
        _scale(own, 1)
        _wait(own)


def wake(own: Cluster) -> None:
    """Start it anew if it is there: without an API server it waits longer and longer before it tries again."""
    if own.api.call("GET", _DEPLOYMENT, absent=True):
        with stopped(own):
            pass


def _chart() -> Path:
    """The folder of the operator's Helm chart in the installed package, which is found without being imported."""
    if not (found := importlib.util.find_spec("dask_kubernetes")) or not found.origin:
        raise ClusterError("dask-kubernetes is not installed here: `make setup`")
    return Path(found.origin).parent / "operator/deployment/helm/dask-kubernetes-operator"


def _role(chart: Path) -> str:
    """The chart's own rules; the rest of its template is for Helm."""
    rules = (
        (chart / "templates" / "clusterrole.yaml").read_text().partition("\nrules:")[2].rpartition("{{")[0]
    )
    head = f"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {NAME}}}\nrules:"
    return head + rules


def _apply(own: Cluster, *argv: object, data: str | None = None) -> None:
    own.kubectl("apply", "--server-side", "--force-conflicts", *argv, data=data)


def _served(own: Cluster) -> set[str]:
    """The plural names of Dask's resources that the API server knows."""
    return {
        str(kind["name"]) for kind in own.api.call("GET", f"/apis/{API}", absent=True).get("resources", ())
    }


def _scale(own: Cluster, replicas: int) -> None:
    own.kubectl("-n", NAME, "scale", f"deployment/{NAME}", f"--replicas={replicas}")


def _wait(own: Cluster) -> None:
    """Wait until the operator is there and says that it is alive."""
    deployment = f"deployment/{NAME}"
    limit = f"--timeout={_SECONDS}s"
    try:
        own.kubectl("-n", NAME, "rollout", "status", deployment, limit, timeout=_SECONDS + 10)
    except ClusterError as error:
        said = own.kubectl("-n", NAME, "logs", deployment, "--tail=15", check=False)
        raise ClusterError(f"{error}\nThe last lines of the operator's log:\n{said}") from error


def _works(own: Cluster, images: str) -> bool:
    found = own.api.call("GET", _DEPLOYMENT, absent=True)
    if not found:
        return False
    annotations = found["spec"]["template"]["metadata"].get("annotations", {})
    current = found["status"].get("observedGeneration") == found["metadata"]["generation"]
    return bool(annotations.get("images") == images and current and found["status"].get("availableReplicas"))
