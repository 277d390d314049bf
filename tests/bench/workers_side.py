"""Many Dask workers in one process, for a scheduler of ours: real workers to it. SIMULATED: they have no nodes of their own.

    python -m tests.bench.workers_side FORM      a JSON object: address, certificate, key, workers (their
                                                 names), host (where the scheduler reaches them)

Prints a line when they are all there; on each line that it reads it computes for so many seconds and prints another.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from typing import Any

from distributed import Client, Worker
from distributed.security import Security

AT_ONCE = 20
EACH_SECOND = 100
"""Tasks, of which each does nothing."""


async def main(form: dict[str, Any]) -> None:
    security = Security(
        require_encryption=True,
        tls_ca_file=form["certificate"],
        **{f"tls_{role}_{what}": form[name] for role in ("client", "worker") for what, name in _NAMES},
    )
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        names = form["workers"]
        for first in range(0, len(names), AT_ONCE):
            made = [
                Worker(
                    form["address"],
                    name=name,
                    host=form["host"],
                    nthreads=1,
                    memory_limit=2**30,
                    security=security,
                    dashboard=False,
                )
                for name in names[first : first + AT_ONCE]
            ]
            await asyncio.gather(*(stack.enter_async_context(worker) for worker in made))
        client = await stack.enter_async_context(
            Client(form["address"], security=security, asynchronous=True)
        )
        print("there", flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            await compute(client, seconds=float(line))
            print("done", flush=True)


_NAMES = (("cert", "certificate"), ("key", "key"))


async def compute(client: Client, *, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        began = loop.time()
        await client.gather(client.map(lambda i: i, range(EACH_SECOND), pure=False))
        await asyncio.sleep(max(0.0, began + 1 - loop.time()))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
