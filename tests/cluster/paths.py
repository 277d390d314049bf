"""Where the test cluster keeps its things, its addresses and its names.

One folder holds all of it, `~/.cache/gpu-workbench/testbed` (or `GPU_WORKBENCH_TESTBED`):

    bin/        Kubernetes, etcd, CoreDNS and the fake device plugin, one folder per module and content hash
    images/     image layers and tars, one folder per image and content hash
    cluster/    the running cluster: certificates, configuration, data, logs
    *.lock      file locks; see `locks`
"""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]


def _cache() -> Path:
    if chosen := os.environ.get("GPU_WORKBENCH_TESTBED"):
        return Path(chosen).resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpu-workbench" / "testbed"


CACHE = _cache()
BIN = CACHE / "bin"
IMAGES = CACHE / "images"

ROOT = CACHE / "cluster"
PKI = ROOT / "pki"
CONF = ROOT / "conf"
LOGS = ROOT / "logs"
ADMIN = ROOT / "admin.kubeconfig"
SOCKET = ROOT / "containerd" / "containerd.sock"
BEFORE = ROOT / "before.json"  # what this machine looked like before; its presence means "not taken down"
READY = ROOT / "ready"
VOLUMES = ROOT / "volumes"

NODE = "node-1"
BRIDGE = "gwb-node"  # the node's "LAN": nothing of the cluster listens on the machine's own network
POD_BRIDGE = "gwb-pods"
NODE_IP = "172.30.0.1"
POD_CIDR = "10.244.0.0/24"
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_IP = "10.96.0.10"
API = f"https://{NODE_IP}:6443"
CNI_BIN = Path("/usr/lib/cni")
