"""What a place for workloads must be able to do. One contract suite in ``tests/contract`` holds every backend to it.

A backend is two things: *control* (start, list, watch, stop) and a *channel* (bytes to and from the agent's HTTP). They are
apart because on a shared hub another process does both for the notebook.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from gpu_workbench.backends.channel import Channel
from gpu_workbench.backends.kept import Kept
from gpu_workbench.core.capacity import Capacity
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.spec import Handle, WorkloadSpec


@dataclass(frozen=True)
class Sealed:
    """What a detached run needs, complete, before its pod exists: files by relative path, to be laid into one folder.

    ``job.json`` among them tells the agent what to run; see :mod:`gpu_workbench.agent.job`.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    run_key: str = field(default="", repr=False)
    """Hexadecimal key that the files were signed with, and the results will be."""

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(len(content) for content in self.files.values())


@dataclass(frozen=True)
class Listed:
    """Which workloads there are.

    Args:
        handles: All of them, newest first; ``None`` while they cannot be seen.
        error: Why nothing newer is seen; empty while the view is good.
    """

    handles: tuple[Handle, ...] | None
    error: str = ""


class Control(Protocol):
    """Start, find, watch and end workloads."""

    name: str
    """``local``, ``kubernetes`` or ``broker``."""

    sealed_limit: int | None
    """Bytes of sealed files that it can hold without a store; ``None`` for any."""

    async def start(
        self,
        spec: WorkloadSpec,
        *,
        sealed: Sealed | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Handle:
        """Bring the workload into being and return at once, long before it runs.

        Idempotent by ``spec.id``: called again, after a lost reply or a crash of the caller, it completes what is
        missing and starts nothing twice.

        Called by: ``app.sessions`` and ``app.runs``.

        Args:
            spec: What it is to be.
            sealed: What a detached run needs.
            progress: Called with the bytes of ``sealed`` sent so far, and how many there are, where that takes time.

        Raises:
            PermissionDenied, AdmissionDenied, Unreachable, Throttled, TooLarge (``sealed`` is over the backend's limit).
        """
        ...

    async def list(self, *, owner: str) -> list[Handle]:
        """All workloads of ``owner`` that are not forgotten, ended ones included, newest first."""
        ...

    def watch_all(self, *, owner: str) -> AsyncGenerator[Listed, None]:
        """What :meth:`list` gives: once now, then at least whenever a workload comes, ends or goes.

        Each list counts, also one that is as the last: who asked :meth:`list` in between may know more than that.

        Survives lost connections by itself. While it is iterated, :meth:`watch` of one of these workloads makes no
        connection of its own.

        Called by: ``app.board``.
        """
        ...

    async def find(self, workload_id: str) -> Handle | None:
        """The workload of that id, or ``None``."""
        ...

    def watch(self, handle: Handle) -> AsyncIterator[Facts]:
        """What the cluster says of it: once now, then whenever it changes, until it is gone.

        The last item before the iterator ends has ``facts.gone`` set. Survives lost connections by itself; while it
        cannot see, it yields facts whose ``error`` says so.

        Called by: ``app.subscriptions``, for the time before there is an agent to talk to, and for how it ended.
        """
        ...

    async def stop(self, handle: Handle, *, force: bool = False) -> None:
        """Release its processes and devices. Idempotent; returns when the order is given, not when all is gone.

        Args:
            handle: Which.
            force: Do not wait for a node that does not answer.
        """
        ...

    async def forget(self, handle: Handle) -> None:
        """Remove the last trace of an ended workload."""
        ...

    async def logs(self, handle: Handle, *, tail: int | None = None, rank: int = 0) -> str:
        """What the container of a rank printed, from the place itself; for when there is no agent to ask."""
        ...

    async def kept(self, handle: Handle) -> Kept | None:
        """What was stored of an ended workload; ``None`` where nothing is, or it cannot be read from here."""
        ...

    async def close(self) -> None:
        """Let go of connections. Workloads are not touched."""
        ...


class Backend(Control, Protocol):
    """Control, and the way to an agent."""

    async def open(self, handle: Handle) -> Channel:
        """A channel to the head agent of a running workload.

        Raises:
            Unreachable: there is no agent to talk to (yet, or any more).
        """
        ...


@runtime_checkable
class CountsGpus(Protocol):
    """A backend that can say which GPUs there are and who holds them."""

    async def capacity(self, *, owner: str) -> Capacity:
        """What there is now, as far as this user may see it.

        Called by: ``app.capacities``, while somebody looks.

        Args:
            owner: Whose workloads are this user's.

        Raises:
            Unreachable, Throttled: it cannot be asked at the moment.
        """
        ...
