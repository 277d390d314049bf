"""No secret of ours is where somebody else can read it: not in arguments, environments, logs, outputs or the journal."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernels import Notebook, Ran, notebook

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Notebook, Path, list[Ran]]]:
    """A notebook that has run a few cells, its workload's folder, and all that the cells left."""
    folder = tmp_path_factory.mktemp("secrets")
    with notebook(folder) as nb:
        ran = [
            nb.check("x = 1"),
            nb.check(
                "%%gpu --out y\nimport time\ny = x + 1\nfor _ in range(3): print('.', flush=True); time.sleep(1)"
            ),
            nb.run("%%gpu\nraise ValueError('no')"),
            nb.check("%gpu ls"),
            nb.check("%gpu why"),
        ]
        [workload] = [path for path in (folder / ".state" / "local").iterdir() if (path / "token").exists()]
        yield nb, workload, ran


def processes_of(workload: Path) -> list[Path]:
    """/proc folders of the agent and of all it started."""
    agent = json.loads((workload / "process.json").read_text())["pid"]
    found, waiting = [], [agent]
    while waiting:
        pid = waiting.pop()
        found.append(Path(f"/proc/{pid}"))
        for task in Path(f"/proc/{pid}/task").iterdir():
            waiting += [int(child) for child in (task / "children").read_text().split()]
    return found


def test_the_token_is_in_no_argument_and_no_environment(used: tuple[Notebook, Path, list[Ran]]) -> None:
    _, workload, _ = used
    token = (workload / "token").read_bytes().strip()
    assert len(token) >= 32
    processes = processes_of(workload)
    assert len(processes) >= 2
    for process in processes:
        assert token not in (process / "cmdline").read_bytes()
        assert token not in (process / "environ").read_bytes()


def test_the_token_is_in_no_output_log_or_journal(used: tuple[Notebook, Path, list[Ran]]) -> None:
    _, workload, ran = used
    token = (workload / "token").read_text().strip()
    assert all(token not in json.dumps(one.outputs) for one in ran)
    for path in workload.rglob("*"):
        if path.is_file() and path.name != "token":
            assert token.encode() not in path.read_bytes(), path


def test_everything_of_a_workload_is_for_its_user_alone(used: tuple[Notebook, Path, list[Ran]]) -> None:
    _, workload, _ = used
    assert stat.S_IMODE(workload.stat().st_mode) == 0o700
    for name in ("token", "agent.sock"):
        path = workload / name
        if path.exists():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, name


def test_a_cell_cannot_read_the_token_from_its_environment(used: tuple[Notebook, Path, list[Ran]]) -> None:
    nb, workload, _ = used
    token = (workload / "token").read_text().strip()
    seen = nb.check("%%gpu\nimport os; repr(dict(os.environ))").result
    assert token not in seen
