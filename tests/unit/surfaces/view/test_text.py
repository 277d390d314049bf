"""The text: the same first two lines wherever there is no browser."""

from __future__ import annotations

import pytest

from gpu_workbench.core.model import Progress
from gpu_workbench.surfaces.view import lines, run_line, runs_table, text
from gpu_workbench.surfaces.view.text import blocks, columns
from tests.unit.surfaces.view.states import states

BY_TITLE = {state.title: state.found for state in states()}


@pytest.mark.parametrize(
    ("title", "first", "second"),
    [
        (
            "queued behind other runs",
            "○ Queued  session default",
            "2nd in this session, after evaluate and 1 more",
        ),
        ("image cannot be pulled", "○ Pending  session sweeps · prod / team-a · 1 H200", "There is no image"),
        ("running, 1 GPU", "● Running  finetune", "25 % · about 5 min 04 s left · GPU busy"),
        ("failed in the cell", "■ Failed", "KeyError: 'labels' in collate, line 12 after 3.4 s"),
        ("failed on one of 8 ranks", "rank 3 first", "on rank 3 (node-a) at step 310 / 5,000 after 2:07"),
        ("done", "✓ Succeeded  session default · 1 H200 · this machine", "acc came back, 32 B · ran 8.2 s"),
        ("done, with cost", "2 nodes × 8 H200", "96.87 €"),
        ("stopped", "□ Stopped", "Interrupted after 41 s"),
        ("lost", "▲ Lost", "Its node went away"),
        ("CPU instead of GPU", "CPU · this machine", "ran 12 s"),
        ("no utilisation", "1 H200 MIG 1g.18gb", "GPU busy n/a (MIG gives no utilisation)"),
        ("simulated", "[SIMULATED]", "90 %"),
        ("idle session", "● Idle", "ends in 14 min 00 s if no cell runs"),
    ],
)
def test_two_lines_answer_the_first_question(title, first, second):
    found = text(BY_TITLE[title]).splitlines()
    assert first in found[0]
    assert second in found[1]


def test_what_to_do_follows():
    assert "Correct the name or the tag" in text(BY_TITLE["image cannot be pulled"])
    assert "more --memory" in text(BY_TITLE["killed for memory"])


def test_a_slowed_gpu_is_named():
    assert "! GPU 3 is slowed by heat: 1.10 of 1.98 GHz" in text(BY_TITLE["running, 8 GPUs"])


def test_the_bar_can_be_left_out():
    found = BY_TITLE["running, 1 GPU"]
    assert "█████░" in text(found)
    assert "█" not in text(found, bar=False)


@pytest.mark.parametrize(("share", "full"), [(0, 0), (100, 20), (25, 5), (2, 0)])
def test_a_bar_has_always_the_same_length(share, full):
    assert blocks(share) == "█" * full + "░" * (20 - full)


def test_runs_stand_under_each_other():
    table = runs_table(list(BY_TITLE.values())).splitlines()
    assert len(table) == len(BY_TITLE) + 1
    assert (
        len(
            {
                line.index(found.snapshot.word)
                for line, found in zip(table[1:], BY_TITLE.values(), strict=True)
            }
        )
        == 1
    )


def test_no_runs_say_so():
    assert runs_table([]) == "No runs"


def test_numbers_are_aligned_to_the_right():
    assert columns([("a", "1"), ("b", "10")], right=frozenset({1})) == "a   1\nb  10"


@pytest.mark.parametrize(
    ("progress", "said", "rate"),
    [
        (Progress("", 3, 10), "3 / 10", ""),
        (Progress("epoch 2", 1240, 5000, "step", 12.44), "epoch 2: 1,240 / 5,000 step", "12.4 step/s"),
        (Progress("load", 0.5, None, "GB", 0.25), "load 0.5 GB", "4 s/GB"),
        (Progress("", 12, None, rate=1234.0), "12", "1,234 it/s"),
    ],
)
def test_progress_reads_as_its_loop_says_it(progress, said, rate):
    assert lines.progress_text(progress) == said
    assert lines.rate(progress) == rate


def test_the_first_line_is_one_line():
    assert all("\n" not in run_line(found) for found in BY_TITLE.values())
