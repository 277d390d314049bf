"""Recordings on disk: whatever ends or breaks in the middle of it, all that is whole is read, and the limits hold."""

from __future__ import annotations

import logging
import os
import secrets
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_workbench.app.recording import form
from gpu_workbench.app.recording.growing import SHARE, Growing
from gpu_workbench.app.recording.members import member
from gpu_workbench.core.events import (
    GpuSampled,
    JournalTruncated,
    OutputWritten,
    RunEnded,
    RunQueued,
    RunStarted,
)
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import GpuSample, Phase
from tests.unit.app.recording.journals import (
    DONE,
    LIMIT,
    entries_of,
    handle,
    journal,
    read,
    record,
    recordings,
    told,
    written,
)


def test_what_was_recorded_is_there_for_the_next_server(tmp_path: Path) -> None:
    lines = journal(RunQueued("r"), written("hello\n"))
    facts = Facts(phase=Phase.FAILED, gone=True, record={"outcome": "Failed"}, log_tail="the end")
    record(recordings(tmp_path), "a", lines, facts=facts)
    later = recordings(tmp_path)
    (head,) = later.heads(10)
    assert head == form.Head(handle("a"), facts, whole=True, length=head.length)
    assert later.find("a") == head
    assert later.find("b") is None
    assert read(later, "a") == lines
    assert read(later, "b") == b""


def test_only_its_user_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "recordings"
    kept = recordings(folder)
    growing = Growing(kept, handle("grows"))
    record(kept, "a", journal(written("x")))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    growing.leave()


def test_what_the_cluster_says_of_others_is_not_kept(tmp_path: Path) -> None:
    facts = Facts(phase=Phase.FAILED, nodes=({"n": 1},), gpu_pods=({"p": 1},), quotas=({"q": 1},), pods=({},))
    record(recordings(tmp_path), "a", journal(), facts=facts)
    head = recordings(tmp_path).find("a")
    assert head is not None
    assert head.facts == Facts(phase=Phase.FAILED, pods=({},), gone=True)


def test_objects_that_are_too_large_are_left_out(tmp_path: Path) -> None:
    facts = Facts(phase=Phase.FAILED, pods=({"x": "y" * form.FACTS_LIMIT},), log_tail="tail")
    record(recordings(tmp_path), "a", journal(), facts=facts)
    head = recordings(tmp_path).find("a")
    assert head is not None
    assert head.facts == Facts(phase=Phase.FAILED, log_tail="tail", gone=True)


class TestNewestFirst:
    """A list of thousands is cheap: their names order them, and only what is shown is read."""

    def test_only_the_newest_are_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        kept = recordings(tmp_path)
        for number in range(20):
            record(kept, f"a{number}", journal(), started=float(number))
        later, opened = recordings(tmp_path), []
        whole = form.parse_head
        monkeypatch.setattr(
            "gpu_workbench.app.recording.folder.parse_head", lambda line: opened.append(1) or whole(line)
        )
        assert [head.handle.id for head in later.heads(3)] == ["a19", "a18", "a17"]
        assert len(opened) == 3
        later.heads(3)
        assert len(opened) == 3, "read once"

    def test_one_that_was_replaced_is_read_again(self, tmp_path: Path) -> None:
        kept = recordings(tmp_path)
        record(kept, "a", journal(written("x")), facts=Facts(phase=Phase.RUNNING))
        assert [head.whole for head in kept.heads(1)] == [False]
        record(recordings(tmp_path), "a", journal(written("x")))
        assert [head.whole for head in kept.heads(1)] == [True]


class TestLimits:
    """Of more than may be kept the oldest go."""

    def test_the_oldest_go(self, tmp_path: Path) -> None:
        kept = recordings(tmp_path, count=3)
        for number in (5, 1, 4, 2, 3):
            record(kept, f"a{number}", journal(), started=float(number))
        assert [head.handle.id for head in kept.heads(9)] == ["a5", "a4", "a3"]

    def test_a_long_one_loses_its_oldest_output_and_says_how_much(self, tmp_path: Path) -> None:
        kept = recordings(tmp_path)
        growing = Growing(kept, handle("a"))
        texts = [secrets.token_hex(4000) for _ in range(40)]
        entries = [
            RunQueued("r"),
            RunStarted("r"),
            *map(written, texts),
            RunEnded("r", Phase.SUCCEEDED),
        ]
        for line in journal(*entries).splitlines(keepends=True):
            growing.add(line)
        growing.finish(DONE)
        (file,) = tmp_path.glob("*.gz")
        assert file.stat().st_size <= LIMIT // SHARE + form.HEAD_LIMIT
        workload = told(read(kept, "a"))
        run = workload.runs["r"]
        assert run.phase is Phase.SUCCEEDED
        assert run.started_at == 2.0
        assert 0 < run.characters["stdout"] < 40 * 8000
        assert run.characters["stdout"] + run.truncated == 40 * 8000
        found = [entry.event for entry in entries_of(read(kept, "a"))]
        assert [event for event in found if isinstance(event, OutputWritten)][-1] == written(texts[-1])

    def test_one_line_that_is_larger_than_all_is_left_out(self, tmp_path: Path) -> None:
        kept = recordings(tmp_path)
        record(
            kept, "a", journal(RunQueued("r"), written(secrets.token_hex(LIMIT)), RunEnded("r", Phase.FAILED))
        )
        run = told(read(kept, "a")).runs["r"]
        assert (run.phase, run.truncated, dict(run.characters)) == (Phase.FAILED, 2 * LIMIT, {})


EVENTS = st.one_of(
    st.builds(written, st.text(max_size=9), st.sampled_from(["r", "s"])),
    st.builds(RunQueued, st.sampled_from(["r", "s"])),
    st.builds(RunEnded, st.sampled_from(["r", "s"]), st.sampled_from([Phase.SUCCEEDED, Phase.FAILED])),
    st.just(GpuSampled((GpuSample(0, utilisation=1.0),))),
    st.builds(JournalTruncated, st.integers(0, 9), st.integers(0, 9), st.sampled_from(["", "r"])),
)


@given(st.lists(EVENTS, max_size=20))
def test_what_is_thinned_tells_the_same_but_for_its_output(events: list[object]) -> None:
    lines = journal(*events)
    thin = form.thinned(lines)
    before, after = told(lines), told(thin)
    assert form.thinned(thin) == thin
    numbers = [entry.n for entry in entries_of(thin)]
    assert numbers == sorted(set(numbers))
    assert before.runs.keys() == after.runs.keys()
    for run, now in zip(before.runs.values(), (after.runs[id_] for id_ in before.runs), strict=True):
        assert (run.phase, run.failure) == (now.phase, now.failure)
        if not any(isinstance(event, RunQueued) for event in events):  # queued anew: counted anew
            assert sum(run.characters.values()) + run.truncated == now.truncated


class TestDamage:
    """Whatever a file is, it hides no other."""

    def test_garbage_is_set_aside_and_said(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        kept = recordings(tmp_path)
        record(kept, "good", journal(written("x")))
        name = "0000000000009999-bad.gz"
        (tmp_path / name).write_bytes(b"garbage")
        with caplog.at_level(logging.WARNING):
            assert [head.handle.id for head in kept.heads(9)] == ["good"]
            assert [head.handle.id for head in kept.heads(9)] == ["good"]
        assert [record.message for record in caplog.records if name in record.message] == [
            f"A recording cannot be read and was set aside as {name}.damaged: "
            "Error -3 while decompressing data: incorrect header check"
        ]
        assert (tmp_path / f"{name}.damaged").exists()

    def test_one_of_a_newer_version_is_left_alone_with_one_line(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        kept = recordings(tmp_path)
        record(kept, "good", journal(written("x")))
        name = "0000000000009999-new.gz"
        content = member(b'{"recording": 2, "other": "form"}\n')
        (tmp_path / name).write_bytes(content)
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert [head.handle.id for head in kept.heads(9)] == ["good"]
        (line,) = [record.message for record in caplog.records]
        assert line == (
            f"The recording {name} is left alone: A newer version has written it (2; this one reads 1)"
        )
        assert (tmp_path / name).read_bytes() == content

    @pytest.mark.parametrize(
        "head",
        [
            b"",
            b"[]",
            b"{",
            b'{"recording": true}',
            b'{"recording": 1}',
            b'{"recording": "1", "handle": {}}',
            b'{"recording": 1, "handle": {"spec": {"id": 3}, "backend": "x", "started": 1}}',
            b"[" * 100_000,
            form.head_line(form.Head(handle("another"))),
            b" " * (form.HEAD_LIMIT + 1),
        ],
        ids=range(10),
    )
    def test_what_does_not_begin_as_a_recording_is_none(self, tmp_path: Path, head: bytes) -> None:
        kept = recordings(tmp_path)
        (tmp_path / "0000000000009999-bad.gz").write_bytes(member(head))
        assert kept.heads(9) == []
        assert kept.find("bad") is None
        assert list(tmp_path.glob("*.damaged"))

    def test_what_is_no_file_of_ours_is_left_alone(self, tmp_path: Path) -> None:
        kept = recordings(tmp_path)
        (tmp_path / "notes.txt").write_text("mine")
        (tmp_path / "0000000000009999-folder.gz").mkdir()
        assert kept.heads(9) == []
        assert (tmp_path / "notes.txt").read_text() == "mine"

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_cut_or_changed_at_any_byte_it_hides_no_other_and_tells_nothing_wrong(
        self, tmp_path: Path, data: st.DataObject
    ) -> None:
        folder = tmp_path / secrets.token_hex(4)
        kept = recordings(folder)
        lines = [journal(written(str(number) * 50)) for number in range(4)]
        growing = Growing(kept, handle("hurt", 5.0))
        for line in lines:
            growing.add(line)
        growing.finish(DONE)
        record(kept, "good", lines[0])
        (path,) = folder.glob("*hurt.gz")
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            del content[place:]
        else:
            content[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        later = recordings(folder)
        assert "good" in [head.handle.id for head in later.heads(9)]
        assert read(later, "good") == lines[0]
        if later.find("hurt") is not None:
            assert read(later, "hurt") in [b"".join(lines[:count]) for count in range(5)]


class TestServersThatEnd:
    """A server may end at any moment; the next takes over what it left."""

    def test_what_was_seen_before_is_there(self, tmp_path: Path) -> None:
        growing = Growing(recordings(tmp_path), handle("a"))
        growing.add(journal(RunQueued("r"), written("half")))
        growing._file.close()  # as the system does when a process ends
        head = recordings(tmp_path).find("a")
        assert head is not None
        assert not head.whole
        assert head.facts is not None
        assert head.facts.phase is Phase.LOST
        assert (head.facts.record or {})["reason"] == form.NOT_SEEN
        assert told(read(recordings(tmp_path), "a")).runs["r"].characters == {"stdout": 4}

    def test_an_end_that_the_journal_tells_is_known(self, tmp_path: Path) -> None:
        growing = Growing(recordings(tmp_path), handle("a"))
        growing.add(journal(RunQueued("a"), written("x", "a"), RunEnded("a", Phase.SUCCEEDED)))
        growing.leave()
        head = recordings(tmp_path).find("a")
        assert head is not None
        assert head.whole
        assert head.facts == DONE

    def test_another_living_server_keeps_what_it_writes(self, tmp_path: Path) -> None:
        one = recordings(tmp_path)
        growing = Growing(one, handle("a"))
        growing.add(journal(written("x")))
        other = recordings(tmp_path)
        assert other.heads(9) == []
        growing.add(journal(written("x"), written("y")))
        growing.finish(DONE)
        assert [head.handle.id for head in other.heads(9)] == ["a"]

    def test_of_two_that_saw_the_same_the_one_that_saw_more_is_kept(self, tmp_path: Path) -> None:
        more, less = journal(*map(written, "abc")), journal(written("a"))
        one, other = recordings(tmp_path), recordings(tmp_path)
        for lines in (less, more, less):
            record(one if lines is more else other, "a", lines)
            record(other, "a", more * 2, facts=Facts(phase=Phase.RUNNING))  # its end was not seen
        assert read(one, "a") == more

    def test_a_full_disk_loses_no_more_than_what_did_not_fit(self, tmp_path: Path) -> None:
        growing = Growing(recordings(tmp_path), handle("a"))
        growing.add(journal(written("kept")))
        size = os.fstat(growing._file.fileno()).st_size
        file = growing._file
        growing._file = Stops(file, after=10)  # type: ignore[assignment]
        with pytest.raises(OSError, match="No space"):
            growing.add(journal(written("kept"), written("lost")))
        assert os.fstat(file.fileno()).st_size == size
        growing._file = file
        growing.leave()
        assert read(recordings(tmp_path), "a") == journal(written("kept"))

    def test_forgotten_is_gone(self, tmp_path: Path) -> None:
        kept = recordings(tmp_path)
        record(kept, "a", journal(written("x")))
        record(kept, "b", journal(written("x")))
        kept.forget("a")
        kept.forget("nobody")
        assert [head.handle.id for head in kept.heads(9)] == ["b"]


class Stops:
    """A file on a disk with room for so many bytes."""

    def __init__(self, file: object, *, after: int) -> None:
        self._file, self._left = file, after

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def write(self, data: memoryview) -> int:
        if not self._left:
            raise OSError(28, "No space left on device")
        count = min(len(data), self._left)
        self._left -= count
        self._file.write(data[:count])  # type: ignore[attr-defined]
        return count
