"""``--dry-run``: words, objects, and the same call in Python."""

from __future__ import annotations

import ast
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from gpu_workbench.app.detached import ProjectFiles, as_job, pack_cell
from gpu_workbench.app.plans import Plan, of_package
from gpu_workbench.app.sealing import FileToSeal
from gpu_workbench.app.shipping.outgoing import Cargo
from gpu_workbench.core.errors import UsageError
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import Handle, Resources, RunSpec, WorkloadSpec
from gpu_workbench.surfaces import dry_run
from gpu_workbench.surfaces.flags import CellFlags, cell_flags, parse_cell_line

SPEC = WorkloadSpec(id="", image="worker:1", resources=Resources(gpus=Gpus(2, "h200"), memory=2**35))


def called(code: str) -> SimpleNamespace:
    """What a call gives to each function, by the function's name."""
    found: dict[str, Any] = {}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            keywords = {item.arg: ast.literal_eval(item.value) for item in node.keywords}
            assert isinstance(node.func, ast.Attribute)
            found[node.func.attr] = ([ast.literal_eval(arg) for arg in node.args], keywords)
    return SimpleNamespace(**found)


def test_words_say_what_would_be_started_sent_and_brought_back() -> None:
    plan = Plan(
        spec=SPEC,
        sent={"x": 40_000_000, "model": 1024},
        there=("kept",),
        missing=("nosuch",),
        project=ProjectFiles({"a.py": FileToSeal(b"1")}),
        out=("loss",),
    )
    assert dry_run.words(plan, backend="kubernetes").splitlines() == [
        "Would start a session 'default' on the cluster: 2 h200, 32 GiB memory, image worker:1",
        "Would send 38 MiB: x 38 MiB, model 1 KiB",
        "There already: kept",
        "On neither side: nosuch",
        "Files beside it: 1, 1 B",
        "Would bring back: loss",
        "Nothing was started, nothing was sent.",
    ]


def test_a_session_that_is_there_is_named() -> None:
    living = Handle(spec=WorkloadSpec(id="3f2a"), backend="local", started=0.0)
    words = dry_run.words(Plan(spec=living.spec, living=living), backend="local")
    assert words.startswith("Would run in the session 'default', which is there (3f2a)")
    with pytest.raises(UsageError, match="Nothing would be created"):
        dry_run.yaml(Plan(spec=SPEC, living=living), backend="kubernetes")


def test_objects_are_whole_and_hold_no_secret_and_no_value() -> None:
    spec = as_job(SPEC)
    run = RunSpec(id=spec.id, cell="print('a cell of mine')")
    files = ProjectFiles({"notes.txt": FileToSeal(b"private words")})
    package = pack_cell(spec, run, Cargo(), files)
    text = dry_run.yaml(of_package(package), backend="kubernetes")
    assert [item["kind"] for item in yaml.safe_load_all(text)] == ["ConfigMap", "Secret", "Service", "Job"]
    for hidden in (package.sealed.run_key, "a cell of mine", "private words", "cHJpdmF0ZSB3b3Jkcw"):
        assert hidden not in text
    secret = list(yaml.safe_load_all(text))[1]
    assert "data" not in secret
    assert secret["stringData"]["token"] == "(left out)"


def test_this_machine_has_no_objects() -> None:
    with pytest.raises(UsageError, match="there are no objects of Kubernetes"):
        dry_run.yaml(Plan(spec=SPEC), backend="local")


@pytest.mark.parametrize(
    "line",
    [
        "--gpus h200:2 --memory 64Gi --out loss",
        "--gpus 2 --volume data:/data:ro --volume out:/out --env A=b --env C=d=e",
        "--time-limit 90m --cpus 0.5 --secret HF_TOKEN --no-in --name base --image x:1",
        "--in a,b --out c,d --profile h200 --backend kubernetes --namespace team --context big",
    ],
)
def test_the_call_in_python_asks_for_the_same(line: str) -> None:
    flags = parse_cell_line(f"{line} --detach")
    call = called(dry_run.python(flags, cell="x = 1\nprint(x)"))
    (cell,), given = call.submit
    assert cell.strip() == "x = 1\nprint(x)"
    assert cell_flags({**given, "detach": True}) == flags


def test_a_cell_in_a_session_is_two_calls() -> None:
    call = called(dry_run.python(CellFlags(gpus=Gpus(1), session="training", out=("y",)), cell="y = 1"))
    assert call.session == (["training"], {"gpus": 1})
    assert call.run == (["y = 1"], {"out": "y"})


def test_a_cell_survives_being_written_down() -> None:
    cell = 'print("""a\\n""")\nx = \'\\t\''
    assert called(dry_run.python(CellFlags(detach=True), cell=cell)).submit[0] == [cell]


def test_a_script_is_a_call_with_its_arguments() -> None:
    call = called(dry_run.python(CellFlags(gpus=Gpus(2)), script=("train.py", "--epochs", "3")))
    assert call.submit == (["train.py", "--epochs", "3"], {"gpus": 2})
