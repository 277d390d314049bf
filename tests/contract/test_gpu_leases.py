"""The one GPU of this machine, SIMULATED: who comes later waits in line, says so, and has it when it is given back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import nvml
from tests.contract.test_reattach import until_shown
from tests.kernels import Notebook, notebook

pytestmark = [
    pytest.mark.timeout(180),
    *nvml.MARKS,
]

PROGRAM = Path(sys.executable).with_name("gpu-workbench")
SENTENCE = "Waits for this machine's GPU: a session or run that came before holds it"

SUBMIT_AND_DIE = """
import os, signal, time
import gpu_workbench as gw

cell = "import os; mine = os.environ['CUDA_VISIBLE_DEVICES']; open(MARK, 'w').close(); print('ran')"
run = gw.submit(cell.replace("MARK", repr(os.path.abspath("mark"))), out="mine", name="orphan", gpus=1)
while run.status().value != "Queued":
    time.sleep(0.05)
print(run.why(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

FIND = """
import gpu_workbench as gw

run = gw.attach("orphan")
print(run.wait(60).value, run.result()["mine"], list(run.logs()))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("leases")


@pytest.fixture(scope="module")
def env(folder: Path) -> dict[str, str]:
    """What every process of the user needs to see that GPU, and the same state."""
    return {
        **nvml.machine(folder / "nvml", count=1),
        "GPU_WORKBENCH_STATE_DIR": str(folder / ".state"),
        "XDG_CONFIG_HOME": str(folder / ".config"),
    }


@pytest.fixture(scope="module")
def nb(folder: Path, env: dict[str, str]) -> Iterator[Notebook]:
    with notebook(folder, env=env) as made:
        yield made


def started(folder: Path, env: dict[str, str], *command: str | Path) -> subprocess.Popen[str]:
    """Another process of the user's."""
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_who_waits_has_it_in_the_order_of_coming_also_when_its_starter_was_killed_meanwhile(
    nb: Notebook, folder: Path, env: dict[str, str]
) -> None:
    held = nb.check("%%gpu --session first --gpus 1\nimport os; print(os.environ['CUDA_VISIBLE_DEVICES'])")
    gpu = held.stream().strip()
    assert gpu.startswith("GPU-")

    starter = started(folder, env, sys.executable, "-c", SUBMIT_AND_DIE)
    said, errors = starter.communicate(timeout=60)
    assert starter.returncode == -signal.SIGKILL, errors
    assert said.strip() == SENTENCE

    mark = folder / "mark"
    second = nb.begin(
        "%%gpu --session second --gpus 1\n"
        f"import os; print(os.environ['CUDA_VISIBLE_DEVICES'], os.path.exists({str(mark)!r}))"
    )
    until_shown(nb, second, SENTENCE)
    assert not mark.exists()
    stopping = started(folder, env, PROGRAM, "stop", "first")
    ran = nb.end(second)
    assert (ran.status, ran.stream()) == ("ok", f"{gpu} True\n"), ran.shown
    assert stopping.wait(30) == 0

    found, errors = started(folder, env, sys.executable, "-c", FIND).communicate(timeout=60)
    assert found == f"Succeeded {gpu} ['ran']\n", errors
