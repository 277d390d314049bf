"""``%load_ext gpu_workbench`` in a kernel that has done nothing yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.bench.harness import Figure, Target
from tests.bench.place import Place, evaluated, plain_kernel

TITLE = "`%load_ext gpu_workbench`"

HEAVY = ("torch", "dask", "matplotlib", "kubernetes")

_LOAD = """
import sys, time
before, began = set(sys.modules), time.perf_counter()
get_ipython().run_line_magic("load_ext", "gpu_workbench")
seconds, new = time.perf_counter() - began, set(sys.modules) - before
"""


def measure(place: Place) -> Iterator[Figure]:
    """A new kernel for each repetition."""
    found = [_load(place) for _ in range(place.times(10))]
    modules = found[-1][1]
    heavy = [name for name in HEAVY if any(module.partition(".")[0] == name for module in modules)]
    packages = sorted({module.partition(".")[0] for module in modules} - {"gpu_workbench"})
    note = f"{len(modules)} modules are new to the kernel; besides gpu_workbench: {', '.join(packages) or 'none'}."
    yield Figure("over a bare kernel", "ms", [1000 * one[0] for one in found], target=Target(150), note=note)
    yield Figure(f"of {', '.join(HEAVY)} imported", "", [len(heavy)], target=Target(0))


def _load(place: Place) -> tuple[float, Any]:
    with plain_kernel(place.folder) as kernel:
        kernel.check(_LOAD)
        return evaluated(kernel, "seconds"), evaluated(kernel, "sorted(new)")
