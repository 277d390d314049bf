"""The configuration files of containerd, its network plugin, the kubelet and kube-proxy."""

from __future__ import annotations

import json
from collections.abc import Sequence

from .images import PAUSE
from .paths import CNI_BIN, CONF, DNS_IP, NODE, NODE_IP, PKI, POD_BRIDGE, POD_CIDR, ROOT, SOCKET

GPUS = 4
GPU_LABELS = {"nvidia.com/gpu.product": "SIMULATED-H200", "nvidia.com/gpu.memory": "144384"}
"""What GPU feature discovery would say of them."""

_CONTAINERD = f"""version = 2
root = "{ROOT}/containerd/root"
state = "{ROOT}/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{ROOT}/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  stream_server_address = "127.0.0.1"
  # Without CAP_SYS_RESOURCE a lower score is refused and runc ends with "can't get final child's PID from pipe".
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_BIN}"
    conf_dir = "{CONF}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


def write() -> None:
    """Write every configuration file."""
    (CONF / "cni").mkdir(parents=True, exist_ok=True)
    (CONF / "containerd.toml").write_text(_CONTAINERD)
    (CONF / "resolv.conf").write_text(f"nameserver {DNS_IP}\n")  # never this machine's own resolver
    for name, content in (
        ("cni/10-pods.conflist", _network()),
        ("kubelet.json", _kubelet()),
        ("kube-proxy.json", _kube_proxy()),
    ):
        (CONF / name).write_text(json.dumps(content, indent=1))
    gpus(GPUS)


def gpus(count: int, *, unhealthy: Sequence[int] = ()) -> None:
    """Tell the fake device plugin how many GPUs the node has and which of them are broken; it reads this every second."""
    lines = [
        f"GPU-00000000-0000-0000-0000-{n:012} {'unhealthy' if n in unhealthy else ''}" for n in range(count)
    ]
    new = CONF / "gpus.new"
    new.write_text("".join(f"{line.strip()}\n" for line in lines))
    new.rename(CONF / "gpus")


def _network() -> dict[str, object]:
    # No masquerading: pods reach pods, Services and the node, nothing else; so no iptables rule is ever made.
    ipam = {
        "type": "host-local",
        "dataDir": f"{ROOT}/ipam",
        "ranges": [[{"subnet": POD_CIDR}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": POD_BRIDGE, "isGateway": True, "hairpinMode": True, "ipam": ipam}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]}


def _kubelet() -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "failSwapOn": False,
        "failCgroupV1": False,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{PKI}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{PKI}/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{PKI}/kubelet-server.key",
        "clusterDNS": [DNS_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{CONF}/resolv.conf",
        "podLogsDir": f"{ROOT}/pod-logs",
        "volumePluginDir": f"{ROOT}/kubelet/volume-plugins",
        "maxPods": 250,
        # A lost node is noticed after 25 s (--node-monitor-grace-period) instead of 50.
        "nodeLeaseDurationSeconds": 20,
        "nodeStatusUpdateFrequency": "2s",  # GPUs that break or come are seen soon
        # Images cannot be pulled again here: never collect them, and evict only when really full.
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "240h",
        "imageMaximumGCAge": "0s",
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "2Gi", "imagefs.available": "2Gi"},
    }


def _kube_proxy() -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": NODE,
        "clusterCIDR": POD_CIDR,
        "oomScoreAdj": 0,
        "clientConnection": {"kubeconfig": f"{CONF}/kube-proxy.kubeconfig"},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        # Zero leaves this machine's connection tracking as it is.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
