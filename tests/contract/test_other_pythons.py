"""Notebooks and sessions on other versions of Python than the one these tests run on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gpu_workbench
from tests import pythons
from tests.kernels import Notebook, end_all, notebook

pytestmark = [pytest.mark.pythons, pytest.mark.timeout(300)]

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
OTHERS = [version for version in ("3.10", "3.11", "3.12", "3.13") if version != HERE]
THERE = "3.12" if HERE != "3.12" else "3.11"
"""The one that the session runs where notebook and session differ."""

PLAIN = """
import importlib, pkgutil
import gpu_workbench

for module in pkgutil.walk_packages(gpu_workbench.__path__, "gpu_workbench."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        if error.name not in ("dask", "distributed"):  # of the extra for Dask, which nothing else needs
            raise

from IPython.terminal.ipapp import TerminalIPythonApp

app = TerminalIPythonApp.instance()
app.initialize(["--simple-prompt", "--no-banner"])
for cell in (
    "%load_ext gpu_workbench",
    "import sys; import numpy as np; factor = 7; x = np.arange(3)\\ndef scaled(v): return factor * v",
    "%%gpu --out y,session\\nimport sys\\nprint('in the session'); y = scaled(x); session = sys.version_info[:2]",
    "print('it is', y.tolist(), session == sys.version_info[:2])",
    "%gpu stop",
):
    app.shell.run_cell(cell).raise_error()
"""


@pytest.mark.parametrize("version", OTHERS)
def test_all_of_the_package_is_imported_and_a_cell_runs_from_a_plain_ipython(
    tmp_path: Path, version: str
) -> None:
    python = pythons.notebook_environment(version)
    ours = ("GPU_WORKBENCH_", "JPY_", "KUBECONFIG", "PYTEST_", "IPYTHON")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env |= {
        "PYTHONPATH": str(Path(gpu_workbench.__file__).parents[1]),
        "GPU_WORKBENCH_STATE_DIR": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    try:
        ran = subprocess.run(
            [python, "-c", PLAIN],
            check=False,
            cwd=tmp_path,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    finally:
        end_all(tmp_path / "state")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "in the session\n" in ran.stdout
    assert "it is [0, 7, 14] True\n" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def nb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """A notebook on the Python of these tests, with a session on another."""
    python = pythons.notebook_environment(THERE)
    with notebook(tmp_path_factory.mktemp("pythons")) as made:
        made.check(f"%gpu start --python {python} --gpus 0")
        yield made


def test_plain_values_travel_there_and_back(nb: Notebook) -> None:
    nb.check("import numpy as np; count, words, table = 7, {'a': [1.5, None]}, np.arange(6).reshape(2, 3)")
    ran = nb.check(
        "%%gpu --out told,twice\nimport sys\ntold = [*sys.version_info[:2], count, words]; twice = table * 2"
    )
    assert ran.stream() == ""
    assert nb.check("told").result == f"[{THERE.replace('.', ', ')}, 7, {{'a': [1.5, None]}}]"
    assert nb.check("twice.tolist()").result == "[[0, 2, 4], [6, 8, 10]]"


def test_functions_and_classes_of_the_notebook_go_as_their_source(nb: Notebook) -> None:
    nb.check(
        "factor = 3\n"
        "def scaled(v):\n    return factor * v\n"
        "class Model:\n    def __init__(self): self.weight = 2\n    def __call__(self, v): return self.weight * scaled(v)\n"
        "model = Model()"
    )
    assert nb.check("%%gpu\nscaled(2), model(2)").result == "(6, 12)"
    nb.check("factor = 4")
    assert nb.check("%%gpu\nmodel(2)").result == "16"


@pytest.mark.parametrize(
    ("made", "name"),
    [
        ("doubled = lambda v: 2 * v", "doubled"),
        ("def adder(n):\n    def add(v): return v + n\n    return add\nadd = adder(1)", "add"),
        ("held = {'twice': lambda v: 2 * v}", "held"),
    ],
    ids=["lambda", "closure", "lambda in a dict"],
)
def test_what_would_go_as_bytecode_is_refused_with_both_versions_and_what_to_do(
    nb: Notebook, made: str, name: str
) -> None:
    nb.check(made)
    ran = nb.run(f"%%gpu\nprint('begun')\n{name}")
    assert ran.error.startswith(f"NotPicklable: {name} cannot travel"), ran.shown
    assert f"the session runs Python {THERE}, this notebook Python {HERE}" in ran.error
    assert "line 2 of the cell reads it" in ran.error
    assert "begun" not in ran.stream()
    assert nb.run(f"%%gpu --no-in\n{name}").error.startswith("NameError")
