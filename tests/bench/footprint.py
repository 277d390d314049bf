"""What a session asks of the API server while nothing happens, and what a run leaves in etcd."""

from __future__ import annotations

import base64
import json
import time
import urllib.request
from collections.abc import Iterator

from gpu_workbench.backends.kubernetes.client import WATCH_SECONDS, WATCH_SPREAD
from tests.bench.harness import Figure
from tests.bench.place import LIMIT, OnCluster, Place, evaluated
from tests.kernels import Notebook

TITLE = "API calls and etcd"

ETCD = "http://127.0.0.1:2379"
"""Of the tests' own cluster."""

_COUNT = """
import aiohttp
calls, watches, send = 0, [], aiohttp.ClientSession._request
async def counted(self, method, url, **options):
    global calls
    calls += 1
    reply = await send(self, method, url, **options)
    if "watch" in (options.get("params") or {}):
        watches.append(reply)
    return reply
aiohttp.ClientSession._request = counted
"""


def measure(place: Place) -> Iterator[Figure]:
    """Of one notebook with one session; figures that are only reported."""
    if place.cluster is None:
        return
    seconds, before_all = 5 if place.quick else 60, _stored(place.cluster)
    with place.notebook("counted", env=place.cluster.env) as made:
        made.check(_COUNT)
        place.use_cluster(made)
        made.check(f"%%gpu {place.flags}\n1", limit=LIMIT)
        started = evaluated(made, "calls")
        made.check("%%gpu\n1")
        time.sleep(1)
        before = evaluated(made, "calls")
        time.sleep(seconds)
        polls = evaluated(made, "calls") - before
        standing = evaluated(made, "sum(not reply.closed for reply in watches)")
        yield Figure("API calls to start a session and run its first cell", "", [started])
        yield from _idle(polls, standing, seconds)
        if before_all is not None:
            yield from _etcd(made, place, place.cluster, before_all)


def _idle(polls: int, standing: int, seconds: int) -> Iterator[Figure]:
    """What an idle session asks in an hour: a short look sees what is asked again and again, and which watches stand."""
    shortest, longest = WATCH_SECONDS / 60, (WATCH_SECONDS + WATCH_SPREAD) / 60
    note = (
        f"Counted in the notebook's kernel for {seconds} s; the agent makes none. {standing} watches stood open. The "
        f"server ends each after {shortest:g} to {longest:g} min, as it is asked to, and it is opened anew: computed."
    )
    yield Figure("API calls per idle session-hour, but for watches", "", [polls * 3600 / seconds], note=note)
    often = 3600 / (WATCH_SECONDS + WATCH_SPREAD / 2)
    yield Figure("watches opened anew per idle session-hour", "", [standing * often], note=note)


def _etcd(
    made: Notebook, place: Place, cluster: OnCluster, before: dict[str, dict[str, int]]
) -> Iterator[Figure]:
    session = _grown(cluster, before)
    for _ in range(10):
        made.check("%%gpu\n1")
    cells = _grown(cluster, before)
    made.check(f"%%gpu {place.flags} --detach\n1", limit=LIMIT)
    end = time.monotonic() + 60
    while "Succeeded" not in made.check("%gpu ls").shown and time.monotonic() < end:
        time.sleep(1)
    detached = _grown(cluster, before)
    note = "Keys and values in etcd, without events; those are forgotten after an hour."
    yield Figure("bytes in etcd of a session", "KB", [session["objects"] / 1e3], note=note)
    yield Figure("of its events", "KB", [session["events"] / 1e3])
    per_cell = (cells["objects"] - session["objects"]) / 10
    yield Figure("of a cell in a session", "KB", [per_cell / 1e3], note=note)
    yield Figure("of a detached run", "KB", [(detached["objects"] - cells["objects"]) / 1e3], note=note)
    yield Figure("of its events", "KB", [(detached["events"] - cells["events"]) / 1e3])
    archive = max((_stored(cluster) or {}).get("archive", {"": 0}).values(), default=0)
    yield Figure("of the agent's archive, once per namespace and version", "KB", [archive / 1e3])


def _grown(cluster: OnCluster, before: dict[str, dict[str, int]]) -> dict[str, int]:
    """Bytes of what was not there before."""
    now = _stored(cluster) or {}
    return {
        kind: sum(size for key, size in found.items() if key not in before.get(kind, {}))
        for kind, found in now.items()
    }


def _stored(cluster: OnCluster) -> dict[str, dict[str, int]] | None:
    """Bytes of everything of the namespace by what it is and by its key; ``None`` where etcd cannot be asked.

    Source: etcd's JSON gateway, ``/v3/kv/range``.
    """
    first, last = base64.b64encode(b"/registry/").decode(), base64.b64encode(b"/registry0").decode()
    asked = json.dumps({"key": first, "range_end": last}).encode()
    try:
        with urllib.request.urlopen(f"{ETCD}/v3/kv/range", asked, timeout=30) as reply:
            pairs = json.load(reply)["kvs"]
    except OSError:
        return None
    found: dict[str, dict[str, int]] = {"objects": {}, "events": {}, "archive": {}}
    for pair in pairs:
        key, value = base64.b64decode(pair["key"]).decode(), base64.b64decode(pair["value"])
        if f"/{cluster.namespace}/" not in key or "gwb-" not in key:
            continue
        kind = "events" if "/events/" in key else "archive" if "/gwb-agent-" in key else "objects"
        found[kind][key] = len(key) + len(value)
    return found
