"""Help and reference say everything that can be typed."""

from __future__ import annotations

import pytest

from gpu_workbench.surfaces import reference
from gpu_workbench.surfaces.commands import MAGIC, PROGRAM, commands_of
from gpu_workbench.surfaces.flags import GPU_CELL
from gpu_workbench.surfaces.help import cell_help, command_help, overview_help

# In no help text before they work.
NOT_YET = ["--queue", "Kueue"]


def test_help_of_the_cell_says_every_flag_with_its_example() -> None:
    text = cell_help()
    for flag in GPU_CELL:
        assert flag.name in text
        assert flag.example in text


@pytest.mark.parametrize("prefix", [MAGIC, PROGRAM])
def test_help_of_every_command_says_its_words_flags_and_an_example(prefix: str) -> None:
    overview = overview_help(prefix)
    for name, spec in commands_of(prefix).items():
        text = command_help(name, prefix=prefix)
        if not name:
            continue
        assert f"{prefix} {name}" in overview
        assert spec.summary in text
        assert all(line in text for line in spec.examples_for(prefix))
        assert all(argument.name in text for argument in spec.arguments)
        assert spec.raw or all(flag.name in text for flag in spec.flags)


def test_the_reference_says_every_flag_and_command() -> None:
    magics, program = reference.magics(), reference.program()
    assert all(f"`{flag.example}`" in magics for flag in GPU_CELL)
    for page, prefix in ((magics, MAGIC), (program, PROGRAM)):
        for name, spec in commands_of(prefix).items():
            assert f"## `{f'{prefix} {name}'.rstrip()}`\n" in page
            assert all(line in page for line in spec.examples_for(prefix))
            assert spec.raw or all(f"{flag.name}" in page for flag in spec.flags)


def test_a_bar_in_a_table_is_no_column() -> None:
    for line in (*reference.magics().splitlines(), *reference.program().splitlines()):
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") in (3, 4), line


def test_nothing_is_promised_that_does_not_work_yet() -> None:
    everything = cell_help() + "".join(command_help(name) for name in commands_of(MAGIC)) + reference.magics()
    assert [word for word in NOT_YET if word in everything] == []


def test_help_fits_a_cell() -> None:
    texts = [cell_help(), overview_help(), *(command_help(name) for name in commands_of(MAGIC))]
    assert max(len(line) for text in texts for line in text.splitlines()) <= 100
