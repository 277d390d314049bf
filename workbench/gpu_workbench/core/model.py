"""The words of the workbench as types: phases, kinds, and the one picture of a workload that every surface draws."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Kind(str, enum.Enum):
    """What a workload is for."""

    SESSION = "session"
    JOB = "job"
    DASK = "dask"
    RAY = "ray"
    SERVICE = "service"
    KERNEL = "kernel"
    STORE = "store"
    """Our own: what reads and writes a volume for somebody outside the cluster."""


class Phase(str, enum.Enum):
    """Where a run or a workload stands. A session that runs is shown as Idle or Busy."""

    QUEUED = "Queued"
    PENDING = "Pending"
    STARTING = "Starting"
    RUNNING = "Running"
    STOPPING = "Stopping"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"
    LOST = "Lost"

    @property
    def ended(self) -> bool:
        """Whether nothing follows."""
        return self in _ENDED


_ENDED = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.STOPPED, Phase.LOST})


class Cause(str, enum.Enum):
    """Why a run or a rank failed, as far as it was seen."""

    USER_ERROR = "user-error"
    SYNTAX_ERROR = "syntax-error"
    INTERRUPTED = "interrupted"
    EXITED = "exited"
    SIGNALLED = "signalled"
    OUT_OF_MEMORY = "out-of-memory"
    CUDA_OUT_OF_MEMORY = "cuda-out-of-memory"
    TIME_LIMIT = "time-limit"
    STOPPED = "stopped"
    LOST = "lost"
    NOT_STARTED = "not-started"


@dataclass(frozen=True)
class Failure:
    """What went wrong, in words.

    Args:
        cause: The kind of failure.
        what: One sentence without a final full stop.
        detail: The traceback or the last lines, as plain text with ANSI colours.
        rank: The rank on which it was seen first.
        exit_code: Of the process, where it had one.
        signal: Name of the signal that ended the process, e.g. ``SIGKILL``.
    """

    cause: Cause
    what: str
    detail: str = ""
    rank: int = 0
    exit_code: int | None = None
    signal: str | None = None


@dataclass(frozen=True)
class GpuDevice:
    """One device as its driver names it. ``simulated`` marks a double used by tests."""

    index: int
    name: str
    uuid: str = ""
    memory_total: int | None = None
    simulated: bool = False


@dataclass(frozen=True)
class GpuSample:
    """The figures of one device at one moment. What the device does not give is ``None``, with its reason in ``missing``.

    Args:
        index: The device's index within its rank.
        utilisation: Per cent of the last second in which a kernel ran, 0 to 100.
        memory_used: Bytes.
        memory_total: Bytes.
        temperature: Degrees Celsius.
        power: Watts.
        clock: SM clock in MHz.
        clock_max: Highest SM clock in MHz.
        throttle: Why the clock is below its highest, in NVML's words; empty where it is not.
        missing: Field name to the reason it is absent.
    """

    index: int
    utilisation: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    temperature: float | None = None
    power: float | None = None
    clock: float | None = None
    clock_max: float | None = None
    throttle: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TimedSample:
    """A sample and when it was taken, in seconds since its agent started."""

    t: float
    sample: GpuSample


@dataclass(frozen=True)
class GpuState:
    """A device and its latest samples, oldest first."""

    device: GpuDevice
    samples: tuple[TimedSample, ...] = ()

    @property
    def latest(self) -> GpuSample | None:
        """The newest sample, or ``None`` where there has been none."""
        return self.samples[-1].sample if self.samples else None


@dataclass(frozen=True)
class Progress:
    """How far a loop has come. ``total`` and what follows from it is ``None`` where it is not known."""

    label: str
    done: float
    total: float | None = None
    unit: str = "it"
    rate: float | None = None
    seconds_left: float | None = None


@dataclass(frozen=True)
class NameInfo:
    """What is known of a variable in the session without fetching it."""

    type: str
    size: int | None = None
    shape: str = ""
    device: str = ""
    digest: str = ""


@dataclass(frozen=True)
class StoredValue:
    """A result that can be fetched: its size in bytes, and the digest its sender signed."""

    name: str
    size: int
    digest: str
    codec: str


@dataclass(frozen=True)
class Receipt:
    """What a run cost. A figure that was not measured is ``None``.

    Args:
        seconds: From the start of the run to its end.
        waited: Seconds from being asked for to its start.
        gpus: Devices held.
        gpu_seconds: ``gpus`` times ``seconds``.
        mean_utilisation: Per cent over all devices.
        peak_memory: Bytes, of the fullest device.
        simulated: Whether the devices were doubles.
        restarts: How often its processes were started again because a rank was lost.
    """

    seconds: float
    waited: float = 0.0
    gpus: int = 0
    gpu_seconds: float = 0.0
    mean_utilisation: float | None = None
    peak_memory: int | None = None
    simulated: bool = False
    restarts: int = 0


@dataclass(frozen=True)
class RunState:
    """One run as far as its journal has been read.

    Args:
        characters: Stream name (``stdout``, ``stderr``) to the count of characters written so far.
        displays: Count of outputs that are not streams.
        place: How many runs are before it in its session; 0 means it is next.
        ahead: Ids of the runs before it, next first.
        truncated: Characters that the journal dropped because it was full.
    """

    id: str
    name: str = ""
    notebook: str = ""
    cell_id: str = ""
    phase: Phase = Phase.QUEUED
    queued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    place: int = 0
    ahead: tuple[str, ...] = ()
    progress: Progress | None = None
    characters: Mapping[str, int] = field(default_factory=dict)
    displays: int = 0
    truncated: int = 0
    last_line: str = ""
    waiting_for_input: bool = False
    results: tuple[StoredValue, ...] = ()
    failure: Failure | None = None
    receipt: Receipt | None = None


@dataclass(frozen=True)
class RankState:
    """One rank: which part of its journal has been read, and what is known of its process.

    ``epoch`` names the agent's life that is being read, ``number`` the last event read of it, and ``past`` the lives
    before it, whose events are history. ``run`` is what it was last heard to work at, ``run_phase`` how that stands with
    it, ``last_line`` and ``progress`` how far it has come.
    """

    rank: int
    epoch: str = ""
    number: int = 0
    past: tuple[str, ...] = ()
    phase: Phase = Phase.STARTING
    started: str = ""
    python: str = ""
    host: str = ""
    now: float = 0.0
    gpus: tuple[GpuState, ...] = ()
    failure: Failure | None = None
    run: str = ""
    run_phase: Phase | None = None
    last_line: str = ""
    progress: Progress | None = None


@dataclass(frozen=True)
class Limit:
    """A moment at which the workload ends by itself, in its agent's seconds."""

    name: str
    ends_at: float


@dataclass(frozen=True)
class DaskWorker:
    """One Dask worker as its scheduler sees it. What is not known is ``None``.

    Args:
        name: The worker's name.
        status: Dask's own word, e.g. ``running``, ``paused``, ``closing_gracefully``.
        threads: How many tasks it can run at a time.
        executing: Tasks that run on it now.
        waiting: Tasks it was given that do not run yet.
        cpu: Per cent of one core.
        memory: Bytes of its process.
        memory_limit: Bytes it may use.
        spilled: Bytes of results it has written to disk for want of memory.
        sent: Bytes a second to other workers.
        received: Bytes a second from other workers.
        gpus: Its devices and what they do now.
        device: What its devices are called; empty where that is not known.
        simulated: Whether they are doubles.
    """

    name: str
    status: str = "running"
    threads: int = 1
    executing: int = 0
    waiting: int = 0
    cpu: float | None = None
    memory: int | None = None
    memory_limit: int | None = None
    spilled: int = 0
    sent: float = 0.0
    received: float = 0.0
    gpus: tuple[GpuSample, ...] = ()
    device: str = ""
    simulated: bool = False


@dataclass(frozen=True)
class DaskTasks:
    """The tasks of the computation that is under way, or of the last one.

    Args:
        done: Tasks that have a result.
        failed: Tasks that raised.
        running: Tasks that were given to a worker.
        waiting: Tasks that wait for others, or for a worker.
        stuck: Of those that wait, those for which no worker fits.
        retried: Tasks that were given to another worker because theirs was lost.
        rate: Tasks a second, of late; ``None`` before that can be said.
        seconds_left: Until none is left, at that rate.
        groups: The names of functions that have most tasks open, with the tasks done and all tasks of each.
    """

    done: int = 0
    failed: int = 0
    running: int = 0
    waiting: int = 0
    stuck: int = 0
    retried: int = 0
    rate: float | None = None
    seconds_left: float | None = None
    groups: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All tasks of the computation."""
        return self.done + self.failed + self.open

    @property
    def open(self) -> int:
        """Tasks that are neither done nor failed."""
        return self.running + self.waiting


@dataclass(frozen=True)
class DaskState:
    """What a Dask scheduler says of its cluster.

    Args:
        workers: Its workers, by name.
        tasks: Its tasks.
        clients: Connected clients.
        moved: Bytes that workers have sent each other, since the scheduler started.
        lost: Workers that went without having been told to.
        idle_since: When the last task was done, in the agent's seconds; ``None`` while there are any.
        dashboard: Path of the dashboard on the scheduler's HTTP port; empty where it has none.
    """

    workers: tuple[DaskWorker, ...] = ()
    tasks: DaskTasks = DaskTasks()
    clients: int = 0
    moved: int = 0
    lost: int = 0
    idle_since: float | None = None
    dashboard: str = ""


@dataclass(frozen=True)
class DaskPoint:
    """A Dask cluster at a moment, for drawing: seconds of its agent, tasks a second, busy threads (0 to 1), bytes."""

    t: float
    rate: float
    busy: float
    memory: int
    utilisation: float | None = None


@dataclass(frozen=True)
class Workload:
    """What holds pods, with its runs: the one picture that every surface draws.

    Args:
        generation: Rises with every restart of the payload; names sent before are gone.
        world_size: Ranks it is to have.
        names: Variable name to what is known of it, of the current generation.
        bound_by: Variable name to the run that bound it; empty where it was sent and no run has bound it since.
        lost: Names that runs of a former generation had bound and that are gone, with the run that bound each.
        limit: The next moment at which it would end by itself.
        lost_events: Count of events the journal dropped because it was full.
        dask: Of a Dask cluster, what its scheduler said last.
        dask_past: And what it said before, oldest first.
    """

    id: str
    kind: Kind = Kind.SESSION
    phase: Phase = Phase.QUEUED
    generation: int = 0
    world_size: int = 1
    ranks: Mapping[int, RankState] = field(default_factory=dict)
    runs: Mapping[str, RunState] = field(default_factory=dict)
    names: Mapping[str, NameInfo] = field(default_factory=dict)
    bound_by: Mapping[str, str] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    limit: Limit | None = None
    lost_events: int = 0
    failure: Failure | None = None
    dask: DaskState | None = None
    dask_past: tuple[DaskPoint, ...] = ()

    @property
    def busy(self) -> RunState | None:
        """The run that executes now."""
        return next((run for run in self.runs.values() if run.phase is Phase.RUNNING), None)

    @property
    def simulated(self) -> bool:
        """Whether any of its devices is a double."""
        doubles = (gpu.device.simulated for rank in self.ranks.values() for gpu in rank.gpus)
        workers = self.dask.workers if self.dask is not None else ()
        return any(doubles) or any(worker.simulated for worker in workers)
