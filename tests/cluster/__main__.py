"""The test cluster: a real Kubernetes with one node and pretend GPUs, on this machine, as root.

python -m tests.cluster up              start it (the first time builds it: about 9 minutes on two cores) and keep it
python -m tests.cluster down            stop it and leave nothing behind
    --force                             even while tests use it
    --purge                             also forget its certificates, logs and image store
python -m tests.cluster status          its processes, node and pods
python -m tests.cluster info            how to use it
python -m tests.cluster build           build what it needs and start nothing
python -m tests.cluster load TAR...     import container images for pods to use
python -m tests.cluster dask            have the dask-kubernetes operator run in it
python -m tests.cluster gpus N          let the node have N GPUs
python -m tests.cluster start|stop|restart NAME    one component, for example kubelet
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

from . import build, cluster, config, containerd, locks, processes
from .components import components
from .handle import OwnCluster
from .images import NO_CLOUDPICKLE, NO_IPYKERNEL, NO_PYTHON, OTHER_ARCHITECTURE, ROOT_ONLY, WORKER, bundles
from .paths import ADMIN, CACHE, LOGS, ROOT
from .shell import ClusterError

_IMAGES = (WORKER, NO_CLOUDPICKLE, NO_IPYKERNEL, NO_PYTHON, ROOT_ONLY, OTHER_ARCHITECTURE)
_NOT_UP = "the test cluster is not up: `python -m tests.cluster up` starts it"


def main(argv: list[str]) -> None:
    match argv:
        case ["up"]:
            with locks.exclusive():
                cluster.up()
                locks.keep(True)
            info()
        case ["down", *flags] if set(flags) <= {"--force", "--purge"}:
            down(force="--force" in flags, purge="--purge" in flags)
        case ["status"]:
            status()
        case ["info"]:
            info()
        case ["build"]:
            with locks.exclusive():
                cluster.prepare(images=bundles.ALL)
            print(f"built, in {CACHE}")
        case ["load", *tars] if tars:
            for tar in tars:
                cluster.load(Path(tar))
        case ["dask"]:
            dask()
        case ["gpus", number] if number.isdecimal():
            config.gpus(int(number))
        case ["start" | "stop" | "restart" as verb, name] if name in components():
            steer(verb, name)
        case _:
            sys.exit(__doc__)


def down(*, force: bool, purge: bool) -> None:
    with locks.exclusive():
        if (users := [pid for pid in locks.users() if pid != os.getpid()]) and not force:
            raise ClusterError(
                f"in use by process {', '.join(map(str, users))}; --force takes it down all the same"
            )
        cluster.down(purge=purge)


def dask() -> None:
    if not cluster.is_up():
        raise ClusterError(_NOT_UP)
    with closing(OwnCluster()) as own:
        own.dask_operator()
    print("the dask-kubernetes operator works: kubectl get daskclusters -A")


def steer(verb: str, name: str) -> None:
    if verb != "start":
        cluster.stop(name)
    if verb != "stop":
        cluster.start(name)


def status() -> None:
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    for name, pid in [*processes.running().items(), *(("shim", pid) for pid in processes.shims())]:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        seconds, memory = (int(stat[11]) + int(stat[12])) / ticks, int(stat[21]) * page >> 20
        print(f"{name:26} pid {pid:7}  cpu {seconds:8.1f} s  rss {memory:5} MiB")
    print(
        cluster.kubectl("get", "nodes,pods", "-A", "-o", "wide")
        if cluster.is_up()
        else "the test cluster is not up"
    )


def info() -> None:
    if not cluster.is_up():
        raise ClusterError(_NOT_UP)
    print(f"""
The test cluster is up: Kubernetes {build.KUBERNETES_VERSION}, one node,
{cluster.gpus()} SIMULATED GPUs (nvidia.com/gpu).

    export KUBECONFIG={ADMIN}
    export PATH="{build.folder("kubernetes")}:$PATH"
    kubectl get nodes

From a notebook started with that KUBECONFIG:

    %load_ext gpu_workbench
    %gpu use kubernetes

Images (nothing can be pulled): {", ".join(_IMAGES)}
All images: {", ".join(containerd.images())}
Logs: {LOGS}    State: {ROOT}
Take it down: python -m tests.cluster down""")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ClusterError, build.BuildError) as error:
        sys.exit(f"test cluster: {error}")
