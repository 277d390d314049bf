"""The notebook's stop button, from a real kernel: what it ends, what it leaves, and what it never hits."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.contract.conftest import ON_THIS_MACHINE, Desk
from tests.kernels import Notebook, Ran

pytestmark = pytest.mark.timeout(240, func_only=True)

IN_C = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'a', b'b', 2_000_000_000)"
"""Minutes in C: Python hears of the interrupt only when it is over."""


@pytest.fixture(scope="module")
def nb(desk: Desk) -> Iterator[Notebook]:
    with desk.warm() as made:
        made.check("%%gpu\nstate = 'kept'")
        yield made


def interrupted(nb: Notebook, cell: str, *, presses: int = 1, apart: float = 0.2) -> Ran:
    """Run ``cell``, which prints ``ready``; press the button then."""
    pressed = []

    def seen(ran: Ran) -> None:
        if "ready" in ran.stream() and not pressed:
            pressed.append(True)
            for _ in range(presses):
                nb.interrupt()
                time.sleep(apart)

    return nb.end(nb.begin(cell), seen=seen)


def test_once_raises_in_the_cell_and_keeps_the_state(nb: Notebook) -> None:
    ran = interrupted(nb, "%%gpu\nimport time\nprint('ready', flush=True)\ntime.sleep(60)")
    assert ran.error.startswith("KeyboardInterrupt")
    assert ran.seconds < 30
    assert nb.check("%%gpu\nstate").result == "'kept'"


def test_three_presses_within_a_second_are_one(nb: Notebook) -> None:
    cell = """%%gpu
import time
hits = 0
print('ready', flush=True)
end = time.monotonic() + 3
while time.monotonic() < end:
    try:
        time.sleep(0.05)
    except KeyboardInterrupt:
        hits += 1
"""
    interrupted(nb, cell, presses=3)
    assert nb.check("%%gpu\nhits").result == "1"
    assert nb.check("%%gpu\nstate").result == "'kept'"


def test_again_when_it_blocks_in_c_restarts_the_process(nb: Notebook) -> None:
    cell = f"%%gpu\nprint('ready', flush=True)\n{IN_C}"
    ran = interrupted(nb, cell, presses=2, apart=5.5)
    assert ran.status == "error"
    assert "restarted" in ran.shown
    assert ran.seconds < 40
    lost = nb.run("%%gpu\nstate")
    assert "state" in lost.shown
    assert "gone" in lost.shown
    nb.check("%%gpu\nstate = 'kept'")


@ON_THIS_MACHINE
def test_it_never_hits_the_next_cell(nb: Notebook) -> None:
    for _ in range(10):
        message = nb.begin("%%gpu\nimport time; time.sleep(0.05)")
        time.sleep(0.06)
        nb.interrupt()
        nb.end(message, reply=False)
        assert nb.check("%%gpu\nsum(range(1000))").result == "499500"
    assert nb.check("%%gpu\nstate").result == "'kept'"
