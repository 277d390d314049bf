"""A million printed lines, and what they leave behind in the notebook's kernel."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from tests.bench.harness import Figure, Target, in_turn
from tests.bench.memory import peak, reset_peak
from tests.bench.place import Place, plain_kernel, timed
from tests.kernels import Notebook

TITLE = "Printed lines"

LINES = 1_000_000


def measure(place: Place) -> Iterator[Figure]:
    """Against the same cell in a plain kernel on this machine."""
    lines = place.lines(LINES)
    loop = f"for i in range({lines}): print(i)"
    with contextlib.ExitStack() as stack:
        kernels = {"plain": stack.enter_context(plain_kernel(place.folder / "plain"))}
        kernels["local"] = stack.enter_context(place.local())
        if place.cluster is not None:
            kernels["kubernetes"] = stack.enter_context(place.kubernetes())
        grown = {name: _growth(kernel, lines) for name, kernel in kernels.items() if name != "plain"}

        def action(name: str) -> Callable[[], float]:
            source = loop if name == "plain" else f"%%gpu\n{loop}"
            return lambda: _printed(kernels[name], source, lines)

        found = in_turn({name: action(name) for name in kernels}, times=place.times(3), warm=0)
    for name in grown:
        yield Figure(
            f"{lines:,} lines, {name}",
            "s",
            found[name],
            found["plain"],
            "plain ipykernel",
            Target(1.5, of="ratio"),
        )
    for name, growth in grown.items():
        yield Figure(
            f"notebook kernel's peak memory after {lines:,} lines, {name}",
            "MB",
            [growth[1]],
            [growth[0]],
            f"after {3 * lines // 10:,} lines",
            Target(10, of="extra"),
        )


def _printed(kernel: Notebook, source: str, lines: int) -> float:
    timing = timed(kernel, source)
    if timing.ran.stream().count("\n") != lines:
        raise RuntimeError(f"{timing.ran.stream().count(chr(10)):,} lines came of {lines:,}")
    return timing.whole


def _growth(kernel: Notebook, lines: int) -> tuple[float, float]:
    found = []
    for count in (3 * lines // 10, lines):  # by then its buffers have the size that they keep
        reset_peak(kernel.pid)
        _printed(kernel, f"%%gpu\nfor i in range({count}): print(i)", count)
        found.append(peak(kernel.pid) / 1e6)
    return found[0], found[1]
