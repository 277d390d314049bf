"""What has not changed is not sent again: an array of 2 GB, and a project of 2,000 files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tests.bench.harness import Figure, Target, in_turn
from tests.bench.place import LIMIT, Place, timed

TITLE = "Nothing re-sent"

SIZE = 2 * 10**9
FILES = 2000


def measure(place: Place) -> Iterator[Figure]:
    """A cell beside the same cell that has nothing to look at."""
    yield from _array(place)
    yield from _project(place)


def _array(place: Place) -> Iterator[Figure]:
    size = SIZE // 10 if place.quick else SIZE
    with place.local() as made:
        made.check(f"import numpy as np; x = np.ones({size // 8})")
        made.check("%%gpu\nx.nbytes", limit=LIMIT)
        actions = {
            "with": lambda: timed(made, "%%gpu\nx.nbytes").whole,
            "without": lambda: timed(made, "%%gpu\n1").whole,
        }
        found = in_turn(actions, times=place.times(20), warm=2)
    yield Figure(
        f"a cell that reads an unchanged array of {size / 1e9:g} GB",
        "s",
        found["with"],
        found["without"],
        "a cell that reads none",
        Target(0.15, of="extra"),
    )


def _project(place: Place) -> Iterator[Figure]:
    full = place.folder / "full"
    for index in range(FILES):
        path = full / f"pkg{index % 40}" / f"module{index}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"value = {index}\n")
    for path in (full, *full.rglob("*")):
        os.utime(path, (1.6e9, 1.6e9))
    backends = ("local", "kubernetes") if place.cluster else ("local",)
    for backend in backends:
        yield from _project_on(place, backend, full)


def _project_on(place: Place, backend: str, full: Path) -> Iterator[Figure]:
    start = place.kubernetes if backend == "kubernetes" else place.local
    with contextlib.ExitStack() as stack:
        many = stack.enter_context(start(f"{backend}-many", folder=full))
        none = stack.enter_context(start(f"{backend}-none"))
        cell = "%%gpu\nimport pkg1.module1\n1"
        many.check(cell)
        actions = {
            "many": lambda: 1000 * timed(many, "%%gpu\n1").whole,
            "none": lambda: 1000 * timed(none, "%%gpu\n1").whole,
        }
        found = in_turn(actions, times=place.times(30), warm=3)
    yield Figure(
        f"a cell in an unchanged project of {FILES:,} files, {backend}",
        "ms",
        found["many"],
        found["none"],
        "a cell in an empty project",
        Target(50, of="extra"),
    )
