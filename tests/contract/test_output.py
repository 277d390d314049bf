"""What a cell can do to its own output, the whole way: from the pod's process into a real notebook's cell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import ON_THIS_MACHINE, Desk
from tests.kernels import Notebook, Ran

pytestmark = pytest.mark.timeout(300, func_only=True)

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def nb(desk: Desk) -> Iterator[Notebook]:
    with desk.warm() as made:
        made.check("%%gpu\nstate = 'kept'")
        yield made


@pytest.fixture(autouse=True)
def still_true(nb: Notebook) -> Iterator[None]:
    """After each of them the session answers, and nothing of its output comes late."""
    yield
    ran = nb.check("%%gpu\nprint('after'); 6 * 7")
    assert (ran.stream(), ran.stream("stderr"), ran.result) == ("after\n", "", "42")


def highest_memory(pid: int) -> int:
    """The most memory that a process has ever held, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def test_ten_megabytes_on_one_line_come_whole(nb: Notebook) -> None:
    before = highest_memory(nb.pid)
    ran = nb.check("%%gpu\nprint('a' * 5_000_000 + 'b' * 5_000_000)\nprint('next')")
    assert ran.stream() == "a" * 5_000_000 + "b" * 5_000_000 + "\nnext\n"
    assert highest_memory(nb.pid) - before < 120 * MEBIBYTE


@ON_THIS_MACHINE
def test_memory_here_does_not_grow_with_the_output(nb: Notebook) -> None:
    cell = "%%gpu\nfor i in range({0}): print(f'{{i:07d}}' + '.' * 1000)"
    nb.check(cell.format(30_000))
    before = highest_memory(nb.pid)
    ran = nb.check(cell.format(120_000), limit=200)
    lines = ran.stream().splitlines()
    assert [int(line[:7]) for line in lines] == list(range(120_000))
    assert highest_memory(nb.pid) - before < 60 * MEBIBYTE, "120 MB went through, 30 MB before"


def test_binary_rubbish_is_shown_as_far_as_it_is_text(nb: Notebook) -> None:
    cell = """%%gpu
import os, sys
print('before', flush=True)
os.write(1, b'raw: \\xff\\xfe\\x00\\x80 end of raw\\n')
os.write(1, bytes(range(256)) * 400)
print('a name that is no text: \\udcff.csv')
print('after', flush=True)
"""
    ran = nb.check(cell)
    assert ran.stream().startswith("before\n")
    assert "raw: " in ran.stream()
    assert "end of raw" in ran.stream()
    assert "a name that is no text: " in ran.stream()
    assert "after\n" in ran.stream()


def test_a_progress_bar_of_carriage_returns_ends_at_its_end(nb: Notebook) -> None:
    cell = "%%gpu\nfor i in range(2001): print(f'\\r{i / 20:.0f} %', end='', flush=True)\nprint()"
    text = nb.check(cell).stream()
    assert text.endswith("\r100 %\n")
    shown = [int(part.removesuffix(" %")) for part in text.strip().split("\r") if part]
    assert shown == sorted(shown), "it never goes back"


@ON_THIS_MACHINE
def test_stderr_between_stdout_stays_where_it_was(nb: Notebook) -> None:
    cell = """%%gpu
import sys
for i in range(200):
    print('out', i, flush=True)
    print('err', i, file=sys.stderr, flush=True)
"""
    ran = nb.check(cell)
    assert ran.stream() == "".join(f"out {i}\n" for i in range(200))
    assert ran.stream("stderr") == "".join(f"err {i}\n" for i in range(200))
    streams = [content for output in ran.outputs for kind, content in output.items() if kind == "stream"]
    mixed = "".join(content["text"] for content in streams).splitlines()
    assert mixed == [f"{name} {i}" for i in range(200) for name in ("out", "err")]


@pytest.mark.parametrize("close", ["sys.stdout.close()", "os.close(1)"])
def test_a_cell_that_closes_its_own_stdout_ends_truly(desk: Desk, nb: Notebook, close: str) -> None:
    place = f"%%gpu --session {'python' if 'sys' in close else 'descriptor'} {desk.small}"
    ran = nb.check(f"{place}\nimport os, sys\nprint('said', flush=True)\n{close}\n'ended'")
    assert ran.stream() == "said\n"
    assert ran.result == "'ended'"
    assert nb.check(f"{place}\n1 + 1").result == "2"
    failed = nb.run(f"{place}\n1 / 0")
    assert failed.error == "ZeroDivisionError: division by zero"


@ON_THIS_MACHINE
def test_a_cell_that_forks_says_what_its_children_say(nb: Notebook) -> None:
    cell = """%%gpu
import os, subprocess, sys
child = os.fork()
if child == 0:
    os.write(1, b'forked\\n')
    os._exit(3)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
subprocess.run([sys.executable, '-c', "print('started')"], check=True)
code
"""
    ran = nb.check(cell)
    assert ran.result == "3"
    assert ran.stream().count("forked\n") == 1
    assert ran.stream().count("started\n") == 1
    assert nb.check("%%gpu\nstate").result == "'kept'"


@ON_THIS_MACHINE
def test_a_fork_that_is_left_to_run_on_does_not_hold_the_cell(nb: Notebook) -> None:
    cell = """%%gpu
import os, signal
child = os.fork()
if child == 0:
    signal.pause()
    os._exit(0)
child
"""
    ran = nb.check(cell, limit=60)
    assert (
        nb.check(f"%%gpu\nimport os; os.kill({ran.result}, 9); os.waitpid({ran.result}, 0)[1]").result == "9"
    )


@ON_THIS_MACHINE
def test_tqdm_auto_is_text(nb: Notebook) -> None:
    ran = nb.check("%%gpu\nfrom tqdm.auto import tqdm\nfor _ in tqdm(range(50), desc='epochs'): pass")
    assert "epochs: 100%" in ran.stream("stderr")
    assert not widgets_of(ran.outputs)


def test_a_widget_shows_its_text_and_no_dead_box(nb: Notebook) -> None:
    cell = """%%gpu
import ipywidgets
from IPython.display import display
slider = ipywidgets.IntSlider(value=7, description='size')
display(slider)
slider
"""
    ran = nb.check(cell)
    assert not widgets_of(ran.outputs)
    assert "IntSlider(value=7" in ran.displays[0]["data"]["text/plain"]
    assert "IntSlider(value=7" in ran.result


def widgets_of(outputs: list[dict[str, dict[str, object]]]) -> list[object]:
    """Outputs that a front end would draw as a live widget."""
    return [
        content
        for output in outputs
        for content in output.values()
        if "widget-view" in str(content.get("data", ""))
    ]


def test_a_cell_that_ends_its_process_loses_nothing_that_was_shown(nb: Notebook) -> None:
    cell = """%%gpu
import os, sys
for i in range(1000): print(i)
sys.stdout.flush()
input()
os._exit(7)
"""
    answered = []

    def answer(ran: Ran) -> None:
        if ran.stream().endswith("999\n") and not answered:
            answered.append(nb.client.get_stdin_msg(timeout=30))
            nb.client.input("go")

    ran = nb.end(nb.client.execute(cell, allow_stdin=True), seen=answer)
    assert ran.status == "error"
    assert ran.stream() == "".join(f"{i}\n" for i in range(1000))
    assert "exit code 7" in ran.shown
    lost = nb.run("%%gpu\nstate")
    assert "state" in lost.error
    assert "gone" in lost.error
    nb.check("%%gpu\nstate = 'kept'")
