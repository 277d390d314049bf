"""The lines of %gpu and gpu-workbench."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.core.errors import FlagError
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.surfaces.command_lines import Command, CommandFlags, parse_command
from gpu_workbench.surfaces.commands import COMMANDS, MAGIC, PROGRAM, commands_of
from gpu_workbench.surfaces.flags import GPU_CELL, WORKLOAD_FLAGS
from gpu_workbench.surfaces.lines import split


def test_alone_it_is_the_overview() -> None:
    assert parse_command("") == Command()
    assert parse_command("--backend kubernetes") == Command(flags=CommandFlags(backend="kubernetes"))


def test_start() -> None:
    command = parse_command("start --gpus h200:8 --session training")
    assert (command.name, command.flags.gpus, command.flags.session) == ("start", Gpus(8, "h200"), "training")


def test_logs() -> None:
    assert parse_command("logs -f baseline --tail 10") == Command(
        name="logs", words=("baseline",), flags=CommandFlags(follow=True, tail=10)
    )
    assert parse_command("logs") == Command(name="logs")


def test_names_are_split_at_commas_and_spaces() -> None:
    assert parse_command("push a,b c").words == ("a", "b", "c")


def test_what_follows_pip_is_pips_own() -> None:
    command = parse_command('pip install "torch>=2" --index-url http://x --help')
    assert command.rest == ("install", "torch>=2", "--index-url", "http://x", "--help")
    assert parse_command("pip --help").flags.help


def test_a_script_has_its_own_arguments() -> None:
    command = parse_command(["run", "train.py", "--gpus", "2", "--", "--gpus", "x", "--"], prefix=PROGRAM)
    assert command.words == ("train.py",)
    assert command.flags.gpus == Gpus(2)
    assert command.rest == ("--gpus", "x", "--")


def test_words_that_a_shell_has_split_are_not_split_again() -> None:
    assert parse_command(["run", "my script.py"], prefix=PROGRAM).words == ("my script.py",)


def test_use_says_the_backend_as_a_word() -> None:
    command = parse_command("use kubernetes --namespace team --save")
    assert (command.flags.backend, command.flags.namespace, command.flags.save) == (
        "kubernetes",
        "team",
        True,
    )
    with pytest.raises(FlagError, match="this machine has no namespace"):
        parse_command("use local --namespace team")


@pytest.mark.parametrize("line", ["--help", "-h", "?", "stop --help", "stop x -h", "pip -h", "run ?"])
def test_help_is_asked_for(line: str) -> None:
    assert parse_command(line).flags.help


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("stat", r"%gpu has no command 'stat'. Did you mean start\?"),
        ("frobnicate", "%gpu has no command 'frobnicate'. It has start, dask, ls, logs"),
        ("ray", "%gpu has no command 'ray'"),
        ("--gpus 2", "%gpu takes no --gpus. %gpu start takes it"),
        ("ls --folow", "%gpu ls takes no --folow"),
        ("logs --detach", "%gpu logs takes no --detach. %gpu run takes it"),
        ("logs --tial 2", r"%gpu logs takes no --tial. Did you mean --tail\?"),
        ("logs a b", "%gpu logs takes no 'b'. For example %gpu logs"),
        ("logs --tail few", "--tail: 'few' is not a number"),
        ("ls all", "%gpu ls takes no 'all'"),
        ("push", "%gpu push needs A,B. For example %gpu push x,y"),
        ("pull a-b", "'a-b' is no name of a variable"),
        ("cp here", "%gpu cp needs TARGET. For example %gpu cp"),
        ("pip", "%gpu pip needs ARGUMENTS. For example %gpu pip"),
        ("secret add X", "%gpu secret: 'add' is none of set, ls, rm"),
        ("secret set", "%gpu secret set needs NAME"),
        ("secret ls X", "%gpu secret ls takes no NAME"),
        ("use kubernets", r"%gpu use: 'kubernets' is none of local, kubernetes. Did you mean kubernetes\?"),
        ("stop baseline --all", "--all and 'baseline' contradict each other"),
        ("start -- x", "%gpu start takes nothing after --"),
        ("start -o yaml", "-o is for --dry-run alone"),
        ("run", "%gpu run needs SCRIPT"),
        ("result", "%gpu result needs RUN"),
    ],
)
def test_what_cannot_be_meant_says_what_and_what_to_do(line: str, says: str) -> None:
    with pytest.raises(FlagError, match=says):
        parse_command(line)


def test_a_program_has_no_notebook_whose_session_could_be_meant() -> None:
    with pytest.raises(
        FlagError, match=r"gpu-workbench why needs RUN\. For example gpu-workbench why baseline"
    ):
        parse_command(["why"], prefix=PROGRAM)
    assert parse_command(["stop", "--all"], prefix=PROGRAM).flags.all
    with pytest.raises(FlagError, match="gpu-workbench has no command 'push'"):
        parse_command(["push", "a"], prefix=PROGRAM)


def test_a_program_alone_shows_its_help() -> None:
    assert parse_command([], prefix=PROGRAM).flags.help
    assert parse_command(["--help"], prefix=PROGRAM).flags.help
    with pytest.raises(FlagError, match=r"gpu-workbench needs a command\. gpu-workbench --help lists them"):
        parse_command(["--all"], prefix=PROGRAM)


@given(st.text(), st.sampled_from([spec.name for spec in COMMANDS]))
def test_any_line_is_read_or_refused_as_a_wrong_flag(line: str, name: str) -> None:
    with contextlib.suppress(FlagError):
        parse_command(f"{name} {line}")


def test_the_names_of_commands_are_public() -> None:
    names = "start dask ls logs why top capacity vars push pull cp pip secret keep stop attach result use"
    names += " doctor profiles run"
    assert [spec.name for spec in COMMANDS] == ["", *names.split()]
    assert list(commands_of(PROGRAM)) == [
        "ls",
        "logs",
        "why",
        "top",
        "capacity",
        "keep",
        "stop",
        "doctor",
        "profiles",
        "run",
    ]


def test_the_flags_of_commands_are_public() -> None:
    target = ["--backend", "--context", "--namespace"]
    own = {spec.name: [flag.name for flag in spec.flags if flag.name not in target] for spec in COMMANDS}
    shape = [flag.name for flag in WORKLOAD_FLAGS if flag.name != "--idle-limit"]
    assert {name: flags for name, flags in own.items() if flags} == {
        "start": [*shape, "--idle-limit", "--session", "--dry-run", "-o"],
        "dask": [
            *(flag for flag in shape if flag not in ("--time-limit", "--nodes", "--nproc-per-node")),
            "--idle-limit",
            *("--n-workers", "--nthreads", "--group", "--adapt", "--name", "--as", "--dry-run", "-o"),
        ],
        "ls": ["--all"],
        "logs": ["--follow", "--tail", "--rank"],
        "vars": ["--session"],
        "push": ["--session"],
        "pull": ["--session"],
        "stop": ["--all", "--force"],
        "use": ["--profile", "--save"],
        "doctor": ["--role"],
        "run": [*shape, "--name", "--detach", "--dry-run", "-o"],
    }


def test_every_flag_of_a_command_has_its_attribute() -> None:
    known = {field.name for field in dataclasses.fields(CommandFlags)}
    assert all(flag.key in known for spec in COMMANDS for flag in spec.flags)


@pytest.mark.parametrize("prefix", [MAGIC, PROGRAM])
def test_every_command_is_documented_with_examples_that_can_be_read(prefix: str) -> None:
    for spec in commands_of(prefix).values():
        assert spec.summary.endswith(".")
        assert spec.examples
        assert all(argument.help.endswith(".") for argument in spec.arguments)
        for line in spec.examples_for(prefix):
            words = shlex.split(line.removeprefix(prefix))
            assert parse_command(words, prefix=prefix).name == spec.name


def test_examples_use_every_flag_that_only_commands_have() -> None:
    shown = {word for spec in COMMANDS for line in spec.examples for word in split(line)}
    missing = (
        {flag.name for spec in COMMANDS for flag in spec.flags} - shown - {flag.name for flag in GPU_CELL}
    )
    assert missing <= {"--follow", "--tail", "--force"}, (
        "say it in an example, or here that its help is enough"
    )
