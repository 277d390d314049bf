"""What goes with a session beside its variables, in a real notebook kernel: modules, copies, packages; and what differs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernels import Notebook, notebook
from tests.wheels import make_wheel

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("companions")


@pytest.fixture(scope="module")
def nb(folder: Path) -> Iterator[Notebook]:
    (folder / "gwb_mine.py").write_text("from gwb_base import value\n")
    (folder / "gwb_base.py").write_text("value = 1\n")
    with notebook(folder) as made:
        made.check("x, y, z = 1, 2, 3")
        made.check("%%gpu --out z\nmodel = [x, y]; x = 5; z = z + 1")
        yield made


def test_a_module_edited_between_cells_is_the_new_one_there_and_its_users_are_reloaded(
    nb: Notebook, folder: Path
) -> None:
    assert nb.check("%%gpu\nimport gwb_mine; gwb_mine.value").result == "1"
    nb.check("import gwb_mine")
    (folder / "gwb_base.py").write_text("value = 22\n")
    ran = nb.check("%%gpu\ngwb_mine.value")
    assert ran.result == "22"
    assert "gwb_base and gwb_mine changed and were reloaded in the session" in ran.shown
    ran = nb.check("%%gpu\ngwb_mine.value")
    assert "reloaded" not in ran.shown
    (folder / "gwb_base.py").write_text("value = (\n")
    ran = nb.check("%%gpu\ngwb_mine.value")
    assert ran.result == "22"
    assert "gwb_base changed and cannot be reloaded" in ran.shown


def test_all_imports_that_are_not_there_are_one_error_with_the_fix_and_nothing_ran(nb: Notebook) -> None:
    ran = nb.run("%%gpu\nran = True\nimport gwb_nowhere, json\nfrom flash_attn.x import y")
    assert "flash_attn and gwb_nowhere are not installed here" in ran.error
    assert "line 3 imports gwb_nowhere" in ran.error
    assert "`%gpu pip install flash-attn gwb_nowhere`" in ran.error
    assert nb.run("%%gpu\nran").error.startswith("NameError")
    cell = "%%gpu\ntry:\n    import gwb_nowhere\nexcept ImportError:\n    print('without')"
    assert nb.check(cell).stream() == "without\n"
    ran = nb.run("%%gpu\ndef f():\n    import gwb_nowhere\nf()")
    assert ran.error == "ModuleNotFoundError: No module named 'gwb_nowhere'"
    assert ran.traceback.endswith("`%gpu pip install gwb_nowhere` installs it into the session")


def test_a_plain_cell_that_reads_a_name_the_session_changed_is_told_once(nb: Notebook) -> None:
    line = "x is another one in the session 'default'"
    assert line not in nb.check("y").shown
    ran = nb.check("x + 1")
    assert ran.result == "2"
    assert line in ran.shown
    assert "`%gpu pull x` brings that here" in ran.shown
    assert line not in nb.check("x + 1").shown
    assert "another" not in nb.check("z").shown  # it came back with --out
    nb.check("%%gpu\nx = 6")
    assert line in nb.check("print(x)").shown
    nb.check("%%gpu\nx = 7")
    nb.check("x = 8")  # the user's own choice
    assert line not in nb.check("x").shown


def test_a_value_that_the_session_changed_in_place_is_another_one_too(nb: Notebook) -> None:
    nb.check("table = {'a': 1}; untouched = [1]")
    nb.check("%%gpu\ntable['a'] = 2\nlen(untouched)")
    ran = nb.check("table")
    assert ran.result == "{'a': 1}"
    assert "table is another one in the session 'default'" in ran.shown
    assert "another" not in nb.check("untouched").shown
    assert nb.check("%%gpu\ntable['a']").result == "2", "what the session has is not overwritten"


def test_a_name_that_only_the_session_has_is_told_under_the_error(nb: Notebook) -> None:
    ran = nb.run("model")
    assert ran.error == "NameError: name 'model' is not defined"
    assert "model lives in the session 'default': `%gpu pull model` brings it here" in ran.shown
    nb.check("%gpu pull model")
    assert nb.check("model").result == "[1, 2]"
    ran = nb.run("%%gpu --no-in\nonly_here_q = y_only")
    assert "was not sent" not in ran.shown
    nb.check("y_only = 1")
    ran = nb.run("%%gpu --no-in\nonly_here_q = y_only")
    assert "y_only is here and was not sent" in ran.traceback


def test_files_are_copied_there_and_back(nb: Notebook, folder: Path) -> None:
    (folder / "ck" / "deep").mkdir(parents=True)
    (folder / "ck" / "deep" / "a.bin").write_bytes(os.urandom(2_000_000))
    assert nb.check("%gpu cp ck :there").stream() == "Copied ck to there: 1.9 MiB\n"
    assert nb.check("%%gpu\nimport os; os.listdir('there')").result == "['deep']"
    nb.check("%gpu cp ck :there")  # again: the same, not one into the other
    assert nb.check("%%gpu\nos.listdir('there')").result == "['deep']"
    nb.check("%gpu cp :there back")
    assert (folder / "back/deep/a.bin").read_bytes() == (folder / "ck/deep/a.bin").read_bytes()
    nb.check("%gpu cp default:there/deep/a.bin back/")
    assert (folder / "back/a.bin").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cp a b", "Both paths are here"),
        ("cp :a :b", "Both paths are in a session"),
        ("cp : b", "names no path"),
        ("cp nothing :x", "There is no nothing here"),
        ("cp :nothing x", "There is no nothing there"),
        ("cp elsewhere:x y", "There is no run 'elsewhere'"),
    ],
)
def test_a_copy_that_cannot_be_is_one_clear_error(nb: Notebook, line: str, words: str) -> None:
    ran = nb.run(f"%gpu {line}")
    assert words in ran.error
    assert "Traceback" not in ran.traceback


def test_pip_installs_into_the_session_and_into_the_one_after_it(nb: Notebook, folder: Path) -> None:
    make_wheel(folder, "gwb_package", "1.0", "value = 7")
    ran = nb.check("%gpu pip install --no-index gwb_package-1.0-py3-none-any.whl")
    assert "Successfully installed gwb-package-1.0" in ran.stream()
    assert nb.check("%%gpu\nimport gwb_package; gwb_package.value").result == "7"
    assert nb.run("import gwb_package").error.startswith(
        "ModuleNotFoundError"
    )  # the notebook's own stay as they were
    nb.check("%gpu stop")
    ran = nb.check("%%gpu\nimport gwb_package; gwb_package.value")
    assert ran.result == "7"
    assert "Installing again what the former session had" in ran.shown
