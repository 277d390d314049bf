"""A warm ``1+1``: from the cell that was sent to its value on the screen, and until the next cell may run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from tests.bench.harness import Figure, Target, in_turn
from tests.bench.place import Place, Timing, plain_kernel, timed
from tests.kernels import Notebook

TITLE = "Warm `1+1`"

_NESTED = """
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel()
def show(message):
    if message["msg_type"] == "execute_result":
        get_ipython().display_pub.publish(message["content"]["data"])
def nested(code):
    client.execute_interactive(code, output_hook=show, allow_stdin=False)
"""


def measure(place: Place) -> Iterator[Figure]:
    """Plain, nested, local and, where there is a cluster, both ways to a pod: all in turn."""
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(plain_kernel(place.folder / "plain"))
        nested = stack.enter_context(plain_kernel(place.folder / "nested"))
        nested.check(_NESTED)
        stack.callback(nested.run, "client.stop_channels(); manager.shutdown_kernel(now=True)")
        kernels: dict[str, tuple[Notebook, str]] = {
            "plain": (plain, "1+1"),
            "nested": (nested, "nested('1+1')"),
            "local": (stack.enter_context(place.local()), "%%gpu\n1+1"),
        }
        if place.cluster is not None:
            kernels["port-forward"] = (stack.enter_context(place.kubernetes()), "%%gpu\n1+1")
            straight = stack.enter_context(place.kubernetes("direct", direct=True))
            kernels["direct"] = (straight, "%%gpu\n1+1")
        timings: dict[str, list[Timing]] = {name: [] for name in kernels}

        def action(name: str) -> Callable[[], float]:
            def run() -> float:
                timings[name].append(timed(*kernels[name], until="value"))
                return timings[name][-1].first

            return run

        times = place.times(150)
        in_turn({name: action(name) for name in kernels}, times=times, warm=10)
    first = {name: [1000 * timing.first for timing in found[-times:]] for name, found in timings.items()}
    whole = {name: [1000 * timing.whole for timing in found[-times:]] for name, found in timings.items()}
    limits = {"local": 2.5, "port-forward": 3.5, "direct": 3.0}
    for name, limit in limits.items():
        if name not in kernels:
            continue
        yield _against(first, name, "plain", "to its value", Target(limit, of="ratio"))
        yield _against(whole, name, "plain", "to its end", Target(limit, of="ratio"))
        if name == "local":
            yield _against(first, name, "nested", "to its value", Target(3, of="extra"))
            yield _against(whole, name, "nested", "to its end", Target(3, of="extra"))


def _against(found: dict[str, list[float]], name: str, other: str, what: str, target: Target) -> Figure:
    return Figure(
        f"{name}, {what}",
        "ms",
        found[name],
        found[other],
        against={"plain": "plain ipykernel", "nested": "an ipykernel in an ipykernel"}[other],
        target=target,
    )
