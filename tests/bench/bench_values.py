"""What it costs to send values: bytes against a plain socket, fingerprints, signing, a cell's names, a project's files.

``python tests/bench/bench_values.py`` prints one JSON object; each function is one measurement and returns its figures.
"""

from __future__ import annotations

import builtins
import json
import mmap
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gpu_workbench.app.shipping.names import analyse
from gpu_workbench.app.shipping.parcels import Packer, choose
from gpu_workbench.app.shipping.project import Project, change
from gpu_workbench.app.shipping.selection import RemoteName
from gpu_workbench.values.codecs import Decoder, encode
from gpu_workbench.values.fingerprint import fingerprint
from gpu_workbench.values.signing import ContentDigest

GB = 10**9


def timed(action: Callable[[], object], *, times: int) -> dict[str, float]:
    """Median and worst of ``times`` runs, in seconds, after one that is not counted."""
    action()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        found.append(time.perf_counter() - start)
    return {"median_s": statistics.median(found), "worst_s": max(found)}


def over_a_socket(send: Callable[[socket.socket], None], receive: Callable[[socket.socket], object]) -> float:
    """Seconds from the first byte sent to the value at the other end of a Unix socket, in one process."""
    here, there = socket.socketpair()
    with here, there:
        start = time.perf_counter()
        thread = threading.Thread(target=send, args=(here,))
        thread.start()
        receive(there)
        thread.join()
        return time.perf_counter() - start


def array_over_socket(size: int = GB, times: int = 5) -> dict[str, Any]:
    """1 GB of floats, encoded, sent and decoded; the baseline is the same bytes into memory that is there already."""
    array = np.random.default_rng(0).random(size // 8)
    place = mmap.mmap(-1, array.nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def send_plain(to: socket.socket) -> None:
        to.sendall(array.data)

    def receive_plain(of: socket.socket) -> None:
        view = memoryview(place)
        while view:
            view = view[of.recv_into(view) :]

    def rate(value: object) -> float:
        encoded = encode(value)

        def send(to: socket.socket) -> None:
            for chunk in encoded.chunks:
                to.sendall(chunk)

        def receive(of: socket.socket) -> object:
            decoder = Decoder(encoded.codec, length=encoded.length, trust_pickle=True)
            while not decoder.done:
                decoder.buffer_updated(of.recv_into(decoder.get_buffer()))
            return decoder.value()

        return statistics.median(over_a_socket(send, receive) for _ in range(times))

    plain = statistics.median(over_a_socket(send_plain, receive_plain) for _ in range(times))
    npy, pickled = rate(array), rate({1: array})
    return {
        "plain_socket_gb_s": size / plain / GB,
        "npy_gb_s": size / npy / GB,
        "pickle5_gb_s": size / pickled / GB,
        "npy_of_plain": plain / npy,
        "pickle5_of_plain": plain / pickled,
    }


_MEMORY = """
import socket, sys, threading
import numpy as np
from gpu_workbench.values.codecs import Decoder, encode
def peak():  # of this program alone: ru_maxrss begins with its parent's
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
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
print((peak() - before) * 1024 - size)
"""


def peak_memory(size: int = GB) -> dict[str, float]:
    """Memory beside the value and its copy, both ends together, in MB."""
    found = {}
    for codec in ("npy", "pickle5"):
        command = [sys.executable, "-c", _MEMORY, str(size), codec]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[f"{codec}_mb"] = int(done.stdout) / 1e6
    return found


def fingerprints(size: int = 2 * GB) -> dict[str, Any]:
    """2 GB that did not change: an array, and a frame of 16 columns."""
    array = np.ones(size // 8)
    found = {"array": timed(lambda: fingerprint(array), times=5)}
    frame = pd.DataFrame(array.reshape(-1, 16), copy=False)
    found["frame_rows"] = timed(lambda: fingerprint(frame), times=5)
    columns = pd.DataFrame(np.asfortranarray(array.reshape(-1, 16)), copy=False)
    found["frame_columns"] = timed(lambda: fingerprint(columns), times=5)
    return found


def unchanged_name(size: int = 2 * GB) -> dict[str, Any]:
    """All that is done for a cell that reads an unchanged 2 GB array, against one that reads none."""
    here: dict[str, Any] = {"__name__": "__main__", "x": np.ones(size // 8)}
    remote = {"x": RemoteName(digest=fingerprint(here["x"]) or "")}

    def cell(source: str) -> None:
        packer = Packer(here)
        reads = analyse(source).reads
        found = choose(reads, packer=packer, builtins=dir(builtins), remote=remote, generation=0)
        if found.names:
            raise AssertionError(f"{found.names} would be sent again")

    with_it, without = timed(lambda: cell("x.sum()"), times=5), timed(lambda: cell("1 + 1"), times=50)
    return {"with": with_it, "without": without, "extra_s": with_it["median_s"] - without["median_s"]}


def signing(size: int = 256 * 10**6) -> dict[str, float]:
    """Content digest of stored values."""
    data = np.ones(size // 8).data
    return {"gb_s": size / timed(lambda: ContentDigest().update(data), times=3)["median_s"] / GB}


def names_of_a_cell() -> dict[str, Any]:
    """Following a short cell, and one of 200 lines."""
    short = "total = float(x.sum()); print(total)"
    long = "\n".join(f"def f{i}(a): return a + b{i}\nx{i} = f{i}(c{i})" for i in range(100))
    return {"short": timed(lambda: analyse(short), times=50), "long": timed(lambda: analyse(long), times=10)}


def unchanged_project(files: int = 2000) -> dict[str, Any]:
    """Looking at a project of 2,000 files in 40 folders, none of which changed."""
    with tempfile.TemporaryDirectory() as folder:
        for index in range(files):
            path = Path(folder, f"pkg{index % 40}", f"module{index}.py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"value = {index}\n")
        for path in (Path(folder), *Path(folder).rglob("*")):
            os.utime(path, (1.6e9, 1.6e9))
        project = Project(Path(folder))
        start = time.perf_counter()
        before = project.scan().files
        first = time.perf_counter() - start

        def again() -> None:
            if change(before, project.scan().files):
                raise AssertionError("nothing changed")

        return {"files": len(before), "first_s": first, "unchanged": timed(again, times=20)}


def main() -> None:
    """Run all, and print the figures."""
    measurements = (
        array_over_socket,
        peak_memory,
        fingerprints,
        unchanged_name,
        signing,
        names_of_a_cell,
        unchanged_project,
    )
    figures = {measure.__name__: measure() for measure in measurements}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
