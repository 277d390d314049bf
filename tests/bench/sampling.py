"""What the agent itself costs while it looks at eight devices once a second."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.bench.harness import Figure, Target
from tests.bench.memory import processor_seconds, resident
from tests.bench.place import Place
from tests.cluster import nvml

TITLE = "The agent at 1 Hz × 8 GPUs (SIMULATED)"

GPUS = 8


def measure(place: Place) -> Iterator[Figure]:
    """A session in which nothing runs, with a notebook that follows it."""
    library = nvml.build(place.folder / "nvml")
    env = {"LD_LIBRARY_PATH": str(library.parent), "GPU_WORKBENCH_NVML_COUNT": str(GPUS)}
    seconds = 5.0 if place.quick else 30.0
    with place.local(env=env) as made:
        agent = int(made.check("%%gpu\nimport os; print(os.getppid())").stream())
        time.sleep(1.0)  # the cell's own work is over
        before, began = processor_seconds(agent), time.monotonic()
        time.sleep(seconds)
        used = processor_seconds(agent) - before
        share = 100 * used / (time.monotonic() - began)
        shown = made.check("%gpu top").shown
        if "SIMULATED" not in shown:
            raise RuntimeError(f"the agent samples no device:\n{shown}")
        memory = resident(agent)
    yield Figure("share of a core", "%", [share], target=Target(1))
    yield Figure("resident memory", "MB", [memory / 1e6], target=Target(60))
