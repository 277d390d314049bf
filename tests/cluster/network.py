"""What the cluster changes in this machine's kernel, and how it is put back: bridges, firewall, sysctls, cgroups, mounts.

`remember()` notes how things were before; `restore()` makes them so again, however far the start had come.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path

from .paths import BEFORE, BRIDGE, NODE_IP, POD_BRIDGE, POD_CIDR, ROOT
from .shell import ClusterError, sh, until

# The kubelet and the bridge plugin set all but the last. New interfaces must not get an IPv6 address of their own: for
# each of them a browser on this machine would drop its connections ("network changed") whenever a pod starts.
_SYSCTLS = (
    "net.ipv4.ip_forward",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
    "net.ipv6.conf.default.disable_ipv6",
)
# Written by the programs outside ROOT whatever they are told; removed unless they were there before.
OUTSIDE = (
    *("/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/var/log/pods", "/run/containerd"),
    *("/run/netns", "/etc/cni", "/opt/containerd", "/opt/cni"),
)
_TABLE = "gwb_testbed"
# Pods talk to pods, Services and the node's address: never to the machine's own network, its other addresses, or the
# ports on which it listened everywhere before. Addresses in `cut` are unreachable for a test of a broken network.
_FIREWALL = f"""table inet {_TABLE} {{
  set foreign {{ type inet_service; }}
  set cut {{ type ipv4_addr; }}
  chain prerouting {{
    type filter hook prerouting priority raw;
    ip saddr @cut drop
    ip daddr @cut drop
  }}
  chain output {{
    type filter hook output priority raw;
    ip daddr @cut drop
  }}
  chain forward {{
    type filter hook forward priority filter - 5;
    ip saddr {POD_CIDR} oifname != {{ "{POD_BRIDGE}", "{BRIDGE}" }} reject with icmpx admin-prohibited
    ip daddr {POD_CIDR} iifname != {{ "{POD_BRIDGE}", "{BRIDGE}" }} drop
  }}
  chain input {{
    type filter hook input priority filter - 5;
    iifname "{POD_BRIDGE}" ct state established,related accept
    iifname {{ "{POD_BRIDGE}", "{BRIDGE}" }} tcp dport @foreign reject with icmpx admin-prohibited
    iifname "{POD_BRIDGE}" ip daddr != {{ {NODE_IP}, {POD_CIDR} }} reject with icmpx admin-prohibited
  }}
}}"""


def remember() -> None:
    """Write down what this machine looks like now. Raises `ClusterError` when something of a cluster is there already."""
    if clash := sorted(devices() & {BRIDGE, POD_BRIDGE}):
        raise ClusterError(f"network device {clash[0]} exists: another test cluster runs on this machine")
    if any(group.exists() for group in _cgroups()):
        raise ClusterError(
            "cgroup /kubepods exists: a kubelet runs on this machine, the test cluster would disturb it"
        )
    before = {
        "tables": _tables(),
        "netns": _netns(),
        "outside": [path for path in OUTSIDE if Path(path).exists()],
        "sysctls": {
            name: value for name in _SYSCTLS if (value := sh("sysctl", "-n", name, check=False).strip())
        },
    }
    BEFORE.write_text(json.dumps(before, indent=1))


def prepare() -> None:
    """Make the node's bridge and the firewall."""
    foreign = _wildcard_ports()
    if "net.ipv6.conf.default.disable_ipv6" in json.loads(BEFORE.read_text())["sysctls"]:
        sh("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
    sh("sysctl", "-qw", "net.ipv4.ip_forward=1")
    sh("ip", "link", "add", BRIDGE, "type", "bridge")
    sh("ip", "addr", "add", f"{NODE_IP}/24", "dev", BRIDGE)
    sh("ip", "link", "set", BRIDGE, "up")
    sh("nft", "-f", "-", data=_FIREWALL)
    if foreign:
        sh("nft", "add", "element", "inet", _TABLE, "foreign", f"{{ {', '.join(foreign)} }}")


def devices() -> set[str]:
    """The names of this machine's network devices."""
    return {name for _, name in socket.if_nameindex()}


def cut(address: str, *, off: bool) -> None:
    """Make a pod's address unreachable from everywhere, or reachable again."""
    sh("nft", "add" if off else "delete", "element", "inet", _TABLE, "cut", f"{{ {address} }}")


def pod_processes() -> list[int]:
    """The processes of all pods."""
    files = (file for group in _cgroups() for file in group.glob("**/cgroup.procs"))
    return sorted({int(pid) for file in files for pid in file.read_text().split()})


def restore() -> None:
    """Undo everything, once all processes are gone."""
    before = json.loads(BEFORE.read_text())
    new_netns = [f"/run/netns/{name}" for name in _netns() if name not in before["netns"]]
    for mount in reversed([line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]):
        if mount.startswith((f"{ROOT}/", "/run/containerd/")) or mount in new_netns:
            sh("umount", "-l", mount, check=False)
    for file in new_netns:  # a pod's interface goes with its network namespace
        Path(file).unlink(missing_ok=True)
    for bridge in (POD_BRIDGE, BRIDGE):
        sh("ip", "link", "del", bridge, check=False)
    for table in _tables():
        if table not in before["tables"]:
            sh("nft", "delete", "table", *table.split())
    for name, value in before["sysctls"].items():
        sh("sysctl", "-qw", f"{name}={value}", check=False)
    until("the end of the pods' cgroups", 10, _remove_cgroups, log="kubelet")
    for path in OUTSIDE:
        if path not in before["outside"]:
            shutil.rmtree(path, ignore_errors=True)
    BEFORE.unlink()


def _tables() -> list[str]:
    listed = json.loads(sh("nft", "-j", "list", "tables"))["nftables"]
    return [f"{entry['table']['family']} {entry['table']['name']}" for entry in listed if "table" in entry]


def _netns() -> list[str]:
    folder = Path("/run/netns")
    return [file.name for file in folder.iterdir()] if folder.is_dir() else []


def _cgroups() -> list[Path]:
    """The kubelet's group in every hierarchy (version 1) or in the one there is (version 2)."""
    top = Path("/sys/fs/cgroup")
    hierarchies = [top] if (top / "cgroup.controllers").exists() else [h for h in top.iterdir() if h.is_dir()]
    return [hierarchy / "kubepods" for hierarchy in hierarchies]


def _remove_cgroups() -> bool:
    """Remove them from the leaves up; OSError while a process that was killed is still in one."""
    for group in _cgroups():
        for folder, _, _ in os.walk(group, topdown=False):
            Path(folder).rmdir()
    return True


def _wildcard_ports() -> list[str]:
    """TCP ports with a listener on every address."""
    ports = set()
    for file in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in file.read_text().splitlines()[1:] if file.exists() else ():
            address, _, port = line.split()[1].rpartition(":")
            if line.split()[3] == "0A" and set(address) == {"0"}:
                ports.add(str(int(port, 16)))
    return sorted(ports)
