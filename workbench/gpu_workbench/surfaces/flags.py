"""The flags of the magics and of the command line: one table.

Parsing, ``--help``, completion and the reference pages all come from it; which command takes which flag stands in
:mod:`gpu_workbench.surfaces.commands`. ``$name`` and ``{expression}`` in a magic line are IPython's own and were replaced
before the line comes here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpu_workbench.app.nearest import did_you_mean
from gpu_workbench.core.errors import FlagError
from gpu_workbench.surfaces import readers
from gpu_workbench.surfaces.lines import Flag, read_flags, split, words_of

if TYPE_CHECKING:
    from gpu_workbench.core.quantities import Gpus
    from gpu_workbench.core.spec import Volume

_BACKENDS = ("local", "kubernetes")
_FORMS = ("yaml", "python")

# --- The tables --------------------------------------------------------------------------------------------------------

WORKLOAD_FLAGS = (
    Flag(
        "--gpus",
        "GPUs per node: a number, or kind:number; 1 where nothing says otherwise.",
        "--gpus h200:2",
        "[KIND:]N",
        readers.gpus,
        field="resources.gpus",
    ),
    Flag(
        "--nodes",
        "Nodes, each with the GPUs, CPUs and memory of this line; the cell runs on every rank of them.",
        "--nodes 2 --gpus 8",
        "N",
        readers.at_least_one,
        field="nodes",
    ),
    Flag(
        "--nproc-per-node",
        "Ranks of each node: a number, or gpu for one per GPU. One per GPU where there are several nodes, else one in all.",
        "--nproc-per-node gpu",
        "N|gpu",
        readers.processes,
        field="nproc_per_node",
    ),
    Flag("--cpus", "CPU cores per node.", "--cpus 8", "N", readers.cpus, field="resources.cpus"),
    Flag("--memory", "Memory per node.", "--memory 64Gi", "SIZE", readers.size, field="resources.memory"),
    Flag(
        "--shared-memory",
        "Size of /dev/shm, which data loaders with workers need.",
        "--shared-memory 16Gi",
        "SIZE",
        readers.size,
        field="resources.shared_memory",
    ),
    Flag(
        "--profile",
        "A named preset of all this; flags beside it win. %gpu profiles lists them.",
        "--profile h200",
        "NAME",
        completes="profile",
    ),
    Flag("--image", "Container image of the pods.", "--image pytorch/pytorch:2.6.0", "IMAGE", field="image"),
    Flag(
        "--python", "The interpreter in the image.", "--python /opt/conda/bin/python", "PATH", field="python"
    ),
    Flag(
        "--volume",
        "Mounts a PersistentVolumeClaim; may be repeated.",
        "--volume datasets:/data:ro",
        "CLAIM:/PATH[:ro]",
        readers.volume,
        field="volumes",
        many=True,
    ),
    Flag(
        "--env",
        "Sets an environment variable, or copies it from here; may be repeated. Not for secrets.",
        "--env NCCL_DEBUG=INFO",
        "NAME[=VALUE]",
        readers.variable,
        field="env",
        many=True,
    ),
    Flag(
        "--secret",
        "Makes the keys of a Secret of the namespace environment variables; may be repeated. %gpu secret set makes one.",
        "--secret HF_TOKEN",
        "NAME",
        readers.secret_object,
        field="placement.secrets",
        many=True,
    ),
    Flag(
        "--time-limit",
        "Time after which it ends whatever it does.",
        "--time-limit 4h",
        "TIME",
        readers.duration,
        field="time_limit",
    ),
    Flag(
        "--idle-limit",
        "Time without a running cell after which a session ends itself.",
        "--idle-limit 30m",
        "TIME",
        readers.duration,
        field="idle_limit",
    ),
)

TARGET_FLAGS = (
    Flag(
        "--backend",
        "Where workloads live, for this line alone. %gpu use chooses for all that follow.",
        "--backend kubernetes",
        "BACKEND",
        choices=_BACKENDS,
    ),
    Flag(
        "--context",
        "Context of the kubeconfig.",
        "--context gpu-cluster",
        "NAME",
        field="placement.context",
    ),
    Flag(
        "--namespace",
        "Namespace of the cluster.",
        "--namespace team-vision",
        "NAME",
        field="placement.namespace",
    ),
)

SESSION_FLAG = Flag(
    "--session",
    "The session meant; without it, this notebook's own.",
    "--session preprocessing",
    "NAME",
    readers.object_name,
    completes="session",
)

DRY_RUN_FLAGS = (
    Flag("--dry-run", "Says what would be started and what would be sent, and does nothing.", "--dry-run"),
    Flag(
        "-o",
        "With --dry-run: as objects of Kubernetes, or as the same call in Python.",
        "--dry-run -o yaml",
        "FORM",
        choices=_FORMS,
        attribute="form",
    ),
)

RANKS_FLAG = Flag(
    "--ranks",
    "The ranks that execute this cell, with commas; all of them without. The output of the first one is shown here.",
    "--ranks 0,3",
    "R,R",
    readers.ranks,
    many=True,
)

RUN_NAME_FLAG = Flag("--name", "What this run is called.", "--name baseline", "NAME", readers.object_name)

DASK_FLAG = Flag(
    "--dask",
    "Runs the cell beside the scheduler of a Dask cluster, in a session of its own whose client is connected.",
    "--dask etl",
    "NAME",
    readers.object_name,
    completes="run",
)

DASK_FLAGS = (
    Flag(
        "--n-workers",
        "Workers, each with the GPUs, CPUs and memory of this line; of a cluster that is there, from now on.",
        "--n-workers 4",
        "N",
        readers.count,
        field="dask.n_workers",
    ),
    Flag("--nthreads", "Threads of each worker.", "--nthreads 2", "N", readers.count, field="dask.threads"),
    Flag(
        "--group",
        "A further group of workers, without GPUs; tasks ask for it by resources={name: 1}. May be repeated.",
        "--group cpu=4",
        "NAME=N",
        readers.worker_group,
        field="dask.groups",
        many=True,
    ),
    Flag(
        "--adapt",
        "Lets the number of workers follow the tasks there are, between two bounds.",
        "--adapt 0:8",
        "MIN:MAX",
        readers.bounds,
    ),
    Flag("--name", "What the cluster is called.", "--name etl", "NAME", readers.object_name),
    Flag(
        "--as",
        "Binds the client to this name, and the cluster to NAME_cluster; without it client and cluster.",
        "--as etl",
        "NAME",
        readers.name,
        attribute="as_",
    ),
)
"""The flags of ``%gpu dask`` alone; Dask's own words where it has some."""

DETACH_FLAG = Flag(
    "--detach",
    "Seals it as a run of its own that needs neither this kernel nor this machine; %gpu attach finds it again.",
    "--detach --out model",
)

CELL_FLAGS = (
    Flag(
        "--out",
        "Variables to bring back when the cell has ended.",
        "--out loss,model",
        "A,B",
        readers.names,
        many=True,
    ),
    Flag(
        "--in",
        "Sends these variables and no others; without it, those the cell reads.",
        "--in x,y",
        "A,B",
        readers.names,
        many=True,
        attribute="in_",
    ),
    Flag("--no-in", "Sends no variables.", "--no-in"),
    RANKS_FLAG,
    SESSION_FLAG,
    RUN_NAME_FLAG,
    DETACH_FLAG,
    DASK_FLAG,
    *DRY_RUN_FLAGS,
)

HELP_FLAG = Flag("--help", "Shows this help.", "--help", short="-h")

GPU_CELL: tuple[Flag, ...] = (*WORKLOAD_FLAGS, *CELL_FLAGS, *TARGET_FLAGS, HELP_FLAG)
"""The flags of ``%%gpu``."""


@dataclass(frozen=True)
class CellFlags:
    """What a line asked for; what it did not say has its default. Sizes are bytes, times seconds.

    Args:
        form: Of a dry run: ``yaml``, ``python``, or empty for words.
        in_: Names to send; empty where the cell itself tells.
    """

    gpus: Gpus | None = None
    nodes: int | None = None
    nproc_per_node: str = ""
    cpus: float | None = None
    memory: int | None = None
    shared_memory: int | None = None
    profile: str = ""
    image: str = ""
    python: str = ""
    volume: tuple[Volume, ...] = ()
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    secret: tuple[str, ...] = ()
    time_limit: float | None = None
    idle_limit: float | None = None
    out: tuple[str, ...] = ()
    in_: tuple[str, ...] = ()
    no_in: bool = False
    ranks: tuple[int, ...] = ()
    session: str = ""
    name: str = ""
    detach: bool = False
    dask: str = ""
    dry_run: bool = False
    form: str = ""
    backend: str = ""
    context: str = ""
    namespace: str = ""
    help: bool = False


def parse_cell_line(line: str) -> CellFlags:
    """What stands behind ``%%gpu``.

    Raises:
        FlagError: a flag is unknown, malformed, given twice, or contradicts another.
    """
    values, rest = read_flags(split(line), GPU_CELL, place="%%gpu")
    if rest == ["?"]:
        return CellFlags(help=True)
    if rest:
        raise FlagError(
            f"%%gpu takes no {rest[0]!r}",
            fix=did_you_mean(
                f"--{rest[0]}", words_of(GPU_CELL), otherwise="The code of the cell begins on the next line"
            ),
        )
    flags = CellFlags(**values)
    check(flags)
    return flags


def cell_flags(given: Mapping[str, object]) -> CellFlags:
    """The same from keyword arguments of the Python API: ``gpus="h200:2"``, ``env={"A": "1"}``, ``detach=True``.

    Args:
        given: By attribute of :class:`CellFlags`; what is ``None`` was not given.

    Raises:
        FlagError: as :func:`parse_cell_line`.
    """
    values, _ = read_flags(as_words(given, GPU_CELL), GPU_CELL, place="It")
    flags = CellFlags(**values)
    check(flags)
    return flags


def as_words(given: Mapping[str, object], table: Sequence[Flag]) -> list[str]:
    """Keyword arguments as the words of a line.

    Args:
        given: By key of the flag; what is ``None`` was not given.
        table: The flags there are.

    Raises:
        FlagError: there is no such argument.
    """
    by_key = {flag.key: flag for flag in table}
    words: list[str] = []
    for key, value in given.items():
        if key not in by_key:
            raise FlagError(
                f"There is no argument {key!r}",
                fix=did_you_mean(key, by_key, otherwise=f"Known are {', '.join(sorted(by_key))}"),
            )
        words += _as_words(by_key[key], value)
    return words


def _as_words(flag: Flag, value: object) -> list[str]:
    if value is None or value is False:
        return []
    if not flag.value:
        return [flag.name]
    if isinstance(value, Mapping):
        value = [f"{name}={text}" for name, text in value.items()]
    items = value if isinstance(value, list | tuple) else [value]
    return [f"{flag.name}={item}" for item in items]  # in one word, so that a value may begin with a dash


# Pairs that cannot both be meant, and why.
CONFLICTS = (
    ("in_", "no_in", "--in names what to send, --no-in sends nothing"),
    ("detach", "session", "a detached run is a place of its own and lives in no session"),
    ("detach", "ranks", "all ranks of a detached run execute its cell"),
    ("dask", "session", "the cell runs in the session that drives the cluster"),
    ("dask", "detach", "it runs in a session beside the scheduler, which ends with the cluster"),
    ("detach", "idle_limit", "a detached run ends with its cell and is never idle; --time-limit bounds it"),
)


def check(flags: CellFlags) -> None:
    """Refuse flags that contradict each other.

    Raises:
        FlagError: two of them do.
    """
    by_key = {flag.key: flag.name for flag in GPU_CELL}
    for one, other, why in CONFLICTS:
        if getattr(flags, one) and getattr(flags, other):
            raise FlagError(
                f"{by_key[one]} and {by_key[other]} contradict each other", why=why, fix="Leave one out"
            )
    if flags.out and flags.ranks and 0 not in flags.ranks:
        raise FlagError(
            "--out and --ranks contradict each other",
            why="what comes back is rank 0's, which would not execute the cell",
            fix="Add 0 to --ranks, or leave one out",
        )
    if flags.form and not flags.dry_run:
        raise FlagError(
            "-o is for --dry-run alone",
            fix=f"Write --dry-run -o {flags.form}, or --out to bring variables back",
        )
    for name in ("context", "namespace"):
        if flags.backend == "local" and getattr(flags, name):
            raise FlagError(
                f"--backend local and --{name} contradict each other",
                why=f"this machine has no {name}",
                fix="Leave one out",
            )
