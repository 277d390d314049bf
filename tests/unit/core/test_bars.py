"""The bar of a Dask computation is one that tqdm could have drawn: what reads tqdm's reads it. People read words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.agent.progress import read_progress
from gpu_workbench.core.bars import bar, words
from gpu_workbench.core.model import DaskTasks

COUNT = st.integers(0, 10**7)


@pytest.mark.parametrize(
    ("tasks", "elapsed", "expected"),
    [
        (
            DaskTasks(done=50, running=4, waiting=46, rate=12.5, seconds_left=4.0),
            5.9,
            "Dask:  50%|█████     | 50/100 [00:05<00:04, 12.50task/s]",
        ),
        (DaskTasks(waiting=7), 61, "Dask:   0%|          | 0/7 [01:01<?, ?task/s]"),
        (DaskTasks(done=7450), 3725, "Dask: 100%|██████████| 7450/7450 [1:02:05<00:00, 2.00task/s]"),
        (
            DaskTasks(done=1, failed=1, running=2, rate=0.25),
            8,
            "Dask:  50%|█████     | 2/4 [00:08<?, 0.25task/s, 1 failed]",
        ),
        (DaskTasks(), 0, "Dask:   0%|          | 0/0 [00:00<00:00, ?task/s]"),
        (DaskTasks(done=999, waiting=1), 0, "Dask:  99%|█████████ | 999/1000 [00:00<?, ?task/s]"),
    ],
)
def test_a_bar(tasks: DaskTasks, elapsed: float, expected: str) -> None:
    assert bar(tasks, elapsed=elapsed) == expected


@given(
    st.builds(
        DaskTasks,
        done=COUNT,
        failed=COUNT,
        running=COUNT,
        waiting=COUNT,
        rate=st.none() | st.floats(0.01, 10**6),
        seconds_left=st.none() | st.floats(0, 10**6),
    ),
    st.just(0.0) | st.floats(0.01, 10**6),
)
def test_what_reads_tqdms_bars_reads_it(tasks: DaskTasks, elapsed: float) -> None:
    line = bar(tasks, elapsed=elapsed)
    assert "\n" not in line
    found = read_progress(f"printed before\r{line}")
    assert found is not None
    assert (found.label, found.unit) == ("Dask", "task")
    assert (found.done, found.total) == (tasks.done + tasks.failed, tasks.total)
    if tasks.open:
        rate, left = tasks.rate, tasks.seconds_left
    else:  # it is over: none is left, and the rate is that of all of it
        rate, left = (found.done / elapsed if elapsed else None) or None, 0.0
    assert found.rate == (None if rate is None else pytest.approx(rate, abs=0.006))
    assert found.seconds_left == (None if left is None else int(left))


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        (
            DaskTasks(done=23, failed=1, running=4, waiting=92, rate=8.0, seconds_left=12.0),
            "24 / 120 tasks · 1 failed · 8.0 a second · about 12 s left",
        ),
        (DaskTasks(done=0, waiting=1200), "0 / 1,200 tasks"),
        (DaskTasks(done=1200, rate=8.0), "1,200 / 1,200 tasks · took 15 s"),
    ],
)
def test_for_people_it_is_said_in_words(tasks: DaskTasks, expected: str) -> None:
    assert words(tasks, elapsed=15.0) == expected
