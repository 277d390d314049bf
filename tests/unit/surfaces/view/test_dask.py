"""A Dask cluster's snapshot and its words: true sums, short names, bounded, and nothing said that is not known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import (
    DaskPoint,
    DaskState,
    DaskTasks,
    DaskWorker,
    GpuSample,
    Limit,
    Phase,
    RankState,
)
from gpu_workbench.surfaces import view
from gpu_workbench.surfaces.view import Snapshot, html, png, snapshot, text
from gpu_workbench.surfaces.view.dask import short_names, together
from gpu_workbench.surfaces.view.fitting import size
from gpu_workbench.surfaces.view.model import LIMIT, DaskWorkerLine
from gpu_workbench.surfaces.where import where_of
from tests.unit.surfaces.view.dask_states import (
    COMPUTING,
    DONE,
    GIB,
    ID,
    NO_GPU,
    NOW,
    cluster,
    computing,
    cpu_worker,
    dask_states,
    gpu_worker,
    handle_of,
    many,
    name_of,
    past,
    shown,
)
from tests.unit.surfaces.view.states import State

ALL = dask_states()
BY_TITLE = {state.title: state.found for state in ALL}
ANY_TEXT = st.text(alphabet=st.characters(), max_size=300)
ANY_COUNT = st.integers(-(2**63), 2**70)
ANY_NUMBER = st.none() | st.floats()


@pytest.mark.parametrize("state", ALL, ids=lambda state: state.title)
def test_every_state_survives_the_wire_and_keeps_to_the_limit(state: State) -> None:
    written = json.dumps(state.found.to_json(), allow_nan=False)
    assert Snapshot.from_json(json.loads(written)) == state.found
    assert size(state.found) <= LIMIT


@pytest.mark.parametrize(
    ("title", "first", "second"),
    [
        (
            "Dask, before there is anything",
            "○ Pending  etl · Dask · prod / team-a · 4 workers × 1 H200",
            "28 of",
        ),
        ("Dask, idle", "● Idle  etl · Dask · prod / team-a · 4 workers × 1 H200", "4 workers, no tasks"),
        (
            "Dask, 4 GPU workers",
            "● Running",
            "13 % · about 1 min 52 s left · 74.6 tasks/s · 4 GPUs busy 46 %",
        ),
        ("Dask, 3 workers that spill", "Dask · 3 workers · CPU · this machine", "threads busy 16 / 24"),
        ("Dask, tasks failed and workers lost", "● Running", "4,810 / 9,600 tasks"),
        (
            "Dask, done and idle",
            "● Idle",
            "9,600 tasks done · idle for 2:10 · 4 GPUs busy 0 % · ends in 14 min",
        ),
        ("Dask, stopped", "□ Stopped", "9,600 tasks done · ran 16:40"),
        ("Dask, failed", "■ Failed", "The scheduler was killed for memory at 4 GiB after 16:40"),
        ("Dask, a figure that is not given, and simulated", "[SIMULATED]", "3 GPUs busy 48 %"),
    ],
)
def test_two_lines_answer_the_first_question(title: str, first: str, second: str) -> None:
    lines = text(BY_TITLE[title]).splitlines()
    assert first in lines[0]
    assert second in lines[1]


def test_it_is_the_view_of_the_workload_whatever_run_is_asked_for() -> None:
    work, handle = cluster(computing([gpu_worker(0)])), handle_of()
    one, other = (snapshot(work, run, where=where_of(handle, work)) for run in (None, ID))
    assert one == other
    assert (one.id, one.run) == (ID, "")


@pytest.mark.parametrize(
    ("state", "word", "answer"),
    [
        (DaskState(), "Idle", "No workers, no tasks"),
        (computing([cpu_worker(0)], DaskTasks()), "Idle", "1 worker, no tasks"),
        (computing([cpu_worker(0)], DaskTasks(done=1)), "Idle", "1 task done"),
        (
            computing([], replace(DONE, failed=3), idle_since=NOW - 40),
            "Idle",
            "9,600 tasks done, 3 failed · idle for 40 s",
        ),
        (computing([cpu_worker(0)]), "Running", "1,204 tasks done, 8,396 left"),
    ],
)
def test_it_idles_while_no_task_is_open(state: DaskState, word: str, answer: str) -> None:
    found = shown(cluster(state)).snapshot
    assert (found.word, found.answer) == (word, answer)
    assert (found.progress is None) == (word == "Idle")


def test_before_its_scheduler_speaks_it_is_not_said_to_idle() -> None:
    found = shown(cluster(None)).snapshot
    assert found.word == "Running"
    assert found.dask is not None
    assert found.dask.count is None


@pytest.mark.parametrize(
    ("names", "short"),
    [
        ([name_of(0), name_of(1)], ["51a7", "a34f"]),
        ([name_of(0)], ["51a7"]),
        (["0", "1", "10"], ["0", "1", "10"]),
        (
            ["gwb-1-default-worker-0123456789", "gwb-1-big-worker-0123456789"],
            ["default-0123", "big-0123"],
        ),
        (["x-worker-aaaa000000", "x-worker-aaaa111111"], ["aaaa00", "aaaa11"]),
        (["tcp://10.0.0.7:41001", "tcp://10.0.0.8:41001"], ["10.0.0.7:41001", "10.0.0.8:41001"]),
        (["worker", "worker-2"], ["worker", "2"]),
        (["same", "same"], ["same", "same (2)"]),
        ([""], [""]),
    ],
)
def test_names_are_as_short_as_they_are_still_their_own(names: list[str], short: list[str]) -> None:
    assert short_names(names) == short


@given(st.lists(ANY_TEXT, max_size=12))
@example(["0" * 90, "0" * 91])
def test_there_is_a_short_name_for_each(names: list[str]) -> None:
    short = short_names(names)
    assert len(short) == len(names)
    assert all(len(one) <= 30 for one in short)


def test_a_whole_name_is_kept_only_where_everything_may_be() -> None:
    work = cluster(computing([gpu_worker(0), gpu_worker(1)]))
    full, summary = shown(work), shown(work, saved="summary")
    assert [line.whole for line in full.snapshot.dask.workers] == [name_of(0), name_of(1)]
    assert name_of(0) not in json.dumps(summary.to_json()) + html(summary)
    assert "prod" not in json.dumps(summary.to_json())


def test_a_summary_names_no_namespace_in_the_reason_why_workers_wait() -> None:
    found = BY_TITLE["Dask, as a notebook keeps it"]
    assert "team-a" not in json.dumps(found.to_json()) + html(found) + text(found)
    assert "this namespace" in text(found)


def test_at_most_64_workers_have_a_line_those_that_stand_apart_among_them() -> None:
    state = many(200)
    dask = shown(cluster(state)).snapshot.dask
    assert (dask.count, len(dask.workers)) == (200, 64)
    assert {line.note for line in dask.workers} == {
        "",
        "memory almost full",
        "paused, its memory is full",
        "spills to disk",
    }
    assert not dask.rest.note
    assert together([*dask.workers, dask.rest]) == dask.all
    assert dask.all.threads == sum(worker.threads for worker in state.workers)
    assert "and 176 more" in html(shown(cluster(state)))


def test_the_largest_cluster_with_the_longest_names_fits_and_its_sums_stay_true() -> None:
    silent = (GpuSample(0, missing={"utilisation": "💥" * 90}),)
    workers = [
        replace(gpu_worker(n), name=f"{'💥' * 60}-{n}", status="💥" * 90, gpus=silent) for n in range(2000)
    ]
    tasks = replace(COMPUTING, groups={"💥" * 80 + str(n): (n, 2 * n) for n in range(99)})
    why = Explanation(code="x", sentence="💥" * 900, fix="💥" * 900)
    found = shown(cluster(computing(workers, tasks), points=past(utilisation=3)), wanted=4000, waiting=why)
    dask = found.snapshot.dask
    assert size(found) <= LIMIT
    assert dask.count == 2000
    assert len(dask.workers) >= 8
    assert together([*dask.workers, dask.rest]).executing == dask.all.executing == 2000


@pytest.mark.parametrize(("status", "lines"), [("running", 64), ("é" * 30, 32)])
def test_what_is_too_long_loses_whole_names_first_and_then_lines(status: str, lines: int) -> None:
    workers = [replace(gpu_worker(n), name=f"{'é' * 75}{n:05}", status=status) for n in range(200)]
    dask = shown(cluster(computing(workers))).snapshot.dask
    assert (len(dask.workers), {line.whole for line in dask.workers}) == (lines, {""})


def test_of_what_some_workers_do_not_tell_those_that_do_are_counted() -> None:
    known = DaskWorkerLine(memory=4 * GIB, memory_limit=16 * GIB, cpu=90.0, gpus=3, busy=40.0)
    more = DaskWorkerLine(memory=GIB, memory_limit=16 * GIB, cpu=10.0, gpus=1, busy=80.0)
    found = together([known, more, DaskWorkerLine(gpus=1)])
    assert (found.memory, found.memory_limit, found.cpu) == (5 * GIB, 32 * GIB, 100.0)
    assert (found.gpus, found.busy) == (5, 50.0)
    unlimited = together([known, DaskWorkerLine(memory=GIB)])
    assert (unlimited.memory, unlimited.memory_limit) == (5 * GIB, None)
    nothing = together([DaskWorkerLine(), DaskWorkerLine(gpus=1, missing="MIG gives none")])
    assert (nothing.memory, nothing.cpu, nothing.busy, nothing.missing) == (
        None,
        None,
        None,
        "MIG gives none",
    )


def test_a_figure_that_is_missing_is_not_0() -> None:
    sample = GpuSample(0, missing={"utilisation": "MIG gives none"})
    found = shown(cluster(computing([DaskWorker(name="0", gpus=(sample,))])))
    line = found.snapshot.dask.workers[0]
    assert (line.busy, line.memory, line.cpu) == (None, None, None)
    assert "GPU busy n/a (MIG gives none)" in text(found)
    assert "n/a" in html(found)


@pytest.mark.parametrize(
    ("worker", "note"),
    [
        (cpu_worker(0), ""),
        (cpu_worker(0, status="paused"), "paused, its memory is full"),
        (cpu_worker(0, status="closing_gracefully"), "leaves"),
        (cpu_worker(0, status="init"), "init"),
        (cpu_worker(0, memory=0.79), ""),
        (cpu_worker(0, memory=0.81), "memory almost full"),
        (cpu_worker(0, spilled=1), "spills to disk"),
        (replace(cpu_worker(0), gpus=(GpuSample(0, throttle=("SwThermalSlowdown",)),)), "GPU slowed by heat"),
    ],
)
def test_what_sets_a_worker_apart_is_said_in_words(worker: DaskWorker, note: str) -> None:
    assert shown(cluster(computing([worker]))).snapshot.dask.workers[0].note == note


def test_notes_say_the_most_urgent_first() -> None:
    workers = [cpu_worker(0, memory=0.9, name="0"), cpu_worker(1, status="paused", name="1")]
    state = computing(workers, replace(COMPUTING, stuck=12, retried=64), lost=2)
    found = shown(cluster(state), wanted=3, waiting=replace(NO_GPU, fix=""))
    assert found.snapshot.notes == (
        "1 of 3 workers waits: No node has 1 free GPU: all 32 of namespace team-a are taken",
        "12 tasks fit no worker: none has what they ask for",
        "2 workers lost; 64 tasks were begun again",
        "Worker 1: paused, its memory is full",
    )


def test_many_workers_in_the_same_state_are_counted_and_not_named() -> None:
    workers = [cpu_worker(n, status="paused") for n in range(5)]
    assert shown(cluster(computing(workers))).snapshot.notes == (
        "5 of 5 workers: paused, its memory is full",
    )


def test_without_a_worker_open_tasks_say_so_unless_it_is_known_why() -> None:
    state = computing([], DaskTasks(waiting=120))
    assert shown(cluster(state)).snapshot.notes == ("There is no worker to run its tasks",)
    waits = shown(cluster(state), wanted=3, waiting=NO_GPU).snapshot.notes
    assert len(waits) == 1
    assert waits[0].startswith("3 of 3 workers wait: No node")


def test_why_a_worker_waits_is_what_why_says_of_a_cluster_that_runs() -> None:
    found = BY_TITLE["Dask, 1 worker waits"]
    said = view.why(found, None).text
    assert "1 of 4 workers waits: No node has 1 free GPU" in said
    assert "ask for fewer with `%gpu dask --n-workers 3`" in said
    other = Explanation(code="unseen", sentence="The API server is away")
    assert "The API server is away" in view.why(found, other).text


def _points(*values: tuple[float, float]) -> tuple[DaskPoint, ...]:
    return tuple(DaskPoint(t=NOW - ago, rate=10.0, busy=busy, memory=0) for ago, busy in values)


def test_a_value_holds_until_the_next_one_for_nothing_is_said_while_nothing_changes() -> None:
    found = shown(cluster(computing([cpu_worker(0)]), points=_points((100, 0.5), (40, 1.0))))
    curve = found.snapshot.dask.past
    assert (curve.seconds, len(curve.busy)) == (100.0, 60)
    assert (curve.busy[:35], curve.busy[-23:]) == ((50.0,) * 35, (100.0,) * 23)
    assert None not in curve.busy


def test_curves_look_back_two_minutes_at_most_and_no_further_than_there_is_anything() -> None:
    long = shown(cluster(computing([cpu_worker(0)]), points=past())).snapshot.dask.past
    assert (long.seconds, len(long.busy), long.utilisation) == (120.0, 60, ())
    short = shown(cluster(computing([cpu_worker(0)]), points=_points((20, 0.5), (0, 1.0)))).snapshot.dask.past
    assert (short.seconds, len(short.busy)) == (20.0, 20)
    assert shown(cluster(computing([cpu_worker(0)]), points=_points((20, 0.5)))).snapshot.dask.past is None


@pytest.mark.parametrize(
    ("state", "wanted", "words"),
    [
        (None, handle_of(4, 1), "4 workers × 1 H200"),
        (None, handle_of(1, 0), "1 worker · CPU"),
        (None, handle_of(4, 1, backend="local"), "4 workers"),  # this machine may have fewer
        (computing([]), handle_of(4, 1), "0 workers"),
        (computing([gpu_worker(0), gpu_worker(1)]), handle_of(4, 1), "2 workers × 1 H200"),
        (computing([gpu_worker(0), cpu_worker(1)]), handle_of(4, 1), "2 workers · 1 H200"),
        (
            computing([gpu_worker(0, device="A"), gpu_worker(1, device="B")]),
            handle_of(4, 1),
            "2 workers × 1 GPU",
        ),
        (computing([cpu_worker(0)]), handle_of(4, 1), "1 worker · CPU"),
    ],
)
def test_the_workers_are_those_it_has_and_before_those_it_was_to_have(state, wanted, words) -> None:
    assert where_of(wanted, cluster(state)).gpus == words


def test_its_end_can_be_put_off_so_it_is_said_when_it_comes() -> None:
    found = shown(cluster(computing([cpu_worker(0)], DONE), limit=Limit("idle", NOW + 840)))
    assert "ends in 14 min 00 s if no task comes" in text(found)
    assert "ends in 14 min 00 s if no task comes" in html(found)


def test_the_devices_of_its_scheduler_are_not_its_own() -> None:
    work = cluster(computing([cpu_worker(0)]))
    ranks = {n: RankState(rank=n, phase=Phase.RUNNING, host="h", now=NOW) for n in range(3)}
    found = shown(replace(work, ranks=ranks)).snapshot
    assert (found.rank_count, found.ranks, found.chart, found.cost) == (0, (), None, "")


def test_ls_says_where_it_is_and_how_far() -> None:
    table = view.ls(list(BY_TITLE.values()))
    assert "Dask · prod / team-a · 4 workers × 1 H200" in table.text
    assert "1,204 / 9,600 tasks, 13 % · about 1 min 52 s left" in table.text
    assert "4 workers, no tasks" in table.html


def test_top_has_a_row_for_each_worker_and_one_for_all() -> None:
    table = view.top(cluster(computing([cpu_worker(0, spilled=3 * GIB), gpu_worker(1)])))
    titles, one, other, every = (line.split("  ") for line in table.text.splitlines())
    assert [title.strip() for title in titles if title] == [
        *("worker", "threads", "waiting", "CPU", "memory", "spilled", "in", "out", "GPU", "GPU memory")
    ]
    assert one[0].strip() == "51a7"
    assert "spills to disk" in one[-1]
    assert any("48 %" in cell for cell in other)
    assert every[0].strip() == "together"
    assert "9 / 9" in table.html


def test_top_leaves_out_what_no_worker_has() -> None:
    table = view.top(cluster(computing([cpu_worker(0, busy=False)])))
    assert table.text.split("\n")[0].split() == ["worker", "threads", "waiting", "CPU", "memory"]
    assert view.top(cluster(None)).text == "No workers"
    assert "and 136 more" in view.top(cluster(many())).text


def test_doubles_are_said_to_be_doubles() -> None:
    work = cluster(computing([replace(gpu_worker(0), simulated=True), gpu_worker(1)]))
    assert shown(work).snapshot.simulated
    assert "SIMULATED: the devices are doubles" in view.top(work).text
    assert not shown(cluster(computing([gpu_worker(1)]))).snapshot.simulated


def test_the_picture_at_the_end_shows_its_past() -> None:
    assert (png.png(BY_TITLE["Dask, stopped"]) or b"").startswith(b"\x89PNG")
    assert len(png.png(BY_TITLE["Dask, 200 workers"]) or b"") <= 40_000
    assert png.png(BY_TITLE["Dask, idle"]) is None


@st.composite
def _states(draw: st.DrawFn) -> DaskState:
    gpus = st.builds(
        GpuSample,
        index=st.just(0),
        utilisation=ANY_NUMBER,
        memory_used=st.none() | ANY_COUNT,
        memory_total=st.none() | ANY_COUNT,
        throttle=st.lists(ANY_TEXT, max_size=2).map(tuple),
        missing=st.dictionaries(st.just("utilisation") | ANY_TEXT, ANY_TEXT, max_size=2),
    )
    worker = st.builds(
        DaskWorker,
        name=ANY_TEXT,
        status=ANY_TEXT,
        threads=ANY_COUNT,
        executing=ANY_COUNT,
        waiting=ANY_COUNT,
        cpu=ANY_NUMBER,
        memory=st.none() | ANY_COUNT,
        memory_limit=st.none() | ANY_COUNT,
        spilled=ANY_COUNT,
        sent=st.floats(),
        received=st.floats(),
        gpus=st.lists(gpus, max_size=2).map(tuple),
    )
    tasks = st.builds(
        DaskTasks,
        done=ANY_COUNT,
        failed=ANY_COUNT,
        running=ANY_COUNT,
        waiting=ANY_COUNT,
        stuck=ANY_COUNT,
        rate=ANY_NUMBER,
        seconds_left=ANY_NUMBER,
        groups=st.dictionaries(ANY_TEXT, st.tuples(ANY_COUNT, ANY_COUNT), max_size=9),
    )
    few = draw(st.lists(worker, max_size=3))
    return DaskState(
        workers=tuple(few * draw(st.sampled_from([1, 1, 40]))),
        tasks=draw(tasks),
        clients=draw(ANY_COUNT),
        moved=draw(ANY_COUNT),
        lost=draw(ANY_COUNT),
        idle_since=draw(ANY_NUMBER),
        dashboard=draw(ANY_TEXT),
    )


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    state=_states(),
    phase=st.sampled_from(Phase),
    saved=st.sampled_from(["summary", "full", "none"]),
    points=st.lists(
        st.builds(DaskPoint, t=st.floats(), rate=st.floats(), busy=st.floats(), memory=ANY_COUNT), max_size=5
    ),
    wanted=st.none() | ANY_COUNT,
    words=ANY_TEXT,
)
def test_whatever_a_scheduler_says_it_fits_and_can_be_drawn(  # noqa: PLR0917 - one for each thing given
    state, phase, saved, points, wanted, words
) -> None:
    why = Explanation(code=words, sentence=words, fix=words)
    work = cluster(state, phase=phase, points=tuple(points))
    found = shown(work, saved=saved, wanted=wanted, waiting=why, explanation=why)
    assert size(found) <= LIMIT
    written = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert Snapshot.from_json(written) == found
    text(found).encode("utf-8")
    html(found).encode("utf-8")
    view.top(work).text.encode("utf-8")
