"""``%%gpu --detach`` in a real notebook kernel, and the same run in another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.conftest import Desk
from tests.kernels import notebook

pytestmark = pytest.mark.timeout(240, func_only=True)

CELL = """%%gpu --detach {} --name squares --out found,last
import time
from IPython.display import HTML, display
found = []
for number in numbers:
    found.append(square(number)); print(number, flush=True)
display(HTML("<b>bold</b>"))
last = found[-1]
last"""


def test_a_run_is_sealed_and_shown_again_by_another_kernel_after_its_own_was_killed(desk: Desk) -> None:
    with desk.open("one.ipynb", stop=False) as nb:
        nb.check("numbers = [1, 2, 3]\ndef square(n): return n * n")
        sealed = nb.check(CELL.format(desk.small)).shown
        assert "Sealed squares" in sealed
        assert "numbers" in sealed
        assert "square" in sealed
        nb.kill()
    with desk.open("two.ipynb") as nb:
        shown = nb.check("%gpu attach squares")
        assert shown.stream() == "1\n2\n3\n"
        assert shown.result == "9"
        assert "<b>bold</b>" in [one["data"].get("text/html") for one in shown.displays]
        nb.check("%gpu result squares")
        assert nb.check("found, last").result == "([1, 4, 9], 9)"
        assert nb.check("%gpu logs squares").stream() == "1\n2\n3\n"
        assert "had ended already" in nb.check("%gpu stop squares").shown


def test_an_error_is_shown_again_with_its_traceback_and_the_cell_that_asks_is_fine(tmp_path: Path) -> None:
    with notebook(tmp_path) as nb:
        sealed = nb.check("%%gpu --detach --name unlucky --out never\nprint('so far')\n1 / 0\nnever = 1")
        shown = nb.run("%gpu attach unlucky")
        assert shown.status == "ok"
        assert shown.stream() == "so far\n"
        assert shown.error == "ZeroDivisionError: division by zero"
        assert f"Cell In[{sealed.count}], line 3" in shown.traceback
        refused = nb.run("%gpu result unlucky")
        assert refused.status == "error"
        assert "division by zero" in refused.shown


def test_what_cannot_be_meant_or_found_starts_nothing(tmp_path: Path) -> None:
    with notebook(tmp_path) as nb:
        for cell, said in {
            "%%gpu --detach --session a\n1": "contradict",
            "%%gpu --detach\ndef f(:": "SyntaxError",
            "%gpu attach nobody": "There is no run 'nobody'",
            "%gpu result nobody": "There is no run 'nobody'",
            "%gpu run nope.py": "There is no script nope.py",
        }.items():
            ran = nb.run(cell)
            assert ran.status == "error", cell
            assert said in ran.shown
        assert "No runs" in nb.check("%gpu ls --all").shown


def test_a_dry_run_tells_and_starts_nothing(tmp_path: Path) -> None:
    with notebook(tmp_path) as nb:
        nb.check("x = [1, 2, 3]")
        told = nb.check("%%gpu --dry-run --out total\ntotal = sum(x) + nosuch").stream()
        assert "Would start a session 'default' on this machine" in told
        assert "Would send 7 B: x 7 B" in told
        assert "On neither side: nosuch" in told
        call = nb.check("%%gpu --dry-run --detach -o python --out total\ntotal = sum(x)").stream()
        assert "gw.submit('total = sum(x)', out='total')" in call
        assert "No runs" in nb.check("%gpu ls --all").shown


def test_a_script_runs_in_the_notebook(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import sys; print('given', *sys.argv[1:]); sys.exit(len(sys.argv) - 2)"
    )
    with notebook(tmp_path) as nb:
        assert nb.check("%gpu run train.py -- 1").stream() == "given 1\n"
        ran = nb.run("%gpu run train.py -- 1 2")
        assert ran.status == "error"
        assert "exit code 1" in ran.shown
