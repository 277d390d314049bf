"""Several ranks as one: cells, detached runs and scripts on every backend."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.contract.conftest import Desk
from tests.kernels import Notebook

pytestmark = pytest.mark.timeout(300)

GATHER = """
import os, pathlib, socket
rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])

def gather(word):
    # all ranks meet where torch.distributed would; the words of all, on every rank
    import json, time
    address = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    if rank == 0:
        words, peers = {0: word}, []
        with socket.create_server(("", address[1])) as listener:
            while len(words) < world:
                peer = listener.accept()[0]
                peers.append(peer)
                words.update({int(k): v for k, v in json.loads(peer.makefile().readline()).items()})
        for peer in peers:
            peer.sendall((json.dumps(words) + "\\n").encode())
            peer.close()
        return [words[key] for key in sorted(words)]
    while True:
        try:
            peer = socket.create_connection(address, timeout=30)
            break
        except OSError:
            time.sleep(0.05)
    with peer:
        peer.sendall((json.dumps({rank: word}) + "\\n").encode())
        found = {int(k): v for k, v in json.loads(peer.makefile().readline()).items()}
    return [found[key] for key in sorted(found)]
"""


@pytest.fixture(scope="module")
def nb(desk: Desk) -> Iterator[Notebook]:
    (desk.folder / "helper.py").write_text("VALUE = 'from the project'\n")
    with desk.open() as made:
        made.check(f"%gpu start {desk.small} --nodes 2 --nproc-per-node 2")
        made.check(f"%%gpu\n{GATHER}")
        yield made


def test_a_cell_runs_on_every_rank_and_rank_0s_output_is_here(nb: Notebook) -> None:
    ran = nb.check("%%gpu --out everyone\nprint('rank', rank, 'of', world)\neveryone = gather(rank * 10)")
    assert ran.stream() == "rank 0 of 4\n"
    assert nb.check("everyone").result == "[0, 10, 20, 30]"
    assert nb.check("%gpu logs --rank 3").stream().endswith("rank 3 of 4\n")


def test_values_and_modules_of_the_project_are_on_every_rank(nb: Notebook) -> None:
    nb.check("import numpy as np\nweights = np.arange(1_000_000.)")
    cell = "%%gpu --out sums\nimport helper\nsums = gather([float(weights.sum()), helper.VALUE])"
    nb.check(cell)
    assert nb.check("sums == [[499999500000.0, 'from the project']] * 4").result == "True"


def test_a_changed_module_is_loaded_anew_on_every_rank(nb: Notebook, desk: Desk) -> None:
    nb.check("%%gpu\nimport helper")
    (desk.folder / "helper.py").write_text("VALUE = 'changed'\n")
    nb.check("%%gpu --out values\nimport helper\nvalues = gather(helper.VALUE)")
    assert nb.check("values").result == "['changed', 'changed', 'changed', 'changed']"


def test_a_cell_runs_on_some_ranks_alone(nb: Notebook) -> None:
    assert nb.check("%%gpu --ranks 2,3\nmark = rank\nprint('only', rank)").stream() == "only 2\n"
    nb.check("%%gpu --out marks\nmarks = gather(globals().get('mark'))")
    assert nb.check("marks").result == "[None, None, 2, 3]"
    assert "no rank 9: they are 0 to 3" in nb.run("%%gpu --ranks 9\n1").error


def test_the_rank_that_failed_is_shown_and_the_others_do_not_wait_for_it(nb: Notebook) -> None:
    ran = nb.run("%%gpu\nif rank == 2: raise ValueError('not like this')\nimport time; time.sleep(60)")
    assert ran.error == "ValueError: not like this"
    assert "On rank 2:" in ran.traceback
    assert "----> 2 if rank == 2" in ran.traceback
    assert "KeyboardInterrupt" not in ran.shown
    assert ran.seconds < 20
    assert "rank 2 first" in ran.shown
    assert nb.check("%%gpu\nprint(rank)").stream() == "0\n"  # what it knows is kept


def test_an_interrupt_reaches_every_rank(nb: Notebook) -> None:
    cell = """%%gpu
import time
print('sleeps', flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    stopped = True
    raise"""
    message = nb.begin(cell)
    nb.shows(message, "sleeps")
    nb.interrupt()
    assert nb.end(message).error.startswith("KeyboardInterrupt")
    nb.check("%%gpu --out stopped\nstopped = gather(stopped)")
    assert nb.check("stopped").result == "[True, True, True, True]"


def test_the_death_of_one_process_makes_all_of_them_anew_and_says_so(nb: Notebook) -> None:
    ran = nb.run("%%gpu\nimport os, time\nif rank == 1: os._exit(3)\ntime.sleep(60)")
    assert "exit code 3, on rank 1" in ran.shown
    lost = nb.run("%%gpu\nprint(rank)")
    assert lost.error.startswith("NameLost")
    nb.check(f"%%gpu --out fresh\n{GATHER}\nfresh = gather('mark' in globals())")
    assert nb.check("fresh").result == "[False, False, False, False]"


def test_a_detached_run_is_one_run_whose_result_is_rank_0s(desk: Desk) -> None:
    with desk.open("detached.ipynb") as nb:
        cell = f"{GATHER}\nprint('begun', rank)\neveryone = gather(rank)"
        nb.check(f"%%gpu --detach {desk.small} --nodes 2 --name everyone --out everyone\n{cell}")
        assert nb.check("%gpu attach everyone").stream() == "begun 0\n"
        assert nb.check("%gpu result everyone").result == "[0, 1]"


def test_a_detached_run_fails_with_the_rank_that_did(desk: Desk) -> None:
    with desk.open("failing.ipynb") as nb:
        cell = "import os, time\nif os.environ['RANK'] == '1': raise OSError('no data')\ntime.sleep(60)"
        nb.check(f"%%gpu --detach {desk.small} --nodes 2 --name failing\n{cell}")
        shown = nb.run("%gpu attach failing")
        assert shown.error == "OSError: no data"
        errors = [one["error"]["ename"] for one in shown.outputs if "error" in one]
        assert errors == ["OSError"], "how rank 0 was ended is of no interest"
        assert "on rank 1" in shown.shown


SCRIPT = """import os, sys, time
print("rank", os.environ["RANK"], sys.argv[1:], flush=True)
if os.environ["RANK"] == "1" and "fail" in sys.argv:
    sys.exit("no such data set")
time.sleep(60 if "fail" in sys.argv else 0)
"""


@pytest.mark.parametrize(("words", "code"), [(["--lr", "1e-3"], 0), (["fail"], 1)])
def test_a_script_runs_on_every_rank(desk: Desk, words: list[str], code: int) -> None:
    (desk.folder / "train.py").write_text(SCRIPT)
    env = {**os.environ, **desk.env, "GPU_WORKBENCH_STATE_DIR": str(desk.folder / ".state")}
    line = ["run", "train.py", *desk.small.split(), "--nodes", "2", "--", *words]
    done = subprocess.run(
        [sys.executable, "-m", "gpu_workbench.surfaces.cli", *line],
        cwd=desk.folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout == f"rank 0 {words}\n"
    assert ("no such data set" in done.stderr) is bool(code)
