"""The line behind %%gpu: what is read, what is refused and with which words, and which names are public."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.core.errors import FlagError
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import Volume
from gpu_workbench.surfaces.flags import GPU_CELL, CellFlags, cell_flags, parse_cell_line
from gpu_workbench.surfaces.readers import secret_object


def test_an_empty_line_asks_for_nothing() -> None:
    assert parse_cell_line("") == CellFlags()


def test_a_whole_line() -> None:
    line = (
        "--gpus h200:2 --nodes 2 --nproc-per-node gpu --ranks 3,0 "
        "--cpus 7500m --memory 64Gi --shared-memory=16Gi --profile big --image a/b:1 "
        "--python /usr/bin/python3.12 --volume data:/data:ro --volume models:/models --env A=1 --env 'B=two words' "
        "--secret HF_TOKEN --time-limit 4h --idle-limit 30m --out loss,model --out c --in x --session training "
        "--name baseline --dry-run -o yaml --backend kubernetes --context on --namespace team"
    )
    assert parse_cell_line(line) == CellFlags(
        gpus=Gpus(2, "h200"),
        nodes=2,
        nproc_per_node="gpu",
        ranks=(0, 3),
        cpus=7.5,
        memory=64 * 2**30,
        shared_memory=16 * 2**30,
        profile="big",
        image="a/b:1",
        python="/usr/bin/python3.12",
        volume=(Volume("data", "/data", read_only=True), Volume("models", "/models")),
        env=(("A", "1"), ("B", "two words")),
        secret=("hf-token",),
        time_limit=4 * 3600.0,
        idle_limit=1800.0,
        out=("loss", "model", "c"),
        in_=("x",),
        session="training",
        name="baseline",
        dry_run=True,
        form="yaml",
        backend="kubernetes",
        context="on",
        namespace="team",
    )


def test_a_variable_is_copied_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "cells")
    assert parse_cell_line("--env WANDB_PROJECT").env == (("WANDB_PROJECT", "cells"),)
    monkeypatch.delenv("WANDB_PROJECT")
    with pytest.raises(
        FlagError, match=r"--env: WANDB_PROJECT is not set here. Write --env WANDB_PROJECT=value"
    ):
        parse_cell_line("--env WANDB_PROJECT")


@pytest.mark.parametrize("line", ["--help", "-h", "?"])
def test_help_is_asked_for(line: str) -> None:
    assert parse_cell_line(line).help


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--gpu 2", r"%%gpu takes no --gpu. Did you mean --gpus\?"),
        ("--shared_memory 2Gi", r"takes no --shared_memory. Did you mean --shared-memory\?"),
        ("--queue team", "takes no --queue. --help lists what it takes"),
        ("--nodes 0", "--nodes: '0' is no number of nodes. Write a whole number, 1 or more"),
        ("--nproc-per-node all", "'all' is no number of processes. Write a whole number, or gpu"),
        ("--ranks 1-3", "'1-3' are no ranks. Write numbers with commas and no spaces: 0,3"),
        ("--ranks 1 --out loss", "what comes back is rank 0's, which would not execute the cell. Add 0"),
        ("--ranks 1 --detach", "all ranks of a detached run execute its cell"),
        ("--queue gold", "takes no --queue. --help lists what it takes"),
        ("-x", "takes no -x"),
        ("detach", r"%%gpu takes no 'detach'. Did you mean --detach\?"),
        ("2", "%%gpu takes no '2'. The code of the cell begins on the next line"),
        ("--gpus", "--gpus needs a value. For example --gpus h200:2"),
        ("--gpus --detach", "--gpus needs a value"),
        ("--gpus=", "--gpus has an empty value"),
        ("--gpus many", "--gpus many is not an amount of GPUs. Write a number or kind:number"),
        ("--gpus 1 --gpus 2", "--gpus is given twice"),
        ("--detach=yes", "--detach takes no value"),
        ("--memory lots", "--memory: 'lots' is not an amount of memory. Write it as Kubernetes does"),
        ("--time-limit soon", "--time-limit: 'soon' is not a duration"),
        ("--volume data", "--volume data names no claim and path. Write claim:/path"),
        ("--env 1A=x", "--env: '1A' is no name of a variable"),
        ("--out a, b", "--out: '' is no name of a variable. Write names with commas and no spaces"),
        ("--out model.weights", "'model.weights' is no name of a variable"),
        ("--in class", "'class' is no name of a variable"),
        ("--session My_Session", "--session: 'My_Session' is not a name"),
        ("--secret 'a b'", "--secret: 'a b' is no name of a secret"),
        ("--backend moon", "--backend: 'moon' is none of local, kubernetes"),
        ("--dry-run -o yml", r"-o: 'yml' is none of yaml, python. Did you mean yaml\?"),
        ("--in x --no-in", "--in and --no-in contradict each other: --in names what to send"),
        ("--detach --session a", "--detach and --session contradict each other"),
        (
            "--detach --idle-limit 1h",
            "--detach and --idle-limit contradict each other: .*--time-limit bounds it",
        ),
        ("-o yaml", "-o is for --dry-run alone"),
        (
            "--backend local --namespace a",
            "--backend local and --namespace contradict each other: this machine has no",
        ),
        ("--name 'half", "The line cannot be read: no closing quotation. Close the quote"),
    ],
)
def test_what_cannot_be_meant_says_what_and_what_to_do(line: str, says: str) -> None:
    with pytest.raises(FlagError, match=says):
        parse_cell_line(line)


def test_the_value_of_a_variable_is_in_no_error_and_no_repr() -> None:
    with pytest.raises(FlagError) as caught:
        parse_cell_line("--env 'API KEY=s3cret'")
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(parse_cell_line("--env KEY=s3cret"))


def test_a_dry_run_may_show_a_detached_run() -> None:
    assert parse_cell_line("--detach --dry-run -o python").detach


def test_a_secret_is_named_as_variable_or_as_object() -> None:
    assert secret_object("HF_TOKEN") == secret_object("hf-token") == "hf-token"


@given(st.text())
def test_any_line_is_read_or_refused_as_a_wrong_flag(line: str) -> None:
    with contextlib.suppress(FlagError):
        parse_cell_line(line)


# --- The Python API gives the same flags as arguments


def test_arguments_mean_what_flags_mean() -> None:
    assert cell_flags(
        {"gpus": "h200:2", "out": ["a", "b"], "env": {"A": "1"}, "detach": True, "name": None}
    ) == (parse_cell_line("--gpus h200:2 --out a,b --env A=1 --detach"))
    assert cell_flags(
        {"gpus": 2, "cpus": 0.5, "memory": 1024, "time_limit": 90, "no_in": True, "dry_run": False}
    ) == (parse_cell_line("--gpus 2 --cpus 0.5 --memory 1024 --time-limit 90 --no-in"))


def test_an_argument_that_begins_with_dashes_is_a_value() -> None:
    assert cell_flags({"python": "--detach"}) == CellFlags(python="--detach")


def test_an_unknown_argument_suggests_the_nearest() -> None:
    with pytest.raises(FlagError, match=r"There is no argument 'gpu'. Did you mean gpus\?"):
        cell_flags({"gpu": 1})


# --- The table


def test_the_names_of_flags_are_public() -> None:
    assert [flag.name for flag in GPU_CELL] == [
        "--gpus",
        "--nodes",
        "--nproc-per-node",
        "--cpus",
        "--memory",
        "--shared-memory",
        "--profile",
        "--image",
        "--python",
        "--volume",
        "--env",
        "--secret",
        "--time-limit",
        "--idle-limit",
        "--out",
        "--in",
        "--no-in",
        "--ranks",
        "--session",
        "--name",
        "--detach",
        "--dask",
        "--dry-run",
        "-o",
        "--backend",
        "--context",
        "--namespace",
        "--help",
    ]


def test_every_flag_has_its_attribute_and_none_is_left_over() -> None:
    assert {flag.key for flag in GPU_CELL} == {field.name for field in dataclasses.fields(CellFlags)}


def test_every_flag_is_documented_with_an_example_that_can_be_read() -> None:
    for flag in GPU_CELL:
        assert flag.help.endswith("."), flag.name
        assert flag.name in flag.example, flag.name
        assert parse_cell_line(flag.example) != CellFlags(), flag.name


def test_reading_a_line_loads_nothing_that_is_slow() -> None:
    """The magics are imported by %load_ext, which has 150 ms for everything."""
    heavy = ["IPython", "yaml", "platformdirs", "asyncio", "difflib", "decimal", "gpu_workbench.core.spec"]
    program = (
        "import sys; import gpu_workbench.surfaces.commands, gpu_workbench.surfaces.completion\n"
        "from gpu_workbench.surfaces.flags import parse_cell_line\n"
        "parse_cell_line('--out a --no-in')\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
