"""Where measurements happen: folders, kernels with and without the workbench, and a namespace of the test cluster."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

from tests.cluster.handle import Cluster
from tests.kernels import Notebook, Ran, notebook

LIMIT = 300.0
"""Seconds a measured cell may take before the measurement is given up."""


@dataclass(frozen=True)
class OnCluster:
    """A namespace of the test cluster."""

    cluster: Cluster
    namespace: str

    @property
    def image(self) -> str:
        """Of every pod that is measured."""
        return self.cluster.images.worker

    @property
    def env(self) -> dict[str, str]:
        """What a notebook's kernel needs to find it."""
        return {"KUBECONFIG": str(self.cluster.kubeconfig)}

    def kubectl(self, *argv: object, **options: Any) -> str:
        """Run kubectl in the namespace."""
        return self.cluster.kubectl("-n", self.namespace, *argv, **options)


@dataclass(frozen=True)
class Place:
    """What a measurement is given.

    Args:
        folder: Its own, empty.
        cluster: ``None`` where there is none to measure on.
        quick: As few repetitions as show that it works.
    """

    folder: Path
    cluster: OnCluster | None = None
    quick: bool = False

    def times(self, count: int) -> int:
        """How often to repeat what is worth ``count`` repetitions."""
        return min(count, max(2, count // 10)) if self.quick else count

    def lines(self, count: int) -> int:
        """How many lines to print where ``count`` are meant."""
        return count // 10 if self.quick else count

    @contextlib.contextmanager
    def notebook(
        self,
        name: str,
        *,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
        stop: bool = True,
    ) -> Iterator[Notebook]:
        """A kernel with the workbench loaded; its sessions ``stop`` with it. What it keeps lies outside of its folder."""
        state = self.folder / f"{name}.state"
        state.mkdir(exist_ok=True)
        kept = {"GPU_WORKBENCH_STATE_DIR": str(state), "IPYTHONDIR": str(state / "ipython")}
        with notebook(folder or self.folder / name, env={**kept, **(env or {})}, stop=stop) as made:
            yield made

    @contextlib.contextmanager
    def local(self, name: str = "local", **options: Any) -> Iterator[Notebook]:
        """A notebook with a warm session on this machine."""
        with self.notebook(name, **options) as made:
            made.check("%%gpu\n1", limit=LIMIT)
            yield made

    @contextlib.contextmanager
    def kubernetes(
        self, name: str = "kubernetes", *, direct: bool = False, **options: Any
    ) -> Iterator[Notebook]:
        """A notebook with a warm session on the cluster, reached by port-forward unless ``direct``."""
        assert self.cluster is not None
        with self.notebook(name, env=self.cluster.env, **options) as made:
            self.use_cluster(made, direct=direct)
            made.check(f"%%gpu {self.flags}\n1", limit=LIMIT)
            yield made

    def use_cluster(self, made: Notebook, *, direct: bool = False) -> None:
        """Let a notebook's cells run on the cluster from now on."""
        assert self.cluster is not None
        made.check(f"%gpu use kubernetes --namespace {self.cluster.namespace}", limit=LIMIT)
        if direct:  # as in a notebook server that runs inside the cluster
            made.check(
                "from gpu_workbench.backends.kubernetes.backend import KubernetesBackend, Reach\n"
                "KubernetesBackend.__init__.__kwdefaults__['reach'] = Reach.DIRECT"
            )

    @property
    def flags(self) -> str:
        """Of a session on the cluster: little is asked for, nothing is limited."""
        assert self.cluster is not None
        return f"--image {self.cluster.image} --cpus 0.05"


@contextlib.contextmanager
def plain_kernel(folder: Path) -> Iterator[Notebook]:
    """An ipykernel without anything of ours."""
    folder.mkdir(parents=True, exist_ok=True)
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder), stderr=subprocess.DEVNULL)
    made = Notebook(manager)
    try:
        yield made
    finally:
        made.kill()


@dataclass(frozen=True)
class Timing:
    """Seconds from the moment a cell was sent: to the first output of the kind that was asked for, and to its end."""

    first: float
    whole: float
    ran: Ran


def timed(kernel: Notebook, source: str, *, until: str = "stream") -> Timing:
    """Run a cell that has to end well.

    Args:
        until: ``stream`` for its first printed text, ``value`` for its shown value.
    """
    kinds = {"stream": ("stream",), "value": ("execute_result", "display_data")}[until]
    first: list[float] = []
    began = time.perf_counter()

    def seen(ran: Ran) -> None:
        if not first and any(kind in kinds for kind in ran.outputs[-1]):
            first.append(time.perf_counter() - began)

    ran = kernel.end(kernel.begin(source), limit=LIMIT, seen=seen)
    whole = time.perf_counter() - began
    if ran.status != "ok":
        raise RuntimeError(f"{source.splitlines()[0]} failed:\n{ran.shown}")
    return Timing(first[0] if first else whole, whole, ran)


def evaluated(kernel: Notebook, expression: str) -> Any:
    """The value of an expression there; it has to have a JSON form."""
    ran = kernel.check(f"import json; print('>' + json.dumps({expression}))")
    return json.loads(ran.stream().rpartition(">")[2])


@contextlib.contextmanager
def namespace(cluster: Cluster) -> Iterator[OnCluster]:
    """A namespace of our own, where Pod Security ``restricted`` is enforced; gone afterwards."""
    cluster.share()
    try:
        with cluster.namespace("bench", labels={"pod-security.kubernetes.io/enforce": "restricted"}) as name:
            yield OnCluster(cluster, name)
        cluster.mend()
    finally:
        cluster.release()
