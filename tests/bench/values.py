"""What it costs to send values, part by part and in one process: codecs, fingerprints, a cell's names, a project's files."""

from __future__ import annotations

import mmap
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from gpu_workbench.app.shipping.names import analyse
from gpu_workbench.app.shipping.project import Project, change
from gpu_workbench.values.codecs import Decoder, encode
from gpu_workbench.values.fingerprint import fingerprint
from gpu_workbench.values.signing import ContentDigest
from tests.bench.harness import Figure, Target, in_turn
from tests.bench.place import Place

TITLE = "Values, part by part"

GB = 10**9
FILES = 2000


def measure(place: Place) -> Iterator[Figure]:
    """Figures without a target of their own say where the time of the others goes."""
    scale = 10 if place.quick else 1
    yield from _codecs(GB // scale, place.times(5))
    yield from _peak_memory(GB // scale)
    yield from _fingerprints(2 * GB // scale, place.times(5))
    yield from _signing(GB // 4 // scale, place.times(3))
    yield from _names(place.times(50))
    yield from _project(place)


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _over_a_socket(
    send: Callable[[socket.socket], None], receive: Callable[[socket.socket], object]
) -> float:
    """Seconds from the first byte sent to the value at the other end of a Unix socket, in one process."""
    here, there = socket.socketpair()
    with here, there:
        began = time.perf_counter()
        thread = threading.Thread(target=send, args=(here,))
        thread.start()
        receive(there)
        thread.join()
        return time.perf_counter() - began


def _codecs(size: int, times: int) -> Iterator[Figure]:
    """The baseline's memory is there already, a value's is new."""
    array = np.random.default_rng(0).random(size // 8)
    place = mmap.mmap(-1, array.nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def plain() -> float:
        def receive(of: socket.socket) -> None:
            view = memoryview(place)
            while view:
                view = view[of.recv_into(view) :]

        return _over_a_socket(lambda to: to.sendall(array.data), receive)

    actions = {
        "npy": lambda: _coded(array),
        "pickle5": lambda: _coded({1: array}),
        "plain": plain,
    }
    rates = {
        name: [size / one / 1e6 for one in found] for name, found in in_turn(actions, times=times).items()
    }
    for codec in ("npy", "pickle5"):
        yield Figure(
            f"{codec}, {size / GB:g} GB through a Unix socket",
            "MB/s",
            rates[codec],
            rates["plain"],
            "the bytes alone, into memory that is there",
        )


def _coded(value: object) -> float:
    encoded = encode(value)

    def send(to: socket.socket) -> None:
        for chunk in encoded.chunks:
            to.sendall(chunk)

    def receive(of: socket.socket) -> object:
        decoder = Decoder(encoded.codec, length=encoded.length, trust_pickle=True)
        while not decoder.done:
            decoder.buffer_updated(of.recv_into(decoder.get_buffer()))
        return decoder.value()

    return _over_a_socket(send, receive)


_MEMORY = """
import socket, sys, threading
import numpy as np
from gpu_workbench.values.codecs import Decoder, encode
from tests.bench.memory import peak
size = int(sys.argv[1])
value = np.ones(size // 8)
value = {1: value} if sys.argv[2] == "pickle5" else value
here, there = socket.socketpair()
encoded = encode(value)
before = peak()
thread = threading.Thread(target=lambda: [here.sendall(chunk) for chunk in encoded.chunks])
thread.start()
decoder = Decoder(encoded.codec, length=encoded.length, trust_pickle=True)
while not decoder.done:
    decoder.buffer_updated(there.recv_into(decoder.get_buffer()))
back = decoder.value()
thread.join()
print(peak() - before - size)
"""


def _peak_memory(size: int) -> Iterator[Figure]:
    """Beside the value and its copy, both ends in one process."""
    for codec in ("npy", "pickle5"):
        command = [sys.executable, "-c", _MEMORY, str(size), codec]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        extra = int(done.stdout) / 1e6
        yield Figure(f"{codec}: peak extra memory, both ends", "MB", [extra], target=Target(64))


def _fingerprints(size: int, times: int) -> Iterator[Figure]:
    array = np.ones(size // 8)
    table = array.reshape(-1, 16)
    frame = pd.DataFrame(table, copy=False)
    values = {
        "an array": array,
        "a frame in rows": frame,
        "a frame in columns": pd.DataFrame(np.asfortranarray(table), copy=False),
    }
    for name, value in values.items():
        found = in_turn({name: lambda value=value: _seconds(lambda: fingerprint(value))}, times=times)[name]  # type: ignore[misc]
        yield Figure(f"fingerprint of {name}, {size / GB:g} GB", "ms", [1000 * one for one in found])


def _signing(size: int, times: int) -> Iterator[Figure]:
    data = np.ones(size // 8).data
    found = [_seconds(lambda: ContentDigest().update(data)) for _ in range(times)]
    yield Figure("digest of a stored value", "MB/s", [size / one / 1e6 for one in found])


def _names(times: int) -> Iterator[Figure]:
    """Following a short cell, and one of 200 lines."""
    cells = {
        "one line": "total = float(x.sum()); print(total)",
        "200 lines": "\n".join(f"def f{i}(a): return a + b{i}\nx{i} = f{i}(c{i})" for i in range(100)),
    }
    for name, source in cells.items():
        found = [1000 * _seconds(lambda source=source: analyse(source)) for _ in range(times)]  # type: ignore[misc]
        yield Figure(f"names of a cell of {name}", "ms", found)


def _project(place: Place) -> Iterator[Figure]:
    """Looking at a project in which nothing has changed."""
    folder = place.folder / "project"
    for index in range(FILES):
        path = folder / f"pkg{index % 40}" / f"module{index}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"value = {index}\n")
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (1.6e9, 1.6e9))
    project = Project(Path(folder))
    before = project.scan().files
    if change(before, project.scan().files):
        raise RuntimeError("nothing changed, and a change was found")
    found = [1000 * _seconds(project.scan) for _ in range(place.times(20))]
    yield Figure(f"looking at an unchanged project of {FILES:,} files", "ms", found, target=Target(50))
