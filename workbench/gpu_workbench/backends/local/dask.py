"""Dask clusters on this machine: how one is told to be, where it listens, and how it changes its size."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

from gpu_workbench.backends.channel import Channel
from gpu_workbench.backends.credentials import make_credentials
from gpu_workbench.backends.dask import SchedulerAddress
from gpu_workbench.backends.local.folder import WorkloadFolder
from gpu_workbench.core.errors import FlagError, NotFound, Unreachable
from gpu_workbench.core.spec import DaskCluster, WorkloadSpec
from gpu_workbench.engines.names import CERTIFICATE_KEY, TLS_KEY_KEY

DEFAULT_GROUP = "default"
ADDRESS_FILE = "address.json"


def folder_of(folder: WorkloadFolder) -> Path:
    """Where the cluster's own process keeps what it has: its address, and what its workers spill."""
    return folder.path / "dask"


def check(spec: WorkloadSpec) -> None:
    """Whether this machine can hold it.

    Raises:
        FlagError: it has worker groups, for which one machine has no use.
    """
    if spec.dask is not None and spec.dask.groups:
        raise FlagError(
            "This machine has no worker groups",
            why="its workers are all alike: processes of the same user on the same devices",
            fix="Leave --group out, or run on a cluster: --backend kubernetes",
        )


def wrapped(folder: WorkloadFolder, spec: WorkloadSpec, *, agent: Path) -> tuple[str, ...]:
    """What follows the interpreter to start the cluster.

    Args:
        folder: Of the workload.
        spec: What was asked for.
        agent: The unpacked agent.
    """
    asked = spec.dask or DaskCluster()
    cluster = {
        "n_workers": asked.n_workers,
        "threads": asked.threads,
        "memory": spec.resources.memory or 0,
        "gpus": spec.resources.gpus.count,
        "folder": str(folder_of(folder) / "spill"),
    }
    program = agent / "gpu_workbench" / "agent" / "indask" / "local.py"
    return str(program), json.dumps(cluster)


def environment(folder: WorkloadFolder) -> dict[str, str]:
    """Dask's configuration of a cluster that nobody without its certificate may connect to."""
    certificate, key = (str(folder.path / name) for name in (CERTIFICATE_KEY, TLS_KEY_KEY))
    found = {"REQUIRE_ENCRYPTION": "True", "TLS__CA_FILE": certificate}
    for role in ("CLIENT", "SCHEDULER", "WORKER"):
        found |= {f"TLS__{role}__CERT": certificate, f"TLS__{role}__KEY": key}
    comm = {f"DASK_DISTRIBUTED__COMM__{name}": value for name, value in found.items()}
    return {**comm, "GPU_WORKBENCH_DASK_ADDRESS": str(folder_of(folder) / ADDRESS_FILE)}


async def prepare(folder: WorkloadFolder, workload_id: str) -> None:
    """Lay out the cluster's certificate, unless it is there."""
    if (folder.path / TLS_KEY_KEY).exists():
        return
    credentials = await make_credentials(workload_id)
    await asyncio.to_thread(folder_of(folder).mkdir, mode=0o700, exist_ok=True)
    for name in (CERTIFICATE_KEY, TLS_KEY_KEY):
        await asyncio.to_thread(folder.write_secret, name, credentials[name].decode())


def address(folder: WorkloadFolder) -> tuple[str, int]:
    """The scheduler's address in Dask's form, and the port of its dashboard.

    Raises:
        Unreachable: it does not listen.
    """
    try:
        form = json.loads((folder_of(folder) / ADDRESS_FILE).read_text())
    except (OSError, ValueError):
        raise Unreachable("The Dask scheduler cannot be reached", why="it does not listen yet") from None
    return str(form["scheduler"]), int(form["dashboard"])


def scheduler(folder: WorkloadFolder) -> SchedulerAddress:
    """See :meth:`gpu_workbench.backends.dask.RunsDask.scheduler`."""
    where, _ = address(folder)
    certificate, key = ((folder.path / name).read_text() for name in (CERTIFICATE_KEY, TLS_KEY_KEY))
    return SchedulerAddress(where, certificate=certificate, key=key)


async def connect_dashboard(folder: WorkloadFolder) -> socket.socket:
    """A connection to the dashboard's port.

    Raises:
        Unreachable: it does not listen.
    """
    _, port = address(folder)
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
    except OSError as error:
        made.close()
        raise Unreachable("The Dask scheduler cannot be reached", why=str(error)) from None
    return made


async def scale(channel: Channel, n_workers: int, *, group: str) -> None:
    """See :meth:`gpu_workbench.backends.dask.RunsDask.scale`."""
    if group != DEFAULT_GROUP:
        raise NotFound(f"There is no worker group {group!r}", why="a cluster on this machine has one group")
    await channel.dask({"scale": n_workers})
