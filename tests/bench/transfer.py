"""``%gpu push`` and ``%gpu pull`` of a large array against a plain Python socket with the same hops."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tests.bench import memory, plain_bytes
from tests.bench.harness import Figure, Target, in_turn
from tests.bench.place import LIMIT, OnCluster, Place, timed
from tests.kernels import Notebook

TITLE = "A large array there and back"

SIZE = 10**9
SIZE_ON_CLUSTER = SIZE // 4
"""Five ways of which most carry less than 100 MB/s; what they carry does not depend on the size."""

LEAST = Target(0.7, of="ratio", at_least=True)


def measure(place: Place) -> Iterator[Figure]:
    """There and back, both ends in fresh memory."""
    yield from _local(place, _data(SIZE // 10 if place.quick else SIZE))
    if place.cluster is not None:
        yield from _kubernetes(place, place.cluster, _data(SIZE_ON_CLUSTER))


def _data(size: int) -> memoryview:
    return memoryview(np.random.default_rng(0).random(size // 8)).cast("B")


def _local(place: Place, data: memoryview) -> Iterator[Figure]:
    with place.local() as made, plain_bytes.relay_here(place.folder / "relay", data.nbytes) as connect:
        made.check(f"import numpy as np; x = np.random.default_rng(0).random({data.nbytes // 8})")
        actions = {"ours": _ours(made), "plain": _plain(connect, data)}
        found = in_turn(actions, times=place.times(5))
        memories = _memory(made, data.nbytes)
    ours, plain = _rates(found["ours"], data), _rates(found["plain"], data)
    yield Figure(f"local, {_size(data)}", "MB/s", ours, plain, "Unix sockets with a relay", LEAST)
    yield from _memory_figures("local", memories)


def _kubernetes(place: Place, cluster: OnCluster, data: memoryview) -> Iterator[Figure]:
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(plain_bytes.relay_pod(cluster, data.nbytes))
        connect = stack.enter_context(plain_bytes.forwarded(cluster))
        kernels = {"port-forward": stack.enter_context(place.kubernetes())}
        kernels["direct"] = stack.enter_context(place.kubernetes("direct", direct=True))
        for made in kernels.values():
            made.check(f"import numpy as np; x = np.random.default_rng(0).random({data.nbytes // 8})")
        actions = {
            "direct": _ours(kernels["direct"]),
            "direct, plain": _plain(plain_bytes.encrypted(address, plain_bytes.PORT), data),
            "port-forward": _ours(kernels["port-forward"]),
            "port-forward, plain": _plain(connect, data),
            "kubectl cp": lambda: plain_bytes.copied(cluster, place.folder / "copied", data),
        }
        rates = {
            name: _rates(found, data)
            for name, found in in_turn(actions, times=place.times(3), warm=0).items()
        }
        memories = {name: _memory(made, data.nbytes) for name, made in kernels.items()}
    for name, hops in (("direct", "TLS"), ("port-forward", "TLS in kubectl port-forward")):
        against = f"{hops} and a Unix socket with a relay"
        yield Figure(
            f"kubernetes, {name}, {_size(data)}", "MB/s", rates[name], rates[f"{name}, plain"], against, LEAST
        )
    faster = Target(1, of="ratio", at_least=True)
    for name in kernels:
        copied = rates["kubectl cp"]
        yield Figure(
            f"kubernetes, {name}, {_size(data)}",
            "MB/s",
            rates[name],
            copied,
            "`kubectl cp` of a file",
            faster,
        )
    for name, found_memory in memories.items():
        yield from _memory_figures(f"kubernetes, {name}", found_memory)


def _size(data: memoryview) -> str:
    return f"{data.nbytes / 1e9:g} GB"


def _rates(seconds: Sequence[float], data: memoryview) -> list[float]:
    return [2 * data.nbytes / one / 1e6 for one in seconds]


def _plain(connect: plain_bytes.Connect, data: memoryview) -> Callable[[], float]:
    return lambda: plain_bytes.there_and_back(connect, data)


def _ours(made: Notebook) -> Callable[[], float]:
    def run() -> float:
        there = timed(made, "%gpu push x").whole
        made.check("before = float(x[-1]); del x")
        back = timed(made, "%gpu pull x").whole
        made.check("assert float(x[-1]) == before")
        return there + back

    return run


def _memory(made: Notebook, size: int) -> dict[str, float]:
    """Bytes that each process had at most beside the array: in the notebook, in the agent, in the session's kernel."""
    pids = {"notebook": made.pid}
    made.check(f"%%gpu --no-in\n{inspect.getsource(memory)}\nimport os")
    found: dict[str, float] = {"notebook": 0, "agent": 0, "kernel": 0}
    for magic, gains in (("push", "kernel"), ("pull", "notebook")):
        if magic == "pull":
            made.check("del x")
        memory.reset_peak(pids["notebook"])
        before = _there(made, "resident")
        before["notebook"] = memory.resident(pids["notebook"])
        made.check(f"%gpu {magic} x", limit=LIMIT)
        after = _there(made, "peak")
        after["notebook"] = memory.peak(pids["notebook"])
        for who, most in found.items():
            found[who] = max(most, after[who] - before[who] - (size if who == gains else 0))
    return found


def _there(made: Notebook, what: str) -> dict[str, Any]:
    """``resident`` begins a measurement, ``peak`` ends it."""
    reset = "[reset_peak(pid) for pid in ('self', os.getppid())];" if what == "resident" else ""
    cell = (
        f"import json; {reset} print(json.dumps({{'kernel': {what}('self'), 'agent': {what}(os.getppid())}}))"
    )
    form: dict[str, Any] = json.loads(made.check(f"%%gpu --no-in\n{cell}").stream())
    return form


def _memory_figures(where: str, found: dict[str, float]) -> Iterator[Figure]:
    there = found["agent"] + found["kernel"]
    yield Figure(f"{where}: peak extra memory here", "MB", [found["notebook"] / 1e6], target=Target(64))
    yield Figure(f"{where}: peak extra memory there", "MB", [there / 1e6], target=Target(64))
