"""The data of a run's view: what the MIME bundle carries and every rendering is drawn from.

It is the wire form of the notebook file, the live renderer and the fallbacks alike: plain, bounded, already cleaned, and
without what the owner does not want saved.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import Failure, Kind, Phase, Progress, Receipt
from gpu_workbench.core.wire import JsonObject, decode, encode_fields

VERSION = 1

LIMIT = 32 * 1024
"""Bytes of JSON a snapshot may take, however many GPUs there are and however long the names."""


class Saved(str, enum.Enum):
    """How much of a view may stay in the notebook file."""

    SUMMARY = "summary"
    FULL = "full"
    NONE = "none"


@dataclass(frozen=True)
class Where:
    """Where a run runs, in words.

    Args:
        backend: ``local``, ``kubernetes`` or ``broker``.
        session: Name of the session; empty for what is no session.
        context: The kubeconfig context or the cluster's name.
        namespace: The namespace.
        gpus: The GPUs in words: ``1 H200``, ``2 nodes × 8 H200``; ``CPU · this machine`` where there are fewer than asked.
        nodes: Names of the nodes it is known to use or to wait for.
        price: Cost of one GPU for one hour.
        currency: Of ``price``.
        hidden: Which of these were left out, because not everything may be saved.
    """

    backend: str
    session: str = ""
    context: str = ""
    namespace: str = ""
    gpus: str = ""
    nodes: tuple[str, ...] = ()
    price: float | None = None
    currency: str = ""
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class Published:
    """How much of a run's output stands in the cell already.

    Args:
        cursor: Place in the head's journal up to which output was published.
        characters: Stream name to characters published.
        displays: Count of other outputs published.
    """

    cursor: str = ""
    characters: Mapping[str, int] = field(default_factory=dict)
    displays: int = 0


@dataclass(frozen=True)
class GpuSeries:
    """One GPU over the chart's window, with its latest figures. What is missing is ``None``.

    Args:
        utilisation: Per cent at each point, oldest first.
        memory: Per cent of the device's memory at each point.
        slowed: Why it runs below its clock, in words; empty where it does not, or for no reason that counts.
        missing: Figure to the reason why the device does not give it.
    """

    rank: int
    gpu: int
    name: str = ""
    utilisation: tuple[float | None, ...] = ()
    memory: tuple[float | None, ...] = ()
    busy: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    temperature: float | None = None
    power: float | None = None
    clock: float | None = None
    clock_max: float | None = None
    throttle: tuple[str, ...] = ()
    slowed: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Band:
    """How the GPUs of a large gang spread at each point."""

    p10: tuple[float | None, ...] = ()
    p50: tuple[float | None, ...] = ()
    p90: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Chart:
    """Utilisation and memory over the last ``seconds``, on axes from 0 to 100 per cent.

    Args:
        seconds: Length of the window.
        count: How many GPUs there are.
        gpus: All of them up to 16; above that those that stand apart from the rest.
        utilisation: The spread, above 16 GPUs.
        memory: The spread, above 16 GPUs.
        busy: Mean of the latest utilisation.
        memory_used: Bytes used on the fullest device.
        memory_total: Bytes of that device.
        missing: Why there is no utilisation or no memory on any device.
    """

    seconds: float
    count: int
    gpus: tuple[GpuSeries, ...] = ()
    utilisation: Band | None = None
    memory: Band | None = None
    busy: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RankLine:
    """One rank in the table of ranks.

    Args:
        clock: Of its slowest device, in MHz, and ``clock_max`` its highest.
        slowed: Why that one runs below its clock, in words.
        progress: How far it has come with the run; ``last_line`` the last it has written.
    """

    rank: int
    phase: Phase = Phase.STARTING
    host: str = ""
    gpus: int = 0
    busy: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    clock: float | None = None
    clock_max: float | None = None
    slowed: str = ""
    progress: Progress | None = None
    last_line: str = ""
    failure: Failure | None = None


@dataclass(frozen=True)
class DaskGroup:
    """The tasks of one function of a Dask computation."""

    name: str
    done: int
    total: int


@dataclass(frozen=True)
class DaskCounts:
    """The tasks of the Dask computation that is under way, or of the last one.

    Args:
        waiting: Those that wait for others, or for a worker; ``stuck`` of them fit no worker.
        retried: Those that were given to another worker because theirs was lost.
        rate: Tasks a second.
        groups: The functions that have most tasks open.
    """

    done: int = 0
    failed: int = 0
    running: int = 0
    waiting: int = 0
    stuck: int = 0
    retried: int = 0
    rate: float | None = None
    seconds_left: float | None = None
    groups: tuple[DaskGroup, ...] = ()

    @property
    def open(self) -> int:
        """Those that are neither done nor failed."""
        return self.running + self.waiting

    @property
    def total(self) -> int:
        """All of them."""
        return self.done + self.failed + self.open


@dataclass(frozen=True)
class DaskWorkerLine:
    """One Dask worker in the table of workers, or several of them together.

    Args:
        name: As much of its name as tells it from the others.
        whole: All of its name, where that is more and may be saved.
        note: What sets it apart, in words; empty where nothing does.
        threads: How many tasks it can run at a time; ``executing`` run now, and ``waiting`` it was given besides.
        cpu: Per cent of one core.
        spilled: Bytes of results on its disk for want of memory.
        sent: Bytes a second to other workers, and ``received`` from them.
        gpus: How many it has; ``busy`` is the mean of their utilisation in per cent.
        gpu_memory: Bytes used on all of them, of ``gpu_memory_total``.
        missing: Why their utilisation is not known.
    """

    name: str = ""
    whole: str = ""
    note: str = ""
    threads: int = 0
    executing: int = 0
    waiting: int = 0
    cpu: float | None = None
    memory: int | None = None
    memory_limit: int | None = None
    spilled: int = 0
    sent: int = 0
    received: int = 0
    gpus: int = 0
    busy: float | None = None
    gpu_memory: int | None = None
    gpu_memory_total: int | None = None
    missing: str = ""


@dataclass(frozen=True)
class DaskPast:
    """What a Dask cluster did over the last ``seconds``, oldest first; a gap where nothing is known.

    Args:
        busy: Per cent of its threads that ran a task.
        rate: Tasks a second.
        utilisation: Mean of its GPUs in per cent; empty where none gave any.
    """

    seconds: float
    busy: tuple[float | None, ...] = ()
    rate: tuple[float | None, ...] = ()
    utilisation: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class DaskShown:
    """A Dask cluster as its scheduler sees it.

    Args:
        wanted: How many workers it is to have; ``None`` where that is not known.
        count: How many it has; ``None`` before its scheduler has said anything.
        workers: At most 64 of them, by name: first of all those that something sets apart.
        rest: The others together; ``None`` where there are none.
        all: All of them together.
        moved: Bytes that workers have sent each other since the scheduler started.
        lost: Workers that went without having been told to.
        idle: Seconds since the last task was done; ``None`` while there are any, or there was none.
        waits: Why workers that it is to have are not there.
        dashboard: Whether its scheduler serves Dask's own dashboard.
    """

    wanted: int | None = None
    count: int | None = None
    tasks: DaskCounts = DaskCounts()
    workers: tuple[DaskWorkerLine, ...] = ()
    rest: DaskWorkerLine | None = None
    all: DaskWorkerLine = DaskWorkerLine()
    clients: int = 0
    moved: int = 0
    lost: int = 0
    idle: float | None = None
    waits: Explanation | None = None
    past: DaskPast | None = None
    dashboard: bool = False


@dataclass(frozen=True)
class ResultLine:
    """A value that came back, or can be fetched, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class Moment:
    """Something that happened ``at`` seconds after the run was asked for."""

    at: float
    what: str


@dataclass(frozen=True)
class Ending:
    """A limit after which the workload ends by itself, in seconds from now."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Shown:
    """One moment of a run, or of a workload where there is no run.

    Args:
        word: The phase as shown; a session that runs is ``Idle`` or ``Busy``.
        name: Name of the run, or of the workload.
        cell: Id of the notebook cell the run came from.
        answer: The one line wanted in this phase.
        hint: The line after it: what to do, or what else is known.
        notes: What the reader should know besides: slowed GPUs, dropped output.
        waited: Seconds from being asked for to the start, or until now.
        ran: Seconds from the start to the end, or until now.
        cost: Of the run, or until now, with its currency; empty where no price is known.
        rank_count: How many ranks there are; ``ranks`` holds those worth a line.
        characters: Stream name to characters written by the run.
        published: How much of that stands in the cell.
        dask: Of a Dask cluster, its tasks and workers.
    """

    saved: Saved
    kind: Kind = Kind.SESSION
    phase: Phase = Phase.QUEUED
    word: str = ""
    name: str = ""
    cell: str = ""
    answer: str = ""
    hint: str = ""
    notes: tuple[str, ...] = ()
    waited: float | None = None
    ran: float | None = None
    progress: Progress | None = None
    explanation: Explanation | None = None
    failure: Failure | None = None
    results: tuple[ResultLine, ...] = ()
    receipt: Receipt | None = None
    cost: str = ""
    chart: Chart | None = None
    ranks: tuple[RankLine, ...] = ()
    rank_count: int = 0
    moments: tuple[Moment, ...] = ()
    ending: Ending | None = None
    simulated: bool = False
    characters: Mapping[str, int] = field(default_factory=dict)
    displays: int = 0
    truncated: int = 0
    published: Published = Published()
    dask: DaskShown | None = None


@dataclass(frozen=True)
class Snapshot:
    """What the MIME bundle carries: ``{version, id, run, where, snapshot, package}``.

    Args:
        id: Of the workload.
        run: Of the run; empty for the view of a workload.
        package: Version of the package that made it.
    """

    version: int
    id: str
    run: str
    where: Where
    snapshot: Shown
    package: str = ""

    def to_json(self) -> JsonObject:
        """The JSON object of the MIME bundle."""
        return encode_fields(self)

    @classmethod
    def from_json(cls, form: JsonObject) -> Snapshot:
        """Read what ``to_json`` gave.

        Raises:
            ProtocolError: it is not a snapshot.
        """
        return decode(cls, form)
