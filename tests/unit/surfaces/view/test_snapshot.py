"""The snapshot: the view's wire data, bounded, cleaned, and without what may not be saved."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import (
    Cause,
    Failure,
    GpuDevice,
    GpuSample,
    GpuState,
    Kind,
    Limit,
    Phase,
    Progress,
    RankState,
    Receipt,
    RunState,
    StoredValue,
    TimedSample,
    Workload,
)
from gpu_workbench.surfaces.view import Published, Snapshot, Where, html, snapshot, text, worth_showing
from gpu_workbench.surfaces.view.fitting import size
from gpu_workbench.surfaces.view.model import LIMIT
from tests.unit.surfaces.view.states import states
from tests.unit.surfaces.view.workloads import (
    CLUSTER,
    GIB,
    NOW,
    TQDM,
    ended,
    gpu,
    rank,
    running,
    session,
    wave,
)

ALL = states()
ANY_TEXT = st.text(alphabet=st.characters(), max_size=600)
ANY_NUMBER = st.none() | st.floats() | st.integers(-(10**12), 10**15).map(float)
BYTES = st.none() | st.integers(-(2**63), 2**70)


@pytest.mark.parametrize("state", ALL, ids=lambda state: state.title)
def test_every_state_survives_the_wire(state):
    written = json.dumps(state.found.to_json(), allow_nan=False)
    assert Snapshot.from_json(json.loads(written)) == state.found
    assert list(json.loads(written)) == ["version", "id", "run", "where", "snapshot", "package"]


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_of_a_run_is_shown_in_words(phase):
    run = replace(running(), phase=phase)
    found = snapshot(session(run), run.id, where=CLUSTER)
    assert found.snapshot.word == phase.value
    assert text(found).splitlines()[0].split()[1] == phase.value
    assert phase.value in html(found)


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.PENDING, Phase.STARTING])
def test_a_queued_run_shows_how_far_its_workload_has_come(phase):
    work = Workload(id="1", phase=phase)
    assert snapshot(work, "2", where=CLUSTER).snapshot.phase is phase


@pytest.mark.parametrize("phase", [Phase.LOST, Phase.STOPPED, Phase.FAILED])
def test_a_run_does_not_outlive_its_workload(phase):
    found = snapshot(session(running(), phase=phase), "a1b2c3d4e5f6", where=CLUSTER)
    assert found.snapshot.phase is phase


def test_a_run_that_ended_stays_ended_whatever_becomes_of_its_workload():
    run = ended(Phase.SUCCEEDED)
    assert snapshot(session(run, phase=Phase.LOST), run.id, where=CLUSTER).snapshot.phase is Phase.SUCCEEDED


def test_a_session_is_idle_or_busy():
    busy = session(running())
    assert snapshot(busy, None, where=CLUSTER).snapshot.word == "Busy"
    assert snapshot(replace(busy, runs={}), None, where=CLUSTER).snapshot.word == "Idle"


def test_missing_figures_are_gaps_and_not_zero():
    missing = {"utilisation": "not supported"}
    found = snapshot(session(running(), rank(0, gpu(0, missing=missing))), "a1b2c3d4e5f6", where=CLUSTER)
    chart = found.snapshot.chart
    assert chart is not None
    assert chart.busy is None
    assert chart.gpus[0].utilisation == ()
    assert chart.missing["utilisation"] == "not supported"
    assert "n/a (not supported)" in text(found)


def test_a_gap_in_the_samples_stays_a_gap():
    def busy(ago: float) -> float | None:
        return None if 40 <= ago < 60 else 80.0

    found = snapshot(session(running(ran=119), rank(0, gpu(0, busy=busy))), "a1b2c3d4e5f6", where=CLUSTER)
    values = found.snapshot.chart.gpus[0].utilisation
    assert len(values) <= 60
    assert values.count(None) == 10
    assert {value for value in values if value is not None} == {80.0}


def test_a_late_sample_is_no_gap():
    times = [0.0, 1.0, 2.0, 3.95, 4.05, 5.0, 6.0, 7.0, 8.0, 9.0]
    samples = tuple(TimedSample(NOW - 9 + t, GpuSample(0, utilisation=50.0)) for t in times)
    one = GpuState(GpuDevice(0, "H200"), samples)
    found = snapshot(session(running(ran=10), rank(0, one)), "a1b2c3d4e5f6", where=CLUSTER)
    assert None not in found.snapshot.chart.gpus[0].utilisation[1:]


def test_the_chart_looks_back_no_further_than_the_run():
    found = snapshot(session(running(ran=20)), "a1b2c3d4e5f6", where=CLUSTER)
    assert found.snapshot.chart.seconds == 20


def test_many_gpus_become_bands_and_the_odd_ones_stay():
    found = next(state.found for state in ALL if "64" in state.title)
    chart = found.snapshot.chart
    assert chart.count == 64
    assert {one.rank for one in chart.gpus} == {11, 37}
    assert chart.utilisation.p10[-1] <= chart.utilisation.p50[-1] <= chart.utilisation.p90[-1]


@pytest.mark.parametrize(("count", "bands"), [(16, False), (17, True)])
def test_sixteen_gpus_are_drawn_one_by_one_and_one_more_makes_bands(count, bands):
    """In the data, and in the words beside the drawing."""
    ranks = [rank(n, gpu(0, busy=wave(90, 2, shift=n), memory=wave(46, 1, shift=n))) for n in range(count)]
    found = snapshot(session(running(), *ranks), "a1b2c3d4e5f6", where=CLUSTER)
    chart = found.snapshot.chart
    assert (chart.count, len(chart.gpus)) == (count, 0 if bands else 16)
    assert (chart.utilisation is not None, chart.memory is not None) == (bands, bands)
    assert ("p50" in html(found)) is bands


def test_a_gpu_that_holds_much_more_than_the_others_stands_apart():
    ranks = [rank(n, gpu(0, memory=wave(90.0 if n == 5 else 40.0, 1))) for n in range(20)]
    found = snapshot(session(running(), *ranks), "a1b2c3d4e5f6", where=CLUSTER)
    assert [one.rank for one in found.snapshot.chart.gpus] == [5]


def _slowed(count: int, why: str, *, clock: float = 1500.0) -> list[GpuState]:
    made = [gpu(n, throttle=(why,)) for n in range(count)]
    sample = made[-1].samples[-1]
    slowest = replace(sample, sample=replace(sample.sample, clock=clock))
    return [*made[:-1], replace(made[-1], samples=(*made[-1].samples[:-1], slowest))]


def test_gpus_that_are_slowed_are_told_in_one_line_for_each_reason():
    gpus = [*_slowed(3, "SwThermalSlowdown", clock=900.0), gpu(3), gpu(4, throttle=("SwPowerCap",))]
    found = snapshot(session(running(), rank(0, *gpus)), "a1b2c3d4e5f6", where=CLUSTER)
    assert found.snapshot.notes == (
        "3 of 5 GPUs are slowed by heat, GPU 2 most: 0.90 of 1.98 GHz",
        "GPU 4 is slowed by its power limit: 1.10 of 1.98 GHz",
    )


def test_all_slowed_gpus_count_and_not_only_those_that_are_drawn():
    ranks = [rank(n, gpu(0, throttle=("SwPowerCap",))) for n in range(20)]
    found = snapshot(session(running(), *ranks), "a1b2c3d4e5f6", where=CLUSTER)
    assert found.snapshot.notes == ("20 of 20 GPUs are slowed by their power limits: 1.10 of 1.98 GHz",)


def test_a_rank_has_the_clock_of_its_slowest_gpu():
    first = rank(0, *_slowed(2, "SwThermalSlowdown", clock=900.0))
    found = snapshot(session(running(), first, rank(1)), "a1b2c3d4e5f6", where=CLUSTER)
    one, other = found.snapshot.ranks
    assert (one.clock, one.clock_max, one.slowed) == (900.0, 1980.0, "slowed by heat")
    assert (other.clock, other.slowed) == (None, "")


def test_a_detached_run_that_was_started_again_says_so():
    work = replace(session(running(), kind=Kind.JOB), generation=1)
    found = snapshot(work, "a1b2c3d4e5f6", where=CLUSTER)
    assert found.snapshot.notes == ("Started again: this is its 2nd start",)


def test_what_was_published_travels_with_it():
    done = Published(cursor="e.17", characters={"stdout": 420}, displays=2)
    found = snapshot(session(running()), "a1b2c3d4e5f6", where=CLUSTER, published=done)
    assert Snapshot.from_json(found.to_json()).snapshot.published == done
    assert found.snapshot.characters == {"stdout": 420}


SECRET = Where(
    backend="kubernetes",
    session="default",
    context="prod-eu",
    namespace="team-secret",
    gpus="1 H200",
    nodes=("worker-17",),
    price=3.0,
    currency="EUR",
)
TELLING = Explanation(
    code="node-lost",
    sentence="worker-17 stopped answering; quota of namespace team-secret is 4",
    fix='Ask in context "prod-eu"',
    source="node worker-17",
)
LEAKS = ("worker-17", "node-a", "team-secret", "prod-eu", "EUR")


def _telling(saved: str) -> Snapshot:
    failure = Failure(cause=Cause.LOST, what="rank 0 on node-a went away", detail="node-a: gone")
    run = ended(Phase.FAILED, ran=3600, failure=failure)
    work = session(run, rank(0, gpu(0), phase=Phase.FAILED, failure=failure), rank(1, gpu(0)))
    return snapshot(work, run.id, where=SECRET, explanation=TELLING, saved=saved)


@pytest.mark.parametrize("saved", ["summary", "none"])
def test_a_saved_notebook_names_neither_nodes_nor_namespace_nor_cost(saved):
    found = _telling(saved)
    everything = json.dumps(found.to_json()) + html(found) + text(found)
    assert [leak for leak in LEAKS if leak in everything] == []


def test_what_goes_on_says_what_it_has_cost_so_far():
    work = session(running(ran=1800), rank(0, gpu(0), gpu(1)), rank(1, gpu(0), gpu(1)))
    found = snapshot(work, "a1b2c3d4e5f6", where=SECRET, saved="full")
    assert found.snapshot.cost == f"{SECRET.price * 4 * 0.5:.2f} EUR"
    assert f"{found.snapshot.cost} so far" in text(found)
    assert "so far" in html(found)
    idle = snapshot(work, None, where=SECRET, saved="full")
    assert idle.snapshot.cost == f"{SECRET.price * 4 * NOW / 3600:.2f} EUR"


def test_a_summary_says_what_it_left_out():
    assert set(_telling("summary").where.hidden) == {"context", "namespace", "nodes", "cost"}


def test_full_keeps_everything():
    everything = json.dumps(_telling("full").to_json())
    assert [leak for leak in LEAKS if leak not in everything] == []
    assert "3.00 EUR" in text(_telling("full"))


def test_none_keeps_the_phase_alone():
    found = _telling("none")
    assert found.snapshot.word == "Failed"
    assert found.snapshot.failure is None
    assert found.snapshot.chart is None


@pytest.mark.parametrize(
    ("phase", "elapsed", "shown"),
    [
        (Phase.SUCCEEDED, 1.9, False),
        (Phase.RUNNING, 1.9, False),
        (Phase.RUNNING, 2.0, True),
        (Phase.FAILED, 0.1, True),
        (Phase.LOST, 0.1, True),
        (Phase.STOPPED, 0.5, False),
    ],
)
def test_a_short_cell_gets_no_view_unless_it_fails(phase, elapsed, shown):
    assert worth_showing(replace(running(), phase=phase), elapsed) is shown


@st.composite
def _samples(draw: st.DrawFn, index: int) -> GpuState:
    sample = GpuSample(
        index=index,
        utilisation=draw(ANY_NUMBER),
        memory_used=draw(BYTES),
        memory_total=draw(BYTES),
        temperature=draw(ANY_NUMBER),
        power=draw(ANY_NUMBER),
        clock=draw(ANY_NUMBER),
        clock_max=draw(ANY_NUMBER),
        throttle=tuple(draw(st.lists(ANY_TEXT, max_size=6))),
        missing=draw(st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=9)),
    )
    count = draw(st.integers(0, 120))
    device = GpuDevice(index, draw(ANY_TEXT), memory_total=draw(BYTES))
    return GpuState(device, tuple(TimedSample(NOW - t, sample) for t in range(count, 0, -1)))


@st.composite
def _workloads(draw: st.DrawFn) -> tuple[Workload, str]:
    failure = draw(
        st.none() | st.builds(Failure, cause=st.sampled_from(Cause), what=ANY_TEXT, detail=ANY_TEXT)
    )
    phase = draw(st.sampled_from(Phase))
    per_rank, drawn = draw(st.integers(0, 9)), draw(_samples(0))
    ranks = {}
    for number in range(draw(st.integers(0, 70))):
        gpus = tuple(replace(drawn, device=replace(drawn.device, index=n)) for n in range(per_rank))
        ranks[number] = RankState(
            rank=number, phase=phase, host=f"host-{number}-{'x' * 60}", now=NOW, gpus=gpus, failure=failure
        )
    run = RunState(
        id=draw(ANY_TEXT),
        name=draw(ANY_TEXT),
        cell_id=draw(ANY_TEXT),
        phase=draw(st.sampled_from(Phase)),
        queued_at=draw(st.none() | st.floats(0, NOW)),
        started_at=draw(st.none() | st.floats(0, NOW)),
        ended_at=draw(st.none() | st.floats(0, NOW)),
        ahead=tuple(draw(st.lists(ANY_TEXT, max_size=40))),
        progress=draw(
            st.none()
            | st.builds(
                Progress, label=ANY_TEXT, done=st.floats(), total=ANY_NUMBER, unit=ANY_TEXT, rate=ANY_NUMBER
            )
        ),
        results=tuple(StoredValue(draw(ANY_TEXT), 10, "", "npy") for _ in range(draw(st.integers(0, 30)))),
        failure=failure,
        receipt=draw(
            st.none()
            | st.builds(Receipt, seconds=st.floats(), gpu_seconds=st.floats(), mean_utilisation=ANY_NUMBER)
        ),
    )
    limit = draw(st.none() | st.builds(Limit, name=ANY_TEXT, ends_at=st.floats()))
    return Workload(id=draw(ANY_TEXT), phase=phase, ranks=ranks, runs={run.id: run}, limit=limit), run.id


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    made=_workloads(), saved=st.sampled_from(["summary", "full", "none"]), words=ANY_TEXT, asked=ANY_NUMBER
)
def test_whatever_comes_it_fits_and_can_be_drawn(made, saved, words, asked):
    work, run_id = made
    where = Where(
        backend=words, session=words, context=words, namespace=words, gpus=words, nodes=(words,) * 40
    )
    why = Explanation(code=words, sentence=words, fix=words, source=words)
    found = snapshot(work, run_id, where=where, explanation=why, saved=saved, asked=asked)
    assert size(found) <= LIMIT
    json.dumps(found.to_json(), allow_nan=False)
    assert "<script" not in html(found)
    text(found).encode("utf-8")


def test_figures_no_device_can_have_are_drawn_within_the_chart():
    broken = GpuSample(0, utilisation=1e308, memory_used=10**400, memory_total=1)
    state = GpuState(GpuDevice(0, ""), samples=(TimedSample(NOW, broken),))
    run = running()
    work = session(run, rank(0, *(replace(state, device=GpuDevice(n, "")) for n in range(8))))
    chart = snapshot(work, run.id, where=CLUSTER).snapshot.chart
    assert chart is not None
    assert (chart.busy, chart.gpus[0].memory) == (100.0, ())


def test_the_largest_gang_fits():
    """1,024 GPUs, all with the longest of everything."""
    name, why = "💥" * 300, {"utilisation": "💥" * 200}
    ranks = [rank(n, *(gpu(g, name=name, missing=why) for g in range(8))) for n in range(128)]
    failure = Failure(cause=Cause.EXITED, what="💥" * 900, detail="💥\n" * 9000)
    run = replace(ended(Phase.FAILED, ran=90, failure=failure, gpus=1024), name=name, progress=TQDM)
    values = tuple(StoredValue(f"{name}{n}", GIB, "", "npy") for n in range(500))
    found = snapshot(session(replace(run, results=values), *ranks), run.id, where=CLUSTER, saved="full")
    assert size(found) <= LIMIT
    assert found.snapshot.failure is not None
