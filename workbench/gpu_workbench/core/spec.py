"""What is asked for: the spec of a run and of the workload that holds it.

Plain data, complete, and the same on every backend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TypeVar

from gpu_workbench.core.errors import FlagError
from gpu_workbench.core.model import Kind
from gpu_workbench.core.quantities import Gpus, show_about, show_bytes

LABEL_PREFIX = "gpu-workbench.dev/"
OBJECT_PREFIX = "gwb-"
MIME_TYPE = "application/vnd.gpu-workbench.run+json"

DEFAULT_SESSION = "default"
IDLE_LIMIT = 60 * 60.0
ORPHAN_LIMIT = 15 * 60.0

D = TypeVar("D")

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?")


def check_name(name: str, *, what: str = "name") -> str:
    """``name``, if it can be a part of a Kubernetes object's name (RFC 1123 label, 48 characters).

    Raises:
        FlagError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise FlagError(
            f"{name!r} is not a {what}",
            fix="Use lower-case letters, digits and '-', at most 48, beginning and ending with a letter or digit",
        )
    return name


@dataclass(frozen=True)
class Volume:
    """A PersistentVolumeClaim (``local``: a folder) mounted at ``path``."""

    claim: str
    path: str
    read_only: bool = False


def parse_volume(text: str) -> Volume:
    """``claim:/path`` or ``claim:/path:ro``.

    Raises:
        FlagError: it is neither.
    """
    claim, _, rest = text.partition(":")
    path, _, mode = rest.partition(":")
    if not claim or not path.startswith("/") or mode not in ("", "ro", "rw"):
        raise FlagError(f"--volume {text} names no claim and path", fix="Write claim:/path or claim:/path:ro")
    return Volume(claim=claim, path=path, read_only=mode == "ro")


@dataclass(frozen=True)
class Toleration:
    """A Kubernetes toleration; empty fields match anything."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


@dataclass(frozen=True)
class Resources:
    """What one node gives to the workload.

    Args:
        gpus: GPUs per node, by count and kind.
        gpu_resource: The Kubernetes resource a GPU is asked by; MIG slices have names of their own.
        gpu_label: The node label that tells the kind of its GPUs.
        cpus: CPU cores; ``None`` leaves it to the namespace's default.
        memory: Bytes; ``None`` leaves it to the namespace's default.
        shared_memory: Bytes of ``/dev/shm``; ``None`` leaves the runtime's 64 MiB.
        scratch: Bytes of the writable folder that holds journal, HOME and caches.
    """

    gpus: Gpus = field(default_factory=Gpus)
    gpu_resource: str = "nvidia.com/gpu"
    gpu_label: str = "nvidia.com/gpu.product"
    cpus: float | None = None
    memory: int | None = None
    shared_memory: int | None = None
    scratch: int = 10 * 2**30


@dataclass(frozen=True)
class Placement:
    """Where on a cluster, as whom, and with which of its objects. The ``local`` backend has no use for it.

    Args:
        user_id: User id of the processes; ``None`` where the platform sets it.
        group_id: ``fsGroup``, for volumes.
        secrets: Secrets of the namespace whose keys become environment variables.
        price: Cost of one GPU for one hour, in ``currency``; a run's view shows what its GPU-hours came to.
    """

    context: str = ""
    namespace: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    service_account: str = ""
    pull_secrets: tuple[str, ...] = ()
    user_id: int | None = 1000
    group_id: int | None = 1000
    secrets: tuple[str, ...] = ()
    price: float | None = None
    currency: str = ""


@dataclass(frozen=True)
class DaskCluster:
    """What a workload of the kind ``dask`` is to be. Its resources are those of each worker of the default group.

    Args:
        n_workers: Workers of the default group at its start.
        groups: Further worker groups by name, with their workers at the start. These have no GPUs.
        threads: Threads of each worker; 0 leaves it to Dask: one with a GPU, else as many as there are CPUs.
    """

    n_workers: int = 2
    groups: Mapping[str, int] = field(default_factory=dict)
    threads: int = 0


@dataclass(frozen=True)
class WorkloadSpec:
    """A place to run in, complete.

    Args:
        id: The client's own id for it, 12 hexadecimal digits; a retry with the same id starts nothing twice.
        name: What people call it. For a session: its session name.
        owner: Hash of the user's name; nobody attaches across owners unasked.
        notebook: Identity of the notebook it was started from; empty where there was none.
        any_notebook: Any notebook of its owner finds it by its name, not only the one that started it.
        notebook_path: Its file there, the home folder written ``~``; for people, and to open it again.
        image: Container image; empty for the backend's own (``local``: this interpreter).
        python: The interpreter in the image.
        env: Environment variables for the user's code. Never secrets.
        work_dir: Folder its code runs in: on ``local`` the notebook's own; elsewhere relative to the mirrored project.
        store: fsspec URL or claim path where results outlive pods; empty for none.
        idle_limit: Seconds without a running cell after which a session ends itself.
        orphan_limit: Seconds without any client, and without a running cell, after which it ends itself.
        time_limit: Seconds after which it ends whatever it does; ``None`` for never.
        journal_limit: Bytes of journal kept on disk.
        dask: Of a Dask cluster, what it is to be.
        drives: Of a session, the id of the Dask cluster whose driver it is; empty where it is none.
        nodes: Nodes over which its ranks are spread, each with these resources.
        nproc_per_node: Ranks of each node as torchrun has it: a number, or ``gpu`` for one per GPU. Empty for one per GPU
            where there are several nodes, and for one in all where there is one.
    """

    id: str
    kind: Kind = Kind.SESSION
    name: str = DEFAULT_SESSION
    owner: str = ""
    notebook: str = ""
    any_notebook: bool = False
    notebook_path: str = ""
    image: str = ""
    python: str = ""
    resources: Resources = Resources()
    placement: Placement = Placement()
    volumes: tuple[Volume, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    work_dir: str = ""
    store: str = ""
    idle_limit: float = IDLE_LIMIT
    orphan_limit: float = ORPHAN_LIMIT
    time_limit: float | None = None
    journal_limit: int = 512 * 2**20
    dask: DaskCluster | None = None
    drives: str = ""
    nodes: int = 1
    nproc_per_node: str = ""

    @property
    def procs(self) -> int:
        """Ranks of each node."""
        if self.nproc_per_node.isdecimal():
            return int(self.nproc_per_node)
        each = self.nproc_per_node == "gpu" or self.nodes > 1
        return max(1, self.resources.gpus.count) if each else 1

    @property
    def world_size(self) -> int:
        """Ranks in all."""
        return self.nodes * self.procs

    @property
    def gpus(self) -> int:
        """GPUs in all that it was asked to have at its start."""
        places = self.nodes if self.dask is None else self.dask.n_workers
        return places * self.resources.gpus.count


@dataclass(frozen=True)
class RunSpec:
    """One execution of a cell.

    Args:
        id: The client's own id for it, 12 hexadecimal digits.
        cell: The source as the user wrote it, without the magic line.
        out: Names to bring back.
        magic: The magic line above the cell, so that line numbers agree with the notebook's.
        count: The cell's number in the notebook, so that prompts and tracebacks agree with it.
        generation: Of the payload that its values were sent to; it runs in no other. -1 where that does not matter.
        ranks: The ranks of a gang that execute it; empty for all.
    """

    id: str
    cell: str
    name: str = ""
    notebook: str = ""
    cell_id: str = ""
    out: tuple[str, ...] = ()
    magic: str = ""
    count: int = 0
    generation: int = -1
    ranks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Handle:
    """A workload that a backend knows: what it was asked to be and where to find it.

    Args:
        started: Wall clock in seconds since 1970, of the backend's own records.
        address: What the backend needs to reach it, in its own words; never a secret.
        ended: Its end was on record already when it was found; ``False`` does not say that it lives.
    """

    spec: WorkloadSpec
    backend: str
    started: float
    address: Mapping[str, str] = field(default_factory=dict)
    ended: bool = False

    @property
    def id(self) -> str:
        """The workload's id."""
        return self.spec.id


_FLAGS = {
    "resources.gpus": "--gpus",
    "resources.cpus": "--cpus",
    "resources.memory": "--memory",
    "resources.shared_memory": "--shared-memory",
    "nodes": "--nodes",
    "nproc_per_node": "--nproc-per-node",
    "image": "--image",
    "python": "--python",
    "volumes": "--volume",
    "env": "--env",
    "placement.secrets": "--secret",
    "placement.context": "--context",
    "placement.namespace": "--namespace",
    "time_limit": "--time-limit",
    "idle_limit": "--idle-limit",
    "dask.n_workers": "--n-workers",
    "dask.threads": "--nthreads",
    "dask.groups": "--group",
}
"""The flag that sets each field; the other fields are set by a profile alone."""

_OF_NO_CONSEQUENCE = frozenset({"placement.price", "placement.currency"})


def contradictions(asked: Mapping[str, object], living: WorkloadSpec) -> tuple[str, ...]:
    """What was asked for and a living session is not, as sentences. What the session has besides contradicts nothing.

    Args:
        asked: Dotted field names of :class:`WorkloadSpec` that were given explicitly, e.g. ``resources.gpus``.
        living: What the session was started as.
    """
    found: list[str] = []
    for path, value in asked.items():
        has: object = living
        for part in path.split("."):
            has = getattr(has, part)
        if path not in _OF_NO_CONSEQUENCE:
            found += _lacking(path, value, has)
    return tuple(found)


def _lacking(path: str, value: object, has: object) -> list[str]:
    """Sentences on what of ``value`` the session does not have. Values of variables are told to nobody."""
    flag = _FLAGS.get(path) or f"the profile's {path.rpartition('.')[2].replace('_', '-')}"
    if isinstance(value, Mapping) and isinstance(has, Mapping):
        return [
            f"{flag} {name}: the session has another value"
            if name in has
            else f"{flag} {name}: the session has none"
            for name, item in value.items()
            if has.get(name) != item
        ]
    if isinstance(value, tuple) and isinstance(has, tuple):
        return [f"{flag} {_shown(path, item)}: the session has none" for item in value if item not in has]
    if isinstance(value, Gpus) and isinstance(has, Gpus):
        if value.count == has.count and value.kind in ("", has.kind):
            return []
    elif value == has:
        return []
    return [f"{flag} {_shown(path, value)} was asked, the session has {_shown(path, has)}"]


def _shown(path: str, value: object) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, Volume):
        return f"{value.claim}:{value.path}" + (":ro" if value.read_only else "")
    if isinstance(value, Toleration):
        return value.key or "for everything"
    if isinstance(value, int | float) and path in (
        "resources.memory",
        "resources.shared_memory",
        "resources.scratch",
    ):
        return show_bytes(value)
    if isinstance(value, int | float) and path.endswith("_limit"):
        return show_about(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def with_fields(spec: WorkloadSpec, values: Mapping[str, object]) -> WorkloadSpec:
    """``spec`` with dotted fields replaced, e.g. ``{"resources.gpus": Gpus(2)}``.

    Raises:
        KeyError: there is no such field.
    """
    for path, value in values.items():
        spec = _replace_path(spec, path.split("."), value)
    return spec


def _replace_path(holder: D, path: Sequence[str], value: object) -> D:
    name, *rest = path
    if not is_dataclass(holder) or name not in {item.name for item in fields(holder)}:
        raise KeyError(name)
    inner = _replace_path(getattr(holder, name), rest, value) if rest else value
    return replace(holder, **{name: inner})  # type: ignore[type-var]
