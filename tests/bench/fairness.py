"""Eight notebooks with a session each, printing at once: nobody starves."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.bench.harness import Figure, Target
from tests.bench.place import Place, timed
from tests.kernels import Notebook

TITLE = "Eight notebooks printing at once"

NOTEBOOKS = 8
LINES = 100_000


def measure(place: Place) -> Iterator[Figure]:
    """All are let go at one moment; each says how long it took."""
    lines = place.lines(LINES)
    source = f"%%gpu\nfor i in range({lines}): print(i)"
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(NOTEBOOKS) as pool:
        begin = [stack.enter_context(place.notebook(f"n{number}")) for number in range(NOTEBOOKS)]
        notebooks = list(pool.map(_warm, begin))
        rounds = []
        for _ in range(place.times(3)):
            gate = threading.Barrier(NOTEBOOKS)

            def run(made: Notebook, gate: threading.Barrier = gate) -> float:
                gate.wait()
                return timed(made, source).whole

            rounds.append(list(pool.map(run, notebooks)))
    yield Figure(
        f"the slowest of {NOTEBOOKS}, {lines:,} lines each",
        "s",
        [max(found) for found in rounds],
        [min(found) for found in rounds],
        "the fastest",
        Target(2, of="ratio"),
    )


def _warm(made: Notebook) -> Notebook:
    made.check("%%gpu\n1")
    return made
