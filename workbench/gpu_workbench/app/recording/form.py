"""What a recording says: its head, and the lines of a journal. Pure.

The head is one JSON object: which workload it is, and how it ended. What follows are journal lines as the agent wrote them
(:mod:`gpu_workbench.core.events`), so that whatever reads a journal reads a recording.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from gpu_workbench.core.errors import ProtocolError, VersionMismatch
from gpu_workbench.core.events import (
    Entry,
    Event,
    GpuSampled,
    JournalTruncated,
    OutputWritten,
    ProgressMoved,
    decode_entry,
    encode_entry,
)
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Phase, Workload
from gpu_workbench.core.reduce import reduce
from gpu_workbench.core.spec import Handle
from gpu_workbench.core.wire import JsonObject, decode, encode_fields

VERSION = 1
"""Of the form of a recording."""

HEAD_LIMIT = 1024 * 1024
"""Bytes of a head."""

FACTS_LIMIT = 256 * 1024
"""Bytes of objects that are kept of how a workload ended."""

NOT_SEEN = "How it ended was not seen: this server had stopped before"

_BULK = (OutputWritten, GpuSampled, ProgressMoved)


@dataclass(frozen=True)
class Head:
    """What a recording is of.

    Args:
        handle: The workload.
        facts: How it ended; ``None`` while the recording grows.
        whole: Whether its end was seen.
        length: Bytes that follow the head; ``None`` while they become more.
    """

    handle: Handle
    facts: Facts | None = None
    whole: bool = False
    length: int | None = None


def head_line(head: Head) -> bytes:
    """The head as one line."""
    return json.dumps({"recording": VERSION, **encode_fields(head)}).encode() + b"\n"


def parse_head(line: bytes) -> Head:
    """Read what :func:`head_line` gave.

    Raises:
        VersionMismatch: a newer version has written it.
        ProtocolError: it is no head.
    """
    try:
        form = json.loads(line)
    except (ValueError, RecursionError):
        form = None
    version = form.get("recording") if isinstance(form, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ProtocolError("It does not begin as a recording does")
    if version > VERSION:
        raise VersionMismatch(f"A newer version has written it ({version}; this one reads {VERSION})")
    return decode(Head, form)


def ending(facts: Facts | None) -> tuple[Facts, bool]:
    """How a workload ended, as it is kept, and whether its end was seen.

    What the cluster says of others (its nodes, their pods) is left out, and of its own objects what would be too much.
    """
    if facts is None or not facts.phase.ended:
        record: JsonObject = {"outcome": Phase.LOST.value, "reason": NOT_SEEN, "source": "the recorder"}
        return Facts(phase=Phase.LOST, record=record, gone=True), False
    kept = replace(facts, nodes=None, gpu_pods=None, quotas=(), agent_ready=False, gone=True)
    if len(json.dumps(encode_fields(kept))) > FACTS_LIMIT:
        kept = Facts(phase=facts.phase, record=facts.record, log_tail=facts.log_tail[-4096:], gone=True)
    return kept, True


class Story:
    """A workload as far as its journal tells, for when nobody saw how its objects ended.

    Args:
        handle: The workload.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._workload = Workload(id=handle.id, kind=handle.spec.kind)

    def take(self, lines: bytes) -> None:
        """Read on."""
        for line in lines.splitlines():
            if (entry := _decoded(line)) is not None and not isinstance(entry.event, _BULK):
                self._workload = reduce(self._workload, entry)

    @property
    def facts(self) -> Facts | None:
        """How it ended; ``None`` where the journal does not tell."""
        run = self._workload.runs.get(self._handle.id)
        phase = run.phase if run is not None else self._workload.phase
        return Facts(phase=phase, gone=True) if phase.ended else None


def thinned(lines: bytes) -> bytes:
    """Journal lines without output, samples and progress, and for each run a note of how much of its output is gone.

    A note takes the place of the last line that it stands for, so that the numbers still rise.
    """
    kept: dict[object, Entry] = {}
    for line in lines.splitlines():
        entry = _decoded(line)
        if entry is None:
            continue
        note = _note(entry.event)
        if note is not None:
            key = ("note", entry.rank, note.run)
            before = kept.pop(key, None)
            kept[key] = replace(entry, event=_added(before.event if before else None, note))
        elif not isinstance(entry.event, _BULK):
            kept[entry.rank, entry.epoch, entry.n] = entry
    return b"".join(map(_encoded, kept.values()))


def _note(event: Event) -> JournalTruncated | None:
    """What tells that this is gone; ``None`` where nothing has to."""
    if isinstance(event, OutputWritten):
        text = event.content.get("text")
        return JournalTruncated(1, characters=len(text) if isinstance(text, str) else 0, run=event.run)
    return event if isinstance(event, JournalTruncated) else None


def _added(before: Event | None, note: JournalTruncated) -> JournalTruncated:
    if not isinstance(before, JournalTruncated):
        return note
    return replace(note, events=before.events + note.events, characters=before.characters + note.characters)


def _encoded(entry: Entry) -> bytes:
    return encode_entry(entry).encode("utf-8", "surrogatepass") + b"\n"


def _decoded(line: bytes) -> Entry | None:
    try:
        return decode_entry(line)
    except ProtocolError:
        return None
