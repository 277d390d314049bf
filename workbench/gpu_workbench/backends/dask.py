"""What a backend does for Dask clusters beside starting and stopping them."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from gpu_workbench.core.spec import Handle


@dataclass(frozen=True)
class SchedulerAddress:
    """Where a client finds a cluster's scheduler, and what it shows there: both ends know each other by one certificate.

    Args:
        address: In Dask's form, e.g. ``tls://127.0.0.1:8786``.
        certificate: PEM.
        key: Of the certificate, PEM.
    """

    address: str
    certificate: str
    key: str = field(repr=False)


@runtime_checkable
class RunsDask(Protocol):
    """A backend that can hold Dask clusters."""

    async def scheduler(self, handle: Handle) -> SchedulerAddress:
        """The way to a running cluster's scheduler, for as long as this backend is open.

        Called by: ``app.dask``.

        Raises:
            Unreachable: there is no scheduler to talk to (yet, or any more).
        """
        ...

    async def dashboard(self, handle: Handle) -> socket.socket:
        """A connection to the port on which the scheduler shows its dashboard.

        Called by: the server's way to the dashboard.

        Raises:
            Unreachable: as :meth:`scheduler`.
        """
        ...

    async def scale(self, handle: Handle, n_workers: int, *, group: str) -> None:
        """Have a worker group of that size. Returns when the order is given.

        Args:
            handle: Of the cluster.
            n_workers: How many workers.
            group: Of this group; ``default`` is the first.

        Raises:
            NotFound: there is no such group.
        """
        ...

    async def adapt(self, handle: Handle, *, minimum: int, maximum: int) -> None:
        """Have the default group follow the tasks there are, between two sizes, until :meth:`scale` is called.

        It goes on without any client.
        """
        ...

    async def wake(self, handle: Handle) -> bool:
        """Give a cluster that adapts a worker at once, where it has none: who makes it adapt looks now and then only.

        Returns:
            Whether it adapts still, and is to be woken again.
        """
        ...

    async def worker_logs(self, handle: Handle) -> dict[str, str]:
        """What each container or process of the cluster printed, from the place itself, by its name."""
        ...
