"""Two servers write, end and are cut off, and garbage appears: all that is whole is read, and the limits hold."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gpu_workbench.app.recording.folder import Recordings
from gpu_workbench.app.recording.growing import Growing
from gpu_workbench.core.events import Entry, JournalTruncated, OutputWritten, encode_entry
from tests.unit.app.recording.journals import DONE, entries_of, handle, read, recordings, written


@dataclass
class Model:
    """What a recording should be."""

    lines: list[bytes] = field(default_factory=list)
    whole: bool = False


class Folder(RuleBasedStateMachine):
    """Two servers write, end, are cut off in the middle of a write, and garbage appears; the limits hold throughout."""

    @initialize(limit=st.sampled_from([3_000, 20_000, 1_000_000]), count=st.integers(1, 5))
    def begin(self, limit: int, count: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.limit, self.count, self.clock = limit, count, 0
        self.make: Callable[[], Recordings] = lambda: recordings(self.folder, limit=limit, count=count)
        self.servers = [self.make(), self.make()]
        self.growing: list[tuple[int, str, Growing]] = []
        self.models: dict[str, Model] = {}

    @rule(server=st.integers(0, 1))
    def start(self, server: int) -> None:
        self.clock += 1
        id_ = f"w{self.clock}"
        with contextlib.suppress(OSError):  # there is no room, where others grow
            made = Growing(self.servers[server], handle(id_, float(self.clock)))
            self.models[id_] = Model()
            self.growing.append((server, id_, made))

    @precondition(lambda self: self.growing)
    @rule(which=st.integers(0), size=st.integers(1, 800))
    def write(self, which: int, size: int) -> None:
        _, id_, growing = self.growing[which % len(self.growing)]
        model = self.models[id_]
        entry = Entry(0, "life", len(model.lines) + 1, 0.0, written(secrets.token_hex(size)))
        line = encode_entry(entry).encode() + b"\n"
        growing.add(line)
        model.lines.append(line)

    @precondition(lambda self: self.growing)
    @rule(which=st.integers(0))
    def finish(self, which: int) -> None:
        _, id_, growing = self.growing.pop(which % len(self.growing))
        growing.finish(DONE)
        self.models[id_].whole = True

    @rule(server=st.integers(0, 1), torn=st.binary(max_size=30))
    def crash(self, server: int, torn: bytes) -> None:
        """Its process is gone, each of its files cut in the middle of a write."""
        for one in [one for one in self.growing if one[0] == server]:
            self.growing.remove(one)
            with one[2]._path.open("ab") as file:
                file.write(torn)
            one[2]._file.close()
        (self.folder / "0000000000000001-w1.gz.new").write_bytes(torn)
        self.servers[server] = self.make()

    @rule(content=st.binary(max_size=60))
    def garbage(self, content: bytes) -> None:
        self.clock += 1
        name = f"{int(self.clock * 1000):016d}-g{self.clock}.gz"
        if len(content) + self.total() <= self.limit:
            (self.folder / name).write_bytes(content)

    def total(self) -> int:
        return sum(path.stat().st_size for path in self.folder.iterdir())

    @invariant()
    def all_that_is_whole_is_read(self) -> None:
        if not hasattr(self, "folder"):
            return
        for server in self.servers:
            heads = {head.handle.id: head for head in server.heads(100)}
            assert len([id_ for id_ in heads if id_ in self.models]) <= self.count
            for id_, head in heads.items():
                model, lines = self.models[id_], read(server, id_)
                assert head.whole == model.whole
                found = entries_of(lines)
                outputs = [entry for entry in found if isinstance(entry.event, OutputWritten)]
                tail = [encode_entry(entry).encode() + b"\n" for entry in outputs]
                assert tail == model.lines[len(model.lines) - len(tail) :] or not tail
                gone = sum(e.event.events for e in found if isinstance(e.event, JournalTruncated))
                assert len(tail) + gone == len(model.lines)

    @invariant()
    def the_limit_holds(self) -> None:
        if hasattr(self, "folder"):
            assert self.total() <= self.limit

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            for _, _, growing in self.growing:
                growing.leave()
            shutil.rmtree(self.folder)


TestFolder = Folder.TestCase
TestFolder.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
