"""Recordings for tests, and what is read of them."""

from __future__ import annotations

from pathlib import Path

from gpu_workbench.app.recording.folder import Recordings
from gpu_workbench.app.recording.growing import Growing
from gpu_workbench.core.events import Entry, OutputWritten, decode_entry, encode_entry
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Kind, Phase, Workload
from gpu_workbench.core.reduce import reduce
from gpu_workbench.core.spec import Handle, WorkloadSpec

LIMIT = 64 * 1024
DONE = Facts(phase=Phase.SUCCEEDED, gone=True)


def handle(id_: str, started: float = 1.0) -> Handle:
    spec = WorkloadSpec(id=id_, kind=Kind.JOB, name=f"name-{id_}")
    return Handle(spec=spec, backend="kubernetes", started=started, address={"namespace": "team"})


def journal(*events: object) -> bytes:
    entries = [Entry(0, "life", n, float(n), event) for n, event in enumerate(events, 1)]  # type: ignore[arg-type]
    return b"".join(encode_entry(entry).encode() + b"\n" for entry in entries)


def written(text: str, run: str = "r") -> OutputWritten:
    return OutputWritten(run, "stream", {"name": "stdout", "text": text})


def recordings(folder: Path, *, limit: int = LIMIT, count: int = 100) -> Recordings:
    made = Recordings(folder, limit=limit, count=count)
    made.prepare()
    return made


def record(kept: Recordings, id_: str, lines: bytes, *, started: float = 1.0, facts: Facts = DONE) -> None:
    growing = Growing(kept, handle(id_, started))
    growing.add(lines)
    growing.finish(facts)


def read(kept: Recordings, id_: str) -> bytes:
    return b"".join(kept.journal(id_))


def entries_of(lines: bytes) -> list[Entry]:
    found = [decode_entry(line) for line in lines.splitlines()]
    return [entry for entry in found if entry is not None]


def told(lines: bytes) -> Workload:
    workload = Workload(id="a", kind=Kind.JOB)
    for entry in entries_of(lines):
        workload = reduce(workload, entry)
    return workload
