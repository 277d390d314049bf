"""``reduce``: the same journal gives the same picture however it was delivered, and the picture is true."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.core import events as e
from gpu_workbench.core.events import Entry, decode_entry, encode_entry
from gpu_workbench.core.model import (
    Cause,
    Failure,
    GpuDevice,
    GpuSample,
    Kind,
    NameInfo,
    Phase,
    Progress,
    Receipt,
    StoredValue,
    Workload,
)
from gpu_workbench.core.reduce import LAST_LINE, SAMPLES_KEPT, reduce

NEW = Workload(id="0123456789ab")


def read(entries: Iterable[Entry], workload: Workload = NEW) -> Workload:
    return functools.reduce(reduce, entries, workload)


class Life:
    """One life of one agent: it numbers what it says, and says only what can happen."""

    def __init__(self, *, rank: int, epoch: str, generation: int) -> None:
        self.rank, self.epoch, self.generation = rank, epoch, generation
        self.entries: list[Entry] = []
        self.queue: list[str] = []
        self.running = ""
        self.runs = 0

    def say(self, event: e.Event) -> None:
        n = len(self.entries) + 1
        self.entries.append(Entry(rank=self.rank, epoch=self.epoch, n=n, t=n / 4, event=event))

    def start(self) -> None:
        gpu = GpuDevice(0, "H200 SIMULATED", simulated=True)
        self.say(
            e.AgentStarted(Kind.SESSION, "1", f"{self.epoch}:00", generation=self.generation, gpus=(gpu,))
        )
        self.say(e.RankStarted("3.11.7"))

    def queue_run(self) -> None:
        self.runs += 1
        run = f"{self.epoch}-run{self.runs}"
        ahead = (*([self.running] if self.running else []), *self.queue)
        self.say(e.RunQueued(run, name="a cell", ahead=ahead))
        self.queue.append(run)

    def start_run(self) -> None:
        if self.queue and not self.running:
            self.running = self.queue.pop(0)
            self.say(e.RunStarted(self.running))

    def write(self, text: str) -> None:
        self.in_run(lambda run: e.OutputWritten(run, "stream", {"name": "stdout", "text": text}))

    def display(self) -> None:
        self.in_run(lambda run: e.OutputWritten(run, "display_data", {"data": {"text/plain": "1"}}))

    def progress(self) -> None:
        self.in_run(lambda run: e.ProgressMoved(run, Progress("epoch", len(self.entries), 100)))

    def bind(self) -> None:
        self.in_run(
            lambda run: e.NamesBound(run, {f"x{len(self.entries) % 3}": NameInfo("int")}, removed=("x0",))
        )

    def ask(self) -> None:
        self.in_run(lambda run: e.InputRequested(run, "1", "name? "))

    def store(self) -> None:
        self.in_run(lambda run: e.ResultStored(run, StoredValue("x", len(self.entries), "d", "json")))

    def end_run(self) -> None:
        self.in_run(lambda run: e.RunEnded(run, Phase.SUCCEEDED, receipt=Receipt(seconds=1)))
        self.running = ""

    def in_run(self, event: Callable[[str], e.Event]) -> None:
        if self.running:
            self.say(event(self.running))

    def sample(self) -> None:
        self.say(e.GpuSampled((GpuSample(0, utilisation=50.0),)))

    def truncate(self) -> None:
        self.say(e.JournalTruncated(3, 40, run=self.running))

    def limit(self) -> None:
        self.say(e.LimitSet("idle", len(self.entries) + 60.0))

    def restart(self) -> None:
        if self.running:
            self.say(
                e.RunEnded(self.running, Phase.FAILED, Failure(Cause.INTERRUPTED, "interrupted"), Receipt(1))
            )
            self.running = ""
        self.generation += 1
        self.say(e.PayloadRestarted(self.generation, "interrupted twice"))
        self.say(e.RankStarted())

    def stop(self) -> None:
        self.say(e.StopBegan("idle"))
        self.say(e.RankEnded(Phase.STOPPED))


HEAD = ("queue_run", "start_run", "display", "progress", "bind", "ask", "store", "end_run", "restart")
ANY = ("sample", "truncate", "limit")


@st.composite
def lives(draw: st.DrawFn, rank: int) -> list[Entry]:
    """All lives of one rank, one after the other; each but the last may break off anywhere."""
    entries: list[Entry] = []
    generation = 0
    for number in range(draw(st.integers(1, 3))):
        life = Life(rank=rank, epoch=f"e{rank}{number}", generation=generation)
        life.start()
        for action in draw(
            st.lists(st.sampled_from((*HEAD, *ANY, "write") if rank == 0 else ANY), max_size=14)
        ):
            if action == "write":
                life.write(draw(st.text("ab\n\r", max_size=8)))
            else:
                getattr(life, action)()
        if draw(st.booleans()):
            life.stop()
        generation = life.generation + 1
        entries += life.entries
    return entries


@st.composite
def journals(draw: st.DrawFn) -> list[Entry]:
    """What a client sees of a gang: the lives of up to three ranks, interleaved in any way."""
    waiting = [draw(lives(rank)) for rank in range(draw(st.integers(1, 3)))]
    merged: list[Entry] = []
    while any(waiting):
        turn = draw(st.sampled_from([index for index, left in enumerate(waiting) if left]))
        merged.append(waiting[turn].pop(0))
    return merged


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Entry], list[Entry]]:
    """A prefix of a journal, and the same prefix as a client with a bad connection received it."""
    journal = draw(journals())
    prefix = journal[: draw(st.integers(0, len(journal)))]
    received: list[Entry] = []
    reached = 0
    while reached < len(prefix):
        begin = draw(st.integers(0, reached))
        reached = draw(st.integers(reached + 1, len(prefix)))
        received += prefix[begin:reached]
    return prefix, received


@given(deliveries())
def test_any_redelivery_from_an_earlier_number_gives_the_same_workload(
    delivery: tuple[list[Entry], list[Entry]],
) -> None:
    sent, received = delivery
    assert read(received) == read(sent)


@given(journals(), st.integers(1, 3))
def test_any_duplication_gives_the_same_workload(journal: list[Entry], times: int) -> None:
    assert read(entry for entry in journal for _ in range(times)) == read(journal)


@given(journals())
def test_what_is_known_already_leaves_the_very_same_object(journal: list[Entry]) -> None:
    workload = read(journal)
    for entry in journal:
        assert reduce(workload, entry) is workload


@given(journals(), st.data())
def test_reading_on_from_each_ranks_cursor_misses_nothing(journal: list[Entry], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(journal)))
    before = read(journal[:cut])
    after = [
        entry
        for entry in journal[cut:]
        if (rank := before.ranks.get(entry.rank)) is None
        or (rank.epoch, rank.number) != (entry.epoch, entry.n)
    ]
    assert read(after, before) == read(journal)


@given(journals())
def test_the_wire_changes_nothing(journal: list[Entry]) -> None:
    assert read(_through_the_wire(encode_entry(entry) for entry in journal)) == read(journal)


@given(journals(), st.data())
def test_events_of_a_newer_version_change_nothing(journal: list[Entry], data: st.DataObject) -> None:
    lines: list[str] = []
    for entry in journal:
        lines.append(encode_entry(entry))
        if data.draw(st.booleans()):
            form = {"rank": entry.rank, "epoch": entry.epoch, "n": 10_000, "t": 0, "type": "MoonRose"}
            lines.append(json.dumps(form))
    assert read(_through_the_wire(lines)) == read(journal)


def _through_the_wire(lines: Iterable[str]) -> list[Entry]:
    return [entry for line in lines if (entry := decode_entry(line)) is not None]


@given(journals())
def test_at_every_moment_the_picture_is_true(journal: list[Entry]) -> None:
    before = NEW
    for entry in journal:
        after = reduce(before, entry)
        assert after.generation >= before.generation
        assert sum(run.phase is Phase.RUNNING for run in after.runs.values()) <= 1
        assert set(after.bound_by) == set(after.names)
        assert all(run.place == len(run.ahead) for run in after.runs.values())
        assert all(not run.ahead for run in after.runs.values() if run.phase is not Phase.QUEUED)
        if before.phase is Phase.RUNNING and after.phase is Phase.STARTING:
            assert entry.rank == 0
        before = after


@given(lives(0))
def test_characters_are_counted_as_they_were_written(journal: list[Entry]) -> None:
    written: dict[str, int] = {}
    for entry in journal:
        if isinstance(entry.event, e.OutputWritten) and entry.event.message == "stream":
            text = str(entry.event.content["text"])
            written[entry.event.run] = written.get(entry.event.run, 0) + len(text)
    runs = read(journal).runs
    assert {run.id: run.characters["stdout"] for run in runs.values() if run.characters} == written


def _head(*events: e.Event, epoch: str = "a", rank: int = 0, after: int = 0) -> list[Entry]:
    return [Entry(rank, epoch, after + n, float(n), event) for n, event in enumerate(events, start=1)]


STARTED = e.AgentStarted(Kind.SESSION, "1", "2025-01-01T00:00:00Z")


def test_a_new_life_of_the_head_loses_names_runs_and_its_clock() -> None:
    workload = read(
        _head(
            STARTED,
            e.RankStarted(),
            e.LimitSet("idle", 3600),
            e.RunQueued("done"),
            e.RunStarted("done"),
            e.NamesBound("done", {"x": NameInfo("int")}),
            e.RunEnded("done", Phase.SUCCEEDED),
            e.RunQueued("busy"),
            e.RunStarted("busy"),
            e.InputRequested("busy", "1"),
            e.RunQueued("next", ahead=("busy",)),
        )
    )
    assert workload.busy is not None
    again = read(_head(e.AgentStarted(Kind.SESSION, "1", "later", generation=1), epoch="b"), workload)
    assert (again.generation, again.names, again.bound_by, again.busy, again.limit) == (1, {}, {}, None, None)
    assert {run.id: run.phase for run in again.runs.values()} == {
        "done": Phase.SUCCEEDED,
        "busy": Phase.LOST,
        "next": Phase.LOST,
    }
    busy = again.runs["busy"]
    assert busy.failure is not None
    assert busy.failure.cause is Cause.LOST
    assert "started again" in busy.failure.what
    assert not busy.waiting_for_input
    assert again.runs["next"].place == 0
    assert again.ranks[0].past == ("a",)


def test_a_new_life_whose_beginning_was_cut_off_counts_as_one() -> None:
    workload = read(_head(STARTED, e.RankStarted(), e.RunQueued("r"), e.RunStarted("r")))
    later = read(_head(e.JournalTruncated(5), epoch="b", after=5), workload)
    assert later.runs["r"].phase is Phase.LOST
    assert later.lost_events == 5


def test_a_run_that_is_started_again_in_the_new_life_runs() -> None:
    workload = read(_head(STARTED, e.RunQueued("r"), e.RunStarted("r")))
    workload = read(_head(STARTED, e.RunStarted("r"), epoch="b"), workload)
    assert workload.runs["r"].phase is Phase.RUNNING
    assert workload.runs["r"].failure is None


def test_a_new_life_of_another_rank_leaves_the_heads_state_alone() -> None:
    workload = read(_head(STARTED, e.RankStarted(), e.RunQueued("r"), e.RunStarted("r")))
    workload = read(_head(STARTED, e.RankStarted(), epoch="x", rank=1), workload)
    later = read(_head(STARTED, epoch="y", rank=1), workload)
    assert later.runs["r"].phase is Phase.RUNNING
    assert later.phase is Phase.RUNNING
    assert later.ranks[1].phase is Phase.STARTING


def test_the_generation_never_falls_even_if_an_agent_forgot_it() -> None:
    workload = read(_head(STARTED, e.PayloadRestarted(3, "interrupted twice")))
    assert read(_head(STARTED, epoch="b"), workload).generation == 3


def test_the_first_failure_is_the_one_that_is_told() -> None:
    first, second = (
        Failure(Cause.OUT_OF_MEMORY, "rank 1 ran out", rank=1),
        Failure(Cause.EXITED, "rank 0 left"),
    )
    workload = read(_head(STARTED, e.RankStarted()))
    workload = read(_head(STARTED, e.RankEnded(Phase.FAILED, first), epoch="x", rank=1), workload)
    assert workload.phase is Phase.RUNNING
    workload = read(_head(e.RankEnded(Phase.FAILED, second), after=2), workload)
    assert (workload.phase, workload.failure) == (Phase.FAILED, first)


def test_a_restarted_payload_forgets_names_and_keeps_the_queue() -> None:
    workload = read(
        _head(
            STARTED,
            e.RankStarted(),
            e.RunQueued("a"),
            e.RunStarted("a"),
            e.NamesBound("a", {"x": NameInfo("int")}),
            e.RunQueued("b", ahead=("a",)),
            e.RunEnded("a", Phase.FAILED, Failure(Cause.INTERRUPTED, "interrupted")),
            e.PayloadRestarted(1, "interrupted twice"),
        )
    )
    assert (workload.phase, workload.generation, workload.names) == (Phase.STARTING, 1, {})
    assert (workload.runs["b"].phase, workload.runs["b"].place) == (Phase.QUEUED, 0)


def test_runs_move_up_as_those_before_them_end() -> None:
    events: Sequence[e.Event] = (
        e.RunQueued("a"),
        e.RunStarted("a"),
        e.RunQueued("b", ahead=("a",)),
        e.RunQueued("c", ahead=("a", "b")),
    )
    workload = read(_head(*events))
    assert workload.runs["c"].place == 2
    workload = read(_head(e.RunEnded("a", Phase.SUCCEEDED), e.RunStarted("b"), after=4), workload)
    assert (workload.runs["b"].place, workload.runs["c"].ahead) == (0, ("b",))


def test_the_last_line_is_what_a_terminal_would_show() -> None:
    def last(*texts: str) -> str:
        events = [e.OutputWritten("r", "stream", {"name": "stdout", "text": text}) for text in texts]
        return read(_head(*events)).runs["r"].last_line

    assert last("one\ntwo\n") == "two"
    assert last("10 %\r20 %\r") == "20 %"
    assert last("shown\n\n \n") == "shown"
    assert last("shown", "\n") == "shown"
    assert len(last("x" * 10_000)) == LAST_LINE


def test_samples_are_kept_for_drawing_and_no_longer() -> None:
    gpu = GpuDevice(0, "H200")
    samples = [
        e.GpuSampled((GpuSample(0, utilisation=float(n)), GpuSample(7))) for n in range(SAMPLES_KEPT + 30)
    ]
    workload = read(_head(e.AgentStarted(Kind.JOB, "1", "", gpus=(gpu,)), *samples))
    (state,) = workload.ranks[0].gpus
    assert len(state.samples) == SAMPLES_KEPT
    assert state.latest == GpuSample(0, utilisation=float(SAMPLES_KEPT + 29))


def test_what_the_journal_dropped_is_added_up() -> None:
    workload = read(
        _head(e.JournalTruncated(3, 40, "r"), e.JournalTruncated(2, 2, "r"), e.JournalTruncated(1))
    )
    assert (workload.lost_events, workload.runs["r"].truncated) == (6, 42)


# --- Several ranks


def gang(*events: tuple[int, e.Event]) -> Workload:
    """A gang of two, whose head has said all of this, of itself and of the other."""
    first = (0, e.AgentStarted(Kind.SESSION, "1", "now", world_size=2))
    return read(
        Entry(rank=rank, epoch="a", n=n, t=n / 4, event=event)
        for n, (rank, event) in enumerate([first, *events], start=1)
    )


UP = e.RankStarted("3.11.7")


def test_a_gang_runs_when_every_rank_is_up() -> None:
    assert gang((0, UP)).phase is Phase.STARTING
    assert gang((1, UP)).phase is Phase.STARTING
    assert gang((0, UP), (1, UP)).phase is Phase.RUNNING


def test_a_gang_that_is_started_anew_runs_when_its_head_is_up_again() -> None:
    again = [(0, UP), (1, UP), (0, e.PayloadRestarted(generation=1, reason="x"))]
    assert gang(*again).phase is Phase.STARTING
    assert gang(*again, (0, UP)).phase is Phase.RUNNING


def test_what_a_rank_reports_is_its_own_and_not_the_runs() -> None:
    progress = Progress("step", 7)
    failure = Failure(Cause.USER_ERROR, "KeyError: 'x'", rank=1)
    found = gang(
        (0, UP),
        (1, UP),
        (0, e.RunQueued("r")),
        (0, e.RunStarted("r")),
        (1, e.RankReported("r", Phase.RUNNING, line="epoch 1", progress=progress)),
        (1, e.RankReported("r", Phase.FAILED, line="epoch 2", progress=progress, failure=failure)),
    )
    rank, run = found.ranks[1], found.runs["r"]
    assert (rank.run, rank.run_phase, rank.last_line, rank.progress) == (
        "r",
        Phase.FAILED,
        "epoch 2",
        progress,
    )
    assert (rank.phase, rank.failure) == (Phase.RUNNING, failure)
    assert (run.phase, run.last_line, run.progress, run.failure) == (Phase.RUNNING, "", None, None)


def test_a_rank_that_is_lost_says_so_and_the_gang_goes_on_saying_what_its_head_says() -> None:
    failure = Failure(Cause.LOST, "Rank 1 is gone", rank=1)
    found = gang((0, UP), (1, UP), (1, e.RankEnded(Phase.LOST, failure)))
    assert (found.phase, found.ranks[1].phase, found.failure) == (Phase.RUNNING, Phase.LOST, failure)


def test_a_detached_run_that_was_told_to_end_with_its_pod_waits_to_be_begun_again() -> None:
    told = e.RunEnded("r", Phase.STOPPED, Failure(Cause.STOPPED, "it was told to end from outside (SIGTERM)"))
    failed = e.RunEnded("r", Phase.FAILED, Failure(Cause.USER_ERROR, "KeyError: 1"))
    for event, phase in ((told, Phase.QUEUED), (None, Phase.QUEUED), (failed, Phase.FAILED)):
        begun = [e.AgentStarted(Kind.JOB, "1", "now"), UP, e.RunQueued("r"), e.RunStarted("r")]
        first = [*begun, event] if event else begun
        lives = [("a", first), ("b", begun[:1])]
        found = read(
            Entry(rank=0, epoch=epoch, n=n, t=n / 4, event=one)
            for epoch, events in lives
            for n, one in enumerate(events, start=1)
        )
        assert found.runs["r"].phase is phase
