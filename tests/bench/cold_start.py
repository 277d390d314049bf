"""The first line of a session that was not there."""

from __future__ import annotations

import contextlib
import datetime
import json
import time
from collections.abc import Iterator

from tests.bench.harness import Figure, Target, in_turn
from tests.bench.place import OnCluster, Place, plain_kernel, timed
from tests.kernels import Notebook

TITLE = "First output of a cold session"

_CELL = "print('here')"
_POD = "import ipykernel; print('here')"
_SECURITY = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def measure(place: Place) -> Iterator[Figure]:
    """On this machine against an ipykernel's own start, on the cluster against the barest pod of that image."""
    yield from _local(place)
    if place.cluster is not None:
        yield from _kubernetes(place, place.cluster)


def _local(place: Place) -> Iterator[Figure]:
    target, against = Target(1.3, of="ratio"), "start an ipykernel, print"
    with place.notebook("warm") as made:
        actions = {
            "ours": lambda: _first_line(made, "%%gpu", "%gpu stop"),
            "plain": lambda: _ipykernel(place),
        }
        found = in_turn(actions, times=place.times(10))
    yield Figure("local", "s", found["ours"], found["plain"], against, target)
    actions = {"ours": lambda: _fresh_notebook(place), "plain": lambda: _ipykernel(place)}
    found = in_turn(actions, times=place.times(5))
    yield Figure("local, a notebook's first cell", "s", found["ours"], found["plain"], against, target)


def _kubernetes(place: Place, cluster: OnCluster) -> Iterator[Figure]:
    with place.notebook("cluster", env=cluster.env) as made:
        place.use_cluster(made)
        actions = {
            "ours": lambda: _first_line(made, f"%%gpu {place.flags}", "%gpu stop"),
            "pod": lambda: _bare_pod(cluster),
        }
        found = in_turn(actions, times=place.times(6))
    yield Figure(
        "kubernetes, image present",
        "s",
        found["ours"],
        found["pod"],
        "`kubectl run`, `import ipykernel`, first log line",
        Target(1.5, of="ratio"),
    )


def _first_line(made: Notebook, magic: str, afterwards: str) -> float:
    first = timed(made, f"{magic}\n{_CELL}").first
    made.check(afterwards)
    return first


def _fresh_notebook(place: Place) -> float:
    with place.notebook("fresh") as made:
        return timed(made, f"%%gpu\n{_CELL}").first


def _ipykernel(place: Place) -> float:
    began = time.perf_counter()
    with plain_kernel(place.folder / "plain") as kernel:
        ready = time.perf_counter() - began
        return ready + timed(kernel, _CELL).first


def _bare_pod(cluster: OnCluster) -> float:
    """By the container runtime's own time of the line, so that waiting for the log does not count."""
    container = {
        "name": "bare",
        "image": cluster.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", _POD],
        "securityContext": _SECURITY,
        "resources": {"requests": {"cpu": "50m"}},
    }
    overrides = {"spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}
    began = time.time()
    cluster.kubectl(
        *("run", "bare", "--image", cluster.image, "--restart=Never"),
        *("--overrides", json.dumps(overrides)),
    )
    try:
        cluster.kubectl("wait", "pod/bare", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
        line = cluster.kubectl("logs", "bare", "--timestamps").split()[0]
    finally:
        with contextlib.suppress(Exception):
            cluster.kubectl("delete", "pod", "bare", "--grace-period=1")
    moment = datetime.datetime.fromisoformat(line[:26].rstrip("Z") + "+00:00")
    return moment.timestamp() - began
