"""Ask our containerd: images in, containers out."""

from __future__ import annotations

from pathlib import Path

from .paths import SOCKET
from .processes import end
from .shell import sh, until


def ctr(*argv: object, check: bool = True) -> str:
    """Run containerd's own client in the kubelet's namespace."""
    return sh("ctr", "--address", SOCKET, "--namespace", "k8s.io", *argv, check=check)


def answers() -> bool:
    """Whether the daemon serves."""
    return "Server:" in ctr("version", check=False)


def images() -> list[str]:
    """The names of the images that pods can use."""
    return sorted(name for name in ctr("images", "ls", "-q").split() if not name.startswith("sha256:"))


def load(tar: Path) -> None:
    """Import the images of an OCI tar."""
    ctr("images", "import", tar)


def end_containers() -> None:
    """Kill every container and forget it, so that no mount and no shim is left."""
    tasks = [line.split() for line in ctr("tasks", "ls").splitlines()[1:]]
    end([int(pid) for _, pid, state in tasks if state in ("RUNNING", "PAUSED")], grace=0)
    until("the end of all containers", 20, lambda: "RUNNING" not in ctr("tasks", "ls"), log="containerd")
    for kind in ("tasks", "containers"):
        if ids := ctr(kind, "ls", "-q").split():
            ctr(kind, "rm", *ids, check=False)
