"""Start the cluster, look at it, and take it down so that nothing is left. Callers hold `locks.exclusive()`."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import build, config, containerd, locks, network, packages, pki, processes
from .components import components
from .images import bundles
from .paths import ADMIN, BEFORE, BRIDGE, CONF, HERE, LOGS, NODE, PKI, READY, ROOT
from .shell import ClusterError, log_of, sh, tail, until

_LOADED = ROOT / "containerd" / "loaded.json"
_FIRST = ("etcd", "containerd")
"""Without them the others end."""
Say = Callable[[str], None]


def kubectl(*argv: object, check: bool = True, data: str | None = None) -> str:
    """Run kubectl as the cluster's administrator and return its output."""
    return sh(build.program("kubectl"), "--kubeconfig", ADMIN, *argv, check=check, data=data)


def up(say: Say = print) -> None:
    """Bring the cluster up, building what is not built; does nothing when it runs, and mends one of which a part died.

    Raises `ClusterError` when it cannot; everything that was started is then taken down again.
    """
    prepare(say)
    if is_up():
        mend(say)
        for bundle in bundles.ALWAYS:
            load_bundle(bundle)
        return
    if BEFORE.exists():
        down(say)
    try:
        _start(_stopwatch(say))
    except BaseException:
        down(lambda _: None)
        raise


def prepare(say: Say = print, *, images: Sequence[str] = bundles.ALWAYS) -> None:
    """Install and build what the cluster needs and does not have yet."""
    if reason := packages.cannot_run():
        raise ClusterError(reason)
    packages.install(say)
    build.build(say)
    for bundle in images:
        bundles.make(bundle, say)


def is_up() -> bool:
    """Whether a cluster was started here and something of it still runs (nothing does after a reboot or a hard end)."""
    return READY.exists() and BRIDGE in network.devices() and bool(processes.running())


def mend(say: Say = print) -> None:
    """Start the parts of a running cluster that are not running, and wait until all work."""
    for name in components():
        if name not in processes.running():
            say(f"starting {name} again")
            start(name, wait=name in _FIRST)
    for name in components():
        wait_for(name)


def start(name: str, *, wait: bool = True) -> None:
    """Start one component, and unless told otherwise wait until it works."""
    processes.start(name, components()[name].argv)
    if wait:
        wait_for(name)


def wait_for(name: str, seconds: float = 60) -> None:
    """Wait until a component works; its death while it is waited for is an error at once."""

    def works() -> bool:
        if name not in processes.running():
            raise ClusterError(
                f"{name} ended. The log is {log_of(name)}; its last lines:\n{tail(log_of(name))}"
            )
        return components()[name].healthy()

    until(name, seconds, works, log=name)


def stop(name: str) -> None:
    """Stop one component and wait until it is gone."""
    # The API server would wait for every open watch.
    processes.stop([name], grace=1.0 if name == "kube-apiserver" else 5.0)


def load(tar: Path) -> None:
    """Import the images of a tar."""
    containerd.load(tar)


def load_bundle(name: str) -> None:
    """Import a bundle that was made, unless this very one is in the image store already."""
    tar = bundles.tar(name)
    loaded = json.loads(_LOADED.read_text()) if _LOADED.exists() else {}
    if loaded.get(name) != tar.name:
        containerd.load(tar)
        _LOADED.write_text(json.dumps({**loaded, name: tar.name}))


def down(say: Say = print, *, purge: bool = False) -> None:
    """Stop everything and undo every change to this machine. Keeps certificates, logs and images unless `purge`."""
    READY.unlink(missing_ok=True)
    if BEFORE.exists():
        _stop_all()
        network.restore()
        say("the test cluster is down")
    for name in ("etcd", "kubelet", "ipam", "pod-logs", "volumes", "containerd/state"):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    if purge:
        shutil.rmtree(ROOT, ignore_errors=True)
    locks.keep(False)


def _start(done: Say) -> None:
    for folder in (PKI, LOGS, CONF, ROOT / "containerd", ROOT / "kubelet"):
        folder.mkdir(parents=True, exist_ok=True)
    for log in LOGS.glob("*.log"):
        log.unlink()
    network.remember()
    pki.write()
    config.write()
    network.prepare()
    done("certificates, configuration, network")
    for name in ("etcd", "containerd", "kube-apiserver"):
        start(name, wait=False)
    wait_for("etcd")
    wait_for("containerd")
    load_bundle("system")
    done("etcd, containerd")
    wait_for("kube-apiserver")
    done("API server")
    rest = ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "fakegpu")
    for name in rest:
        start(name, wait=False)
    kubectl("apply", "--server-side", "-f", HERE / "coredns.yaml")
    load_bundle("workers")
    done("images")
    for name in rest:
        wait_for(name)
    until("the node to be ready", 60, lambda: _node("Ready") == "True", log="kubelet")
    done("node")
    kubectl("--namespace", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=60s")
    until("the GPUs", 30, lambda: gpus() == config.GPUS, log="fakegpu")
    until(
        "the default service account",
        30,
        lambda: "default" in kubectl("get", "sa", "-o", "name"),
        log="kube-apiserver",
    )
    READY.touch()
    done("DNS and GPUs: the cluster is up")


def gpus() -> int:
    """How many GPUs the node offers to pods."""
    node = json.loads(kubectl("get", "node", NODE, "-o", "json"))
    return int(node["status"].get("allocatable", {}).get("nvidia.com/gpu", 0))


def _node(condition: str) -> str:
    path = f'jsonpath={{.status.conditions[?(@.type=="{condition}")].status}}'
    return kubectl("get", "node", NODE, "-o", path, check=False)


def _stop_all() -> None:
    for names in (
        ["fakegpu", "kubelet", "kube-proxy", "kube-scheduler", "kube-controller-manager"],
        ["kube-apiserver"],
    ):
        processes.stop(names, grace=1.0 if names == ["kube-apiserver"] else 5.0)
    processes.stop(["etcd"])
    if processes.shims() and "containerd" not in processes.running():
        start("containerd", wait=False)  # it was stopped or killed; only it can end its containers
    if "containerd" in processes.running():
        wait_for("containerd")
        containerd.end_containers()
        processes.stop(["containerd"])
    processes.end(processes.shims(), grace=0)
    processes.end(network.pod_processes(), grace=0)  # those that containerd no longer knows


def _stopwatch(say: Say) -> Say:
    started = time.monotonic()
    return lambda what: say(f"{time.monotonic() - started:6.1f} s  {what}")
