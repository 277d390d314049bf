"""Dask clusters, against Dask's own ways to have one: `LocalCluster` here, dask-kubernetes' `KubeCluster` on Kubernetes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.harness import Figure, Target, in_turn
from tests.bench.place import LIMIT, OnCluster, Place

TITLE = "Dask clusters"

TASKS = 10_000

_PROGRAM = Path(__file__).with_name("dask_side.py")
_ADAPTING = 5.0
"""Seconds between two looks of the operator at a cluster that adapts. Source: ``daskautoscaler_adapt`` in its controller."""


_TRIES = 4
_STUCK = "Dask Cluster resource not actioned"
"""What `KubeCluster` says after a minute, where two handlers of its operator raced for the phase (dask-kubernetes issue
968)."""


class Stuck(RuntimeError):
    """Dask's own cluster never became ready."""


def measure(place: Place) -> Iterator[Figure]:
    """Each cluster in a fresh process, ours and Dask's own in turn."""
    yield from _local(place)
    yield from _scheduler(place)
    if place.cluster is not None:
        yield from _kubernetes(place, place.cluster)


def _local(place: Place) -> Iterator[Figure]:
    pairs = Pairs("local", "`LocalCluster`")
    pairs.measure(place, {"tasks": place.lines(TASKS)}, times=place.times(4))
    yield from _alike(place, pairs, ready=Target(1.3, of="ratio"), tasks=Target(1.05, of="ratio"))


def _kubernetes(place: Place, cluster: OnCluster) -> Iterator[Figure]:
    cluster.cluster.dask_operator()
    pairs = Pairs("kubernetes", "`KubeCluster`")
    form = {"image": cluster.image, "namespace": cluster.namespace, "tasks": place.lines(TASKS)}
    pairs.measure(place, form, times=place.times(4), adapting=True)
    yield from _alike(place, pairs)
    note = (
        f"The operator looks every {_ADAPTING:g} s; the rounds' tasks come at moments spread over that time."
    )
    yield pairs.figure("adaptive, from no worker to a task's result", "adapt", Target(5), note)
    found = _measured(place, {**form, "what": "preloads", "times": place.times(4)})
    yield Figure(
        f"kubernetes, {place.lines(TASKS):,} tasks that do nothing, 2 workers",
        "s",
        found["tasks watched"],
        found["tasks bare"],
        "the same cluster, our preloads switched off",
        Target(1.05, of="ratio"),
    )


def _alike(
    place: Place, pairs: Pairs, *, ready: Target | None = None, tasks: Target | None = None
) -> Iterator[Figure]:
    """What both places have."""
    note = "From the first import of a fresh process to a connected client and two workers."
    if pairs.stuck:
        note += (
            f" {pairs.against} was given up {pairs.stuck} times after a minute (dask-kubernetes issue 968)."
        )
    yield pairs.figure("ready with 2 workers", "ready", ready, note)
    yield pairs.figure(f"{place.lines(TASKS):,} tasks that do nothing, 2 workers", "tasks", tasks)
    yield pairs.figure("1 worker to 4", "grow")
    lost, theirs = (max(one["lost"] for one in found) for found in (pairs.ours, pairs.plain))
    if lost:
        raise RuntimeError(f"{lost:.0f} results were lost when workers went")
    note = f"With 60 results on them: ours loses none, {pairs.against} {f'up to {theirs:.0f}' if theirs else 'none'}."
    yield pairs.figure("4 workers to 1", "shrink", Target(3), note)


def _scheduler(place: Place) -> Iterator[Figure]:
    """What the live view costs the scheduler's process."""
    found = _measured(
        place, {"what": "scheduler", "seconds": 3 if place.quick else 8, "times": place.times(4)}
    )
    names = {"idle": "scheduler of 2 idle workers", "busy": "scheduler of 2 workers with 200 tasks a second"}
    for key, name in names.items():
        yield Figure(
            f"{name}, share of a core",
            "%",
            found[f"{key} watched"],
            found[f"{key} bare"],
            "the same scheduler, our preloads switched off",
            Target(1, of="extra"),
        )
    yield Figure("of the busy scheduler's share, in our plugin", "%", found["own watched"])


@dataclass
class Pairs:
    """Measurements of clusters, ours and Dask's own, pair by pair.

    Args:
        place: ``local`` or ``kubernetes``.
        against: What Dask's own is called.
        stuck: How often that never became ready; it was made anew then.
    """

    place: str
    against: str
    ours: list[dict[str, float]] = field(default_factory=list)
    plain: list[dict[str, float]] = field(default_factory=list)
    stuck: int = 0

    def measure(self, place: Place, form: dict[str, Any], *, times: int, adapting: bool = False) -> None:
        """Take them in turn.

        Args:
            adapting: Measure that, too, the first task of each pair a little later after the operator's look.
        """

        def once(kind: str, found: list[dict[str, float]]) -> float:
            later = _ADAPTING * (len(found) + 0.5) / times
            settle = _ADAPTING + later if adapting else 0
            asked = {"what": "cluster", "kind": kind, "place": self.place, "settle": settle, **form}
            found.append(self._tried(place, asked))
            return 0.0

        actions = {"ours": lambda: once("ours", self.ours), "plain": lambda: once("plain", self.plain)}
        in_turn(actions, times=times, warm=0)

    def _tried(self, place: Place, asked: dict[str, Any]) -> dict[str, float]:
        for _ in range(_TRIES - 1):
            try:
                return _measured(place, asked)
            except Stuck:
                self.stuck += 1
        return _measured(place, asked)

    def figure(self, name: str, key: str, target: Target | None = None, note: str = "") -> Figure:
        """One thing of all of them, in seconds."""
        values, base = ([one[key] for one in found] for found in (self.ours, self.plain))
        return Figure(f"{self.place}, {name}", "s", values, base, self.against, target, note)


def _measured(place: Place, form: dict[str, Any]) -> dict[str, Any]:
    """What a fresh process measures."""
    project = place.folder / "dask"
    project.mkdir(exist_ok=True)
    env = {**os.environ, "GPU_WORKBENCH_STATE_DIR": str(place.folder / "dask.state")}
    done = subprocess.run(
        [sys.executable, str(_PROGRAM), json.dumps(form)],
        cwd=project,
        env={**env, **(place.cluster.env if place.cluster else {})},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    if done.returncode:
        if _STUCK in done.stderr:
            raise Stuck(_STUCK)
        raise RuntimeError(f"{form} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
