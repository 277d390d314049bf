"""What JupyterLab's own requests notice of live views: listing a folder with ten of them open, and with none."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Iterator

import aiohttp

from tests.bench.harness import Figure, Target
from tests.bench.place import LIMIT, Place
from tests.servers import Server, Tab, jupyter_server, tab

TITLE = "JupyterLab's own requests"

VIEWS = 10
REQUESTS = 60
"""In each round; its 95th percentile is what counts."""

STEPS = """%%gpu --detach --name steps-{number}
import time
from tqdm import tqdm
for step in tqdm(range(100_000), desc="step"):
    print("line", step, flush=True)
    time.sleep(0.25)
"""


def measure(place: Place) -> Iterator[Figure]:
    """Of two servers with the same runs: in one of them ten live views are open."""
    with place.notebook("runs") as made:
        for number in range(VIEWS):
            made.check(STEPS.format(number=number), limit=LIMIT)
        with _server(place, "looked") as looked, _server(place, "alone") as alone:
            with_views, without = asyncio.run(_measure(looked, alone, rounds=place.times(20)))
        made.check("%gpu stop --all", limit=LIMIT)
    yield Figure(
        f"`/api/contents` with {VIEWS} live views open",
        "ms",
        [1000 * value for value in with_views],
        [1000 * value for value in without],
        "a server where nobody looks",
        Target(1.2, of="ratio"),
        f"95th percentile of {REQUESTS} requests in each round.",
    )


@contextlib.contextmanager
def _server(place: Place, name: str) -> Iterator[Server]:
    """A server that knows the runs, with some files to list."""
    folder = place.folder / name
    folder.mkdir()
    for number in range(50):
        (folder / f"{number}.txt").write_text("content")
    with jupyter_server(folder, env={"GPU_WORKBENCH_STATE_DIR": str(place.folder / "runs.state")}) as made:
        yield made


async def _measure(looked: Server, alone: Server, *, rounds: int) -> tuple[list[float], list[float]]:
    with_views, without = [], []
    async with looked.client() as one, alone.client() as other, tab(looked) as seen:
        await seen.subscribe("runs")
        await seen.until(lambda states: len(states.get("runs", ())) == VIEWS)
        for workload in seen.states["runs"]:
            await seen.subscribe(f"run/{workload}")
        reading = asyncio.create_task(_read(seen))
        for warm in (True, *[False] * rounds):
            found = await _round(looked, one), await _round(alone, other)
            if not warm:
                with_views.append(found[0])
                without.append(found[1])
        reading.cancel()
    return with_views, without


async def _round(server: Server, client: aiohttp.ClientSession) -> float:
    """The 95th percentile of some requests, spread over two seconds, so that each second's messages fall among them."""
    taken = []
    for _ in range(REQUESTS):
        begun = time.perf_counter()
        async with client.get(f"{server.url}/api/contents") as reply:
            assert reply.status == 200
            await reply.read()
        taken.append(time.perf_counter() - begun)
        await asyncio.sleep(2 / REQUESTS)
    return sorted(taken)[math.ceil(0.95 * len(taken)) - 1]


async def _read(seen: Tab) -> None:
    while True:
        await seen.receive(3600)
