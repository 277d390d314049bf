"""Past-tense facts that an agent numbered, and their JSON wire form.

A line of the journal is one JSON object: ``rank``, ``epoch``, ``n`` and ``t`` say whose fact it is and when, ``type`` names
it, the rest are its fields. ``t`` is seconds on the agent's own monotonic clock since it started, so that no two clocks
are ever compared. Numbers begin at 1 and have no gap within an epoch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeGuard

from gpu_workbench.core.errors import ProtocolError
from gpu_workbench.core.model import (
    DaskState,
    Failure,
    GpuDevice,
    GpuSample,
    Kind,
    NameInfo,
    Phase,
    Progress,
    Receipt,
    StoredValue,
)
from gpu_workbench.core.wire import Json, JsonObject, decode, encode_fields


@dataclass(frozen=True)
class AgentStarted:
    """The first event of an epoch. ``started`` is the wall clock as ISO 8601, for people only."""

    kind: Kind
    version: str
    started: str
    python: str = ""
    host: str = ""
    generation: int = 0
    gpus: tuple[GpuDevice, ...] = ()
    gpus_missing: str = ""
    world_size: int = 1


@dataclass(frozen=True)
class RankStarted:
    """The payload of a rank is up: a kernel that answers, or a process that runs."""

    python: str = ""


@dataclass(frozen=True)
class RankEnded:
    """The payload of a rank is gone."""

    phase: Phase
    failure: Failure | None = None


@dataclass(frozen=True)
class RankReported:
    """How far a rank has come with a run, as the head has heard. Its output stays in its own journal.

    ``phase`` is that of the rank's part of the run, ``line`` the last it has written.
    """

    run: str
    phase: Phase
    line: str = ""
    progress: Progress | None = None
    failure: Failure | None = None
    receipt: Receipt | None = None


@dataclass(frozen=True)
class PayloadRestarted:
    """A new payload took the place of the old one: names sent to it are gone."""

    generation: int
    reason: str


@dataclass(frozen=True)
class RunQueued:
    """A run was accepted. ``ahead`` names the runs before it, first come first."""

    run: str
    name: str = ""
    notebook: str = ""
    cell_id: str = ""
    ahead: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunStarted:
    """A run began to execute."""

    run: str


@dataclass(frozen=True)
class OutputWritten:
    """A piece of a run's output: the type and content of a message on Jupyter's IOPub channel, unchanged.

    Source: the messaging section of the Jupyter client documentation.
    """

    run: str
    message: str
    content: JsonObject
    metadata: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class InputRequested:
    """The run waits for a line of input."""

    run: str
    request: str
    prompt: str = ""
    password: bool = False


@dataclass(frozen=True)
class InputAnswered:
    """Somebody answered; the first answer wins."""

    run: str
    request: str


@dataclass(frozen=True)
class ProgressMoved:
    """A loop of the run has come further."""

    run: str
    progress: Progress


@dataclass(frozen=True)
class NamesBound:
    """Variables the run bound or removed in the session."""

    run: str
    names: Mapping[str, NameInfo] = field(default_factory=dict)
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResultStored:
    """A result of the run can be fetched."""

    run: str
    value: StoredValue


@dataclass(frozen=True)
class RunEnded:
    """A run is over."""

    run: str
    phase: Phase
    failure: Failure | None = None
    receipt: Receipt | None = None


@dataclass(frozen=True)
class GpuSampled:
    """The devices of this rank, about once a second."""

    samples: tuple[GpuSample, ...]


@dataclass(frozen=True)
class DaskSampled:
    """What the Dask scheduler says of its cluster, about once a second while anything changes."""

    state: DaskState


@dataclass(frozen=True)
class JournalTruncated:
    """The journal was full: so much of its oldest part, or of one run's output, is gone."""

    events: int
    characters: int = 0
    run: str = ""


@dataclass(frozen=True)
class LimitSet:
    """When the workload will end by itself unless something happens; ``ends_at`` is absent where it will not."""

    limit: str
    ends_at: float | None = None


@dataclass(frozen=True)
class StopBegan:
    """The workload is going down."""

    reason: str
    phase: Phase = Phase.STOPPED


Event = (
    AgentStarted
    | RankStarted
    | RankEnded
    | RankReported
    | PayloadRestarted
    | RunQueued
    | RunStarted
    | OutputWritten
    | InputRequested
    | InputAnswered
    | ProgressMoved
    | NamesBound
    | ResultStored
    | RunEnded
    | GpuSampled
    | DaskSampled
    | JournalTruncated
    | LimitSet
    | StopBegan
)

TYPES: dict[str, type[Event]] = {
    cls.__name__: cls
    for cls in (
        AgentStarted,
        RankStarted,
        RankEnded,
        RankReported,
        PayloadRestarted,
        RunQueued,
        RunStarted,
        OutputWritten,
        InputRequested,
        InputAnswered,
        ProgressMoved,
        NamesBound,
        ResultStored,
        RunEnded,
        GpuSampled,
        DaskSampled,
        JournalTruncated,
        LimitSet,
        StopBegan,
    )
}


_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


@dataclass(frozen=True)
class Cursor:
    """A place in one rank's journal: after event ``n`` of ``epoch``. An empty epoch is the beginning."""

    START: ClassVar[Cursor]

    epoch: str = ""
    n: int = 0

    def __str__(self) -> str:
        return f"{self.epoch}.{self.n}" if self.epoch else ""

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what ``str()`` gave.

        Raises:
            ProtocolError: it is not a cursor.
        """
        if not text:
            return cls.START
        epoch, _, number = text.rpartition(".")
        if not epoch or not _NUMBER.fullmatch(number):
            raise ProtocolError("That is not a cursor", why=repr(text[:80]))
        return cls(epoch, int(number))


Cursor.START = Cursor()


@dataclass(frozen=True)
class Entry:
    """One line of a journal: an event and where it stands."""

    rank: int
    epoch: str
    n: int
    t: float
    event: Event

    @property
    def cursor(self) -> Cursor:
        """The place right after this entry."""
        return Cursor(self.epoch, self.n)


def encode_entry(entry: Entry) -> str:
    """One line of JSON without its line break."""
    form: JsonObject = {
        "rank": entry.rank,
        "epoch": entry.epoch,
        "n": entry.n,
        "t": round(entry.t, 4),
        "type": type(entry.event).__name__,
        **encode_fields(entry.event),
    }
    line = json.dumps(form, ensure_ascii=False, separators=(",", ":"))
    try:
        line.encode()
    except UnicodeEncodeError:  # half a surrogate pair: JSON can say it, UTF-8 cannot
        return json.dumps(form, separators=(",", ":"))
    return line


def decode_entry(line: str | bytes) -> Entry | None:
    """Read one line; ``None`` for an event of a newer version that this one does not know.

    Raises:
        ProtocolError: the line is not a journal entry.
    """
    try:
        form: Json = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("A line of the journal is not JSON", why=str(error)) from None
    if not isinstance(form, dict):
        raise ProtocolError("A line of the journal is not an object", why=repr(line[:80]))
    rank, epoch, n, t, name = (form.get(key) for key in ("rank", "epoch", "n", "t", "type"))
    if (
        not _is_int(rank)
        or not isinstance(epoch, str)
        or not _is_int(n)
        or not isinstance(t, int | float)
        or abs(t) > _LATEST
        or not isinstance(name, str)
    ):
        raise ProtocolError("A line of the journal has no number", why=repr(line[:80]))
    cls = TYPES.get(name)
    if cls is None:
        return None
    return Entry(rank=rank, epoch=epoch, n=n, t=float(t), event=_decode_event(cls, form))


_LATEST = 1e12
"""Seconds; no agent lives that long."""


def _is_int(form: Json) -> TypeGuard[int]:
    return isinstance(form, int) and not isinstance(form, bool)


def _decode_event(cls: type[Event], form: JsonObject) -> Event:
    if cls is OutputWritten:  # the one event that comes by the hundred thousand
        run, message, content, metadata = (form.get(key) for key in ("run", "message", "content", "metadata"))
        if isinstance(run, str) and isinstance(message, str) and isinstance(content, dict):
            return OutputWritten(run, message, content, metadata if isinstance(metadata, dict) else {})
    return decode(cls, form)
