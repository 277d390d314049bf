"""``%%gpu`` in a real notebook kernel: what the first page promises, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernels import Notebook, notebook

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cells")


@pytest.fixture(scope="module")
def nb(folder: Path) -> Iterator[Notebook]:
    with notebook(folder) as made:
        made.check("import numpy as np; x = np.arange(5_000_000.)")
        yield made


def test_names_travel_output_comes_and_the_result_stays_here(nb: Notebook) -> None:
    cell = """%%gpu --out total
if "model" not in globals(): model = [1]
total = float(x.sum()); print(total)
len(model)"""
    ran = nb.check(cell)
    assert ran.stream() == "12499997500000.0\n"
    assert ran.result == "1"
    assert nb.check("total").result == "12499997500000.0"
    nb.check("%%gpu\nmodel.append(2)")
    assert nb.check("%%gpu\nmodel").result == "[1, 2]"
    assert nb.run("model").error.startswith("NameError: name 'model' is not defined")


def test_the_prompt_and_the_traceback_agree_with_the_notebooks_cell(nb: Notebook) -> None:
    ran = nb.run("%%gpu\na = 1\nnosuch + a")
    assert ran.status == "error"
    assert ran.error == "NameError: name 'nosuch' is not defined"
    assert f"Cell In[{ran.count}], line 3" in ran.traceback
    assert "----> 3 nosuch + a" in ran.traceback
    assert "gpu_workbench" not in ran.traceback


def test_lines_come_while_the_cell_runs(nb: Notebook) -> None:
    first: list[float] = []
    cell = "%%gpu\nimport time\nfor i in range(3): print(i, flush=True); time.sleep(0.7)"
    message = nb.begin(cell)

    def seen(ran: object) -> None:
        import time

        first.append(time.monotonic())

    ran = nb.end(message, seen=seen)
    assert ran.stream() == "0\n1\n2\n"
    assert first[-1] - first[0] > 1.0


def test_rich_output_is_the_notebooks_own(nb: Notebook) -> None:
    ran = nb.check(
        "%%gpu\nfrom IPython.display import HTML, display\ndisplay(HTML('<b>bold</b>'))\nHTML('<i>last</i>')"
    )
    assert ran.displays[0]["data"]["text/html"] == "<b>bold</b>"
    result = next(output["execute_result"] for output in ran.outputs if "execute_result" in output)
    assert result["data"]["text/html"] == "<i>last</i>"
    assert result["execution_count"] == ran.count


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        ("%%gpu --gpsu 2\nstarted = True", "--gpus"),
        ("%%gpu --in x --no-in\nstarted = True", "contradict"),
        ("%%gpu\ndef f(:\n    started = True", "SyntaxError"),
        ("%%gpu --memory 8Gi\nstarted = True", "--memory"),
    ],
    ids=["unknown flag", "conflicting flags", "syntax error", "contradicts the session"],
)
def test_a_line_that_cannot_be_meant_starts_nothing(nb: Notebook, cell: str, error: str) -> None:
    nb.check("%%gpu\n1")
    ran = nb.run(cell)
    assert ran.status == "error"
    assert error in ran.shown
    assert nb.run("%%gpu --no-in\nstarted").error.startswith("NameError")


def test_a_wrong_profile_file_is_one_clear_error_and_nothing_starts(nb: Notebook, folder: Path) -> None:
    wrong = folder / "gpu-workbench.yaml"
    wrong.write_text("profiles:\n  big:\n    gpuss: 2\n")
    try:
        for line in ("%%gpu --session of-big --profile big\n1", "%gpu start --session of-big"):
            ran = nb.run(line)
            assert ran.status == "error"
            assert ran.error.startswith("ProfileError: ")
            assert (
                "gpu-workbench.yaml, line 3: nothing is called 'gpuss' here. Did you mean gpus?" in ran.error
            )
            assert "Traceback" not in ran.traceback
    finally:
        wrong.unlink()
    assert "of-big" not in nb.check("%gpu ls").shown


def test_a_value_that_cannot_travel_is_named_and_nothing_is_sent(nb: Notebook) -> None:
    nb.check("import threading; bag = {'ok': 1, 'lock': threading.Lock()}; fine = 7")
    ran = nb.run("%%gpu\nprint(fine)\nbag['ok']")
    assert ran.status == "error"
    assert "bag" in ran.shown
    assert "lock" in ran.shown
    assert nb.run("%%gpu --no-in\nfine").error.startswith("NameError")


def test_a_proxy_outside_of_its_context_disturbs_nothing_but_the_cell_that_reads_it(nb: Notebook) -> None:
    """As flask's ``request``: whatever is asked of it raises, its class too."""
    nb.check(
        "class Proxy:\n    def __getattribute__(self, name): raise RuntimeError('no request')\nproxy = Proxy()"
    )
    assert nb.check("%%gpu\n1 + 1").result == "2"
    ran = nb.run("%%gpu\nprint('begun')\nproxy")
    assert ran.error.startswith("NotPicklable: proxy cannot travel")
    assert "line 2 of the cell reads it" in ran.error
    assert "begun" not in ran.stream()
    assert "Proxy" in nb.check("%gpu vars").shown


def test_a_changed_value_is_sent_again_and_an_unchanged_one_is_not(nb: Notebook) -> None:
    nb.check("y = np.zeros(4)")
    nb.check("%%gpu\nsum_of_y = float(y.sum()); where = id(y)")
    assert nb.check("%%gpu\nid(y) == where").result == "True"
    nb.check("y[0] = 5  # in place")
    assert nb.check("%%gpu\nfloat(y.sum())").result == "5.0"


def test_one_changed_number_in_the_middle_of_a_large_frame_arrives(nb: Notebook) -> None:
    """What is large is not compared by samples."""
    nb.check("import pandas as pd; frame = pd.DataFrame(np.zeros((2**20, 32)), copy=False)")  # 256 MiB
    look = "float(frame.to_numpy().sum())"
    assert nb.check(f"%%gpu\nwhere_frame = id(frame); {look}").result == "0.0"
    assert nb.check("%%gpu\nid(frame) == where_frame").result == "True", "unchanged, it is not sent again"
    nb.check("frame.iat[2**19, 20] = 5")
    assert nb.check(f"%%gpu\n{look}").result == "5.0"
    nb.check("%%gpu --no-in\ndel frame")
    nb.check("del frame")


def test_functions_travel_with_what_they_read(nb: Notebook) -> None:
    nb.check("factor = 3\ndef scaled(v):\n    return factor * v")
    assert nb.check("%%gpu\nscaled(2)").result == "6"
    nb.check("factor = 4")
    assert nb.check("%%gpu\nscaled(2)").result == "8"


def test_values_that_share_an_object_share_it_there(nb: Notebook) -> None:
    nb.check(
        "shared = np.zeros(3)\nclass Holder: pass\nfirst, second = Holder(), Holder()\nfirst.a = second.a = shared"
    )
    ran = nb.check("%%gpu\nshared[0] = 7\nfirst.a is second.a, float(first.a[0]), first.a is shared")
    assert ran.result == "(True, 7.0, True)"


def test_input_is_asked_here(tmp_path: Path, nb: Notebook) -> None:
    message = nb.client.execute("%%gpu\nname = input('who? ')\nname", allow_stdin=True)
    question = nb.client.get_stdin_msg(timeout=30)
    assert question["content"]["prompt"] == "who? "
    nb.client.input("Ada")
    assert nb.end(message).result == "'Ada'"


def test_a_cell_that_ends_its_process_says_so_and_the_session_goes_on(nb: Notebook) -> None:
    nb.check("%%gpu\nkept = 1")
    ran = nb.run("%%gpu\nimport os; os._exit(3)")
    assert ran.status == "error"
    assert "exit code 3" in ran.shown
    lost = nb.run("%%gpu\nkept")
    assert "kept" in lost.shown
    assert "gone" in lost.shown
    assert nb.check("%%gpu\n1 + 1").result == "2"


def test_stop_says_what_is_lost_and_the_next_cell_knows(nb: Notebook) -> None:
    nb.check("%%gpu\nprecious = 1")
    assert "precious" in nb.check("%gpu stop").shown
    ran = nb.run("%%gpu\nprecious")
    assert ran.status == "error"
    assert "precious" in ran.shown
    assert "you stopped it" in ran.shown
    assert nb.check("%%gpu\n2 + 2").result == "4"
