"""What the cluster needs from this machine, and how to get it from Debian."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from .paths import CNI_BIN
from .shell import ClusterError, sh

# A program (or file) that must be there -> the Debian package that brings it.
NEEDED = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    str(CNI_BIN / "bridge"): "containernetworking-plugins",
    "nft": "nftables",
    "ip": "iproute2",
    "sysctl": "procps",
    "openssl": "openssl",
    "gcc": "gcc",
    "/usr/include/stdlib.h": "libc6-dev",
}


def cannot_run() -> str | None:
    """Why the test cluster cannot be started on this machine, or None when it can."""
    if sys.platform != "linux":
        return "the test cluster needs Linux"
    if os.geteuid() != 0:
        return "the test cluster needs root (it makes a bridge, mounts and cgroups)"
    if not shutil.which("go"):
        return "the test cluster needs Go to build Kubernetes: put `go` on the PATH"
    if (lacking := missing()) and not shutil.which("apt-get"):
        return f"the test cluster needs {', '.join(lacking)} (here is no apt-get to install them with)"
    return None


def missing() -> list[str]:
    """The Debian packages that are needed and not there."""
    return sorted(
        {package for thing, package in NEEDED.items() if not shutil.which(thing) and not Path(thing).exists()}
    )


def install(say: Callable[[str], None] = print) -> None:
    """Install what is missing. Raises `ClusterError` when apt cannot."""
    if not (names := missing()):
        return
    say(f"installing {', '.join(names)}")
    argv = (
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "install",
        "-y",
        "--no-install-recommends",
        *names,
    )
    try:
        sh(*argv)
    except ClusterError:  # lists that are old or absent
        sh("apt-get", "update")
        sh(*argv)
    if still := missing():
        raise ClusterError(f"apt-get installed {', '.join(names)}, but {', '.join(still)} is still not there")
