"""Preload of a Dask scheduler: tells the agent once a second how its cluster is, and hears from it what to mind.

Source: the sections "Customize initialization" (preloads) and "Scheduler plugins" of Dask's documentation.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dask.utils import key_split
from distributed.diagnostics.plugin import SchedulerPlugin

SOCKET = "GPU_WORKBENCH_DASK_SOCKET"
"""Environment variable with the path of the Unix socket on which the agent listens."""

ADDRESS = "GPU_WORKBENCH_DASK_ADDRESS"
"""Environment variable with the path of the file that tells where a scheduler listens whose ports were drawn."""

INTERVAL = 1.0
"""Seconds between two looks; longer with more than :data:`MANY` workers, so that a large cluster is not watched dearly."""

MANY = 50
WINDOW = 10.0
"""Seconds over which tasks a second are counted."""

QUIET = 10.0
"""Seconds between two words of a cluster in which nothing happens."""

SHRINKING = 30.0
"""Seconds for which the operator may take to shrink the group that was named."""

GROUPS_SHOWN = 5
DEFAULT_GROUP = "default"
OPEN = ("waiting", "processing", "queued", "no-worker")


class Tasks:
    """Counts the tasks of one computation: from the moment in which there are any to that in which there is none."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._before: dict[str, tuple[int, int]] = {}
        self._counted: dict[str, tuple[int, int]] = {}
        self._past: deque[tuple[float, int]] = deque()
        self.retried = 0

    def look(self) -> dict[str, Any]:
        """How far it is now."""
        states, opened = self._states()
        self._counted = self._count()
        return self._told(states, opened)

    def asked_for(self, tasks: int) -> None:
        """So many were just asked for: another computation, where no others are open; what was done before is not of it."""
        _, opened = self._states()
        if sum(opened.values()) <= tasks:
            self.retried, self._before = 0, self._count()
            self._past.clear()

    def undone(self, keys: Iterable[Any]) -> None:
        """The results of these were lost: those of this computation count once, when they are done again."""
        for name, lost in Counter(map(key_split, keys)).items():
            in_memory, erred = self._before.get(name, (0, 0))
            done = self._scheduler.task_prefixes[name].state_counts["memory"] - in_memory
            self._before[name] = in_memory + min(lost, done), erred

    def _count(self) -> dict[str, tuple[int, int]]:
        """By function, how many tasks ever had a result, and how many ever failed."""
        return {
            name: (prefix.state_counts["memory"], prefix.state_counts["erred"])
            for name, prefix in self._scheduler.task_prefixes.items()
        }

    def _states(self) -> tuple[dict[str, int], dict[str, int]]:
        """Tasks in each state now, and by function those that are open."""
        states: dict[str, int] = dict.fromkeys(OPEN, 0)
        opened: dict[str, int] = {}
        for name, prefix in self._scheduler.task_prefixes.items():
            for group in prefix.groups:
                for state in OPEN:
                    if count := group.states[state]:
                        states[state] += count
                        opened[name] = opened.get(name, 0) + count
        return states, opened

    def _told(self, states: dict[str, int], opened: dict[str, int]) -> dict[str, Any]:
        done, failed = {}, 0
        for name, (in_memory, erred) in self._counted.items():
            before = self._before.get(name, (0, 0))
            done[name] = in_memory - before[0]
            failed += erred - before[1]
        total, left = sum(done.values()), sum(opened.values())
        rate = self._rate(total)
        shown = sorted(
            (name for name in done if done[name] or name in opened),
            key=lambda name: (-opened.get(name, 0), -done[name]),
        )[:GROUPS_SHOWN]
        form = {
            "done": total,
            "failed": failed,
            "running": states["processing"],
            "waiting": left - states["processing"],
            "stuck": states["no-worker"],
            "retried": self.retried,
            "rate": rate if left else None,
            "seconds_left": round(left / rate, 1) if rate and left else None,
            "groups": {name[:40]: [done[name], done[name] + opened.get(name, 0)] for name in shown},
        }
        return {key: value for key, value in form.items() if value}

    def _rate(self, done: int) -> float | None:
        now = time.monotonic()
        self._past.append((now, done))
        while now - self._past[0][0] > WINDOW and len(self._past) > 2:
            self._past.popleft()
        since, before = self._past[0]
        return round((done - before) / (now - since), 2) if now - since > 0.5 else None


class Watch(SchedulerPlugin):  # type: ignore[misc]
    """Looks at a scheduler and tells the agent.

    Args:
        scheduler: Which.
    """

    name = "gpu-workbench"

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._check_idle = scheduler.check_idle
        self._adaptive_target = scheduler.adaptive_target
        self._tasks = Tasks(scheduler)
        self._moved = 0.0
        self._looked = time.monotonic()
        self._lost = 0
        self._said: tuple[float, object] = (0.0, None)
        self._shrinking: tuple[str, float] = (DEFAULT_GROUP, 0.0)
        self._idle_since: float | None = None

    # what the agent is told

    async def run(self, path: str) -> None:
        """Tell the agent at that socket for as long as it listens."""
        reader, writer = await asyncio.open_unix_connection(path)
        listening = asyncio.create_task(self._listen(reader))
        try:
            while not listening.done():
                form = self.look()
                if self._is_news(form):
                    writer.write(json.dumps(form, separators=(",", ":")).encode() + b"\n")
                    await writer.drain()
                pause = INTERVAL * max(1.0, len(self._scheduler.workers) / MANY)
                await asyncio.wait({listening}, timeout=pause)
        finally:
            listening.cancel()
            writer.close()

    def _is_news(self, form: dict[str, Any]) -> bool:
        """Whether to say it: what a worker that does nothing uses is never quite the same, and is said now and then."""
        at, before = self._said
        now = time.monotonic()
        still = {**form, "workers": [_still(worker) for worker in form["workers"]]}
        if still == before and not form["tasks"].get("running") and now - at < QUIET:
            return False
        self._said = now, still
        return True

    def look(self) -> dict[str, Any]:
        """How the cluster is now, as the agent's own ``DaskState`` has it."""
        scheduler, now = self._scheduler, time.monotonic()
        passed, self._looked = now - self._looked, now
        workers = [_worker(one) for one in scheduler.workers.values()]
        self._moved += sum(worker.get("sent", 0.0) for worker in workers) * passed
        clients = [name for name in scheduler.clients if name.startswith("Client-") and "worker" not in name]
        form: dict[str, Any] = {"workers": workers, "tasks": self._tasks.look(), "clients": len(clients)}
        if self._moved >= 2**16:
            form["moved"] = int(self._moved) >> 16 << 16
        if self._lost:
            form["lost"] = self._lost
        idle = self._check_idle()
        if idle is not None:
            form["idle_since"] = round(idle, 1)  # by the wall clock here; the agent has a clock of its own
        if "dashboard" in scheduler.services:
            form["dashboard"] = "status"
        return form

    def tasks(self) -> str:
        """The tasks of the computation that is under way, for a client that draws a bar; as JSON."""
        return json.dumps(self._tasks.look())

    # what it is told

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            with contextlib.suppress(ValueError, TypeError):
                self.hear(json.loads(line))

    def hear(self, form: dict[str, Any]) -> None:
        """Mind what the agent says.

        Args:
            form: ``idle_since``: since when the cluster counts as of no use, by the wall clock, or nothing; ``shrink``:
                the worker group of which workers are to go now.
        """
        if "idle_since" in form:
            self._idle_since = form["idle_since"]
        if "shrink" in form:
            self._shrinking = str(form["shrink"]), time.monotonic() + SHRINKING

    # what the operator asks

    def idle_since(self) -> float | None:
        """Since when the cluster is of no use to anybody: the agent's word, who knows of its limits and its clients."""
        self._check_idle()
        return self._idle_since

    def adaptive_target(self, target_duration: float | None = None) -> int:
        """How many workers the default group should have: it alone adapts."""
        others = sum(1 for one in self._scheduler.workers.values() if _group(one) not in (DEFAULT_GROUP, ""))
        return max(0, int(self._adaptive_target(target_duration)) - others)

    def valid_workers_downscaling(self, scheduler: Any, workers: list[Any]) -> list[Any]:
        """Workers of the group that shrinks: of itself the operator takes those of any group (dask-kubernetes issue 914)."""
        group, until = self._shrinking
        wanted = group if time.monotonic() < until else DEFAULT_GROUP
        return [worker for worker in workers if _group(worker) in (wanted, "")]

    # what Dask tells

    def update_graph(self, scheduler: Any, *, tasks: Any, **_: Any) -> None:
        """Somebody asked for tasks."""
        self._tasks.asked_for(len(tasks))

    def log_event(self, topic: str, msg: Any) -> None:
        """A worker that went without having been told to takes what it ran, and what it alone had, with it."""
        if topic != "all" or not isinstance(msg, dict) or msg.get("action") != "remove-worker":
            return
        undone = msg.get("lost-computed-tasks") or ()
        again = len(msg.get("processing-tasks") or ()) + len(undone)
        if again or not msg.get("expected"):  # one that was told to go has handed over what it had
            self._lost += 1
            self._tasks.retried += again
            self._tasks.undone(undone)


def _still(worker: dict[str, Any]) -> dict[str, Any]:
    """A worker without what moves though nothing happens: watts, degrees, a little memory."""
    gpus = [gpu.get("utilisation") for gpu in worker.get("gpus", ())]
    return {**worker, "cpu": 0, "memory": 0, "gpus": gpus}


def _worker(state: Any) -> dict[str, Any]:
    told = state.metrics
    counts = told.get("task_counts", {})
    network = told.get("gpu_workbench_transfer") or {}
    executing = counts.get("executing", 0) + counts.get("long-running", 0)
    form = {
        "name": str(state.name),
        "status": state.status.name,
        "threads": state.nthreads,
        "executing": executing,
        "waiting": max(0, len(state.processing) - executing),
        "cpu": round(told["cpu"]) if "cpu" in told else None,
        "memory": told["memory"] >> 20 << 20 if "memory" in told else None,
        "memory_limit": state.memory_limit or None,
        "spilled": told.get("spilled_bytes", {}).get("disk", 0),
        "sent": network.get("sent", 0.0),
        "received": network.get("received", 0.0),
        **(told.get("gpu_workbench") or {"gpus": _gpus(told)}),
    }
    return {key: value for key, value in form.items() if value}


def _gpus(told: dict[str, Any]) -> list[dict[str, Any]]:
    """What Dask itself measures of the one device it looks at, where our own preload does not run."""
    gpu = told.get("gpu") or {}
    if "utilization" not in gpu:
        return []
    return [
        {"index": 0, "utilisation": float(gpu["utilization"]), "memory_used": int(gpu.get("memory-used", 0))}
    ]


def _group(worker: Any) -> str:
    """The worker group in the name that the operator gave; empty where it gave none."""
    name, found, _ = str(worker.name).rpartition("-worker-")
    return name.split("-", 2)[-1] if found else ""


def _add_routes(scheduler: Any) -> None:
    """The routes by which the operator asks; Dask has them, and leaves them out unless its configuration names them."""
    from distributed.http.scheduler.api import routes

    scheduler.http_application.add_handlers(
        ".*$", [(path, handler, {**options, "dask_server": scheduler}) for path, handler, options in routes]
    )


def _own_names(scheduler: Any) -> Callable[..., Any]:
    """``subscribe_worker_status`` for any number of cluster objects: Dask's own hears only the last that subscribed."""
    subscribe, count = scheduler.handlers["subscribe_worker_status"], itertools.count()

    def subscribe_worker_status(comm: Any) -> Any:
        found = subscribe(comm)
        plugin = scheduler.plugins.pop(name := "worker-status")
        plugin.name = f"{name}-{next(count)}"
        scheduler.plugins[plugin.name] = plugin
        return found

    return subscribe_worker_status


def _leave_address(scheduler: Any, path: str) -> None:
    form = {"scheduler": scheduler.address, "dashboard": scheduler.http_server.port}
    draft = Path(f"{path}.new")
    draft.write_text(json.dumps(form))
    draft.replace(path)


async def dask_setup(scheduler: Any) -> None:
    """Called by Dask once the scheduler listens."""
    watch = Watch(scheduler)
    for name, function in (("check_idle", watch.idle_since), ("adaptive_target", watch.adaptive_target)):
        setattr(scheduler, name, function)
        scheduler.handlers[name] = function
    scheduler.handlers["gpu_workbench_tasks"] = watch.tasks
    scheduler.handlers["subscribe_worker_status"] = _own_names(scheduler)
    scheduler.add_plugin(watch, name=watch.name)
    _add_routes(scheduler)
    if path := os.environ.get(ADDRESS, ""):
        _leave_address(scheduler, path)
    if path := os.environ.get(SOCKET, ""):
        scheduler.gpu_workbench = asyncio.create_task(watch.run(path))  # a loop holds its tasks weakly
