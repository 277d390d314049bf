"""A list of workloads that no cluster has: what the panel makes of many, and of each state, is seen with it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from playwright.sync_api import Page

from tests.unit.surfaces.view import reasons

Row = Mapping[str, Any]

_WAVE = (62, 71, 74, 70, 78, 82, 80, 77, 81, 84, 79, 83, 86, 82, 85, 88, 84, 87, 90, 86, 88, 91, 87, 89)


BUSY = {
    "namespace": "team-a",
    "kinds": [
        {
            "name": "H200 141 GiB",
            "resource": "nvidia.com/gpu",
            "total": 32,
            "mine": 20,
            "others": 8,
            "free": 4,
        },
        {
            "name": "SIMULATED",
            "resource": "nvidia.com/gpu",
            "total": 4,
            "mine": 1,
            "others": 0,
            "free": 3,
            "simulated": True,
        },
    ],
    "waiting": [{"name": "GPUs", "mine": 8, "others": 16}],
}
"""What a cluster counts whose user has the rows of :func:`each_state`."""

NOTHING_OF_MINE = {
    "namespace": "team-a",
    "kinds": [
        {
            "name": "H200 141 GiB",
            "resource": "nvidia.com/gpu",
            "total": 32,
            "mine": 0,
            "others": 8,
            "free": 24,
        }
    ],
}
"""The same for a user who runs nothing."""

_SOCKET = """(first) => {
  class Feed {
    constructor() {
      window.gpuwFeed = this;
      this.readyState = 0;
      this._seq = 0;
      setTimeout(() => { this.readyState = 1; this.onopen(new Event('open')); });
    }
    send(text) {
      const topic = JSON.parse(text).subscribe;
      if (topic in first) {
        this._seq = topic === 'runs' ? 1 : this._seq;
        this._say(`{"topic": "${topic}", "seq": 1, "state": ${first[topic]}}`);
      }
    }
    change(set) {
      this._seq += 1;
      this._say(JSON.stringify({topic: 'runs', seq: this._seq, set, gone: []}));
    }
    close() {}
    _say(data) { setTimeout(() => this.onmessage({data})); }
  }
  window.WebSocket = new Proxy(window.WebSocket, {
    construct: (Socket, args) =>
      String(args[0]).includes('/gpu-workbench/api/live') ? new Feed() : new Socket(...args)
  });
}"""


class Feed:
    """Speaks to a page in the server's place, from within the page: the list is what the test says it is.

    Args:
        page: Before it goes anywhere.
        rows: The list that it begins with.
        capacity: What the cluster counts.
    """

    def __init__(self, page: Page, rows: Iterable[Row] = (), *, capacity: Mapping[str, Any] = BUSY) -> None:
        self._page = page
        first = {
            "runs": {row["id"]: row for row in rows},
            "targets": {"kubernetes": {"name": "kubernetes"}},
            "capacity": {"kubernetes": {"name": "kubernetes", "capacity": capacity}},
        }
        texts = {topic: json.dumps(state) for topic, state in first.items()}
        page.add_init_script(f"({_SOCKET})({json.dumps(texts)})")

    def change(self, *rows: Row) -> None:
        """Rows as they are now; those not named stay."""
        self._page.evaluate("set => window.gpuwFeed.change(set)", {row["id"]: row for row in rows})


def each_state(now: float | None = None) -> list[Row]:
    """One row of each kind that the panel draws in its own way, as of ``now``."""
    now = time.time() if now is None else now
    cluster = {"backend": "kubernetes", "namespace": "team-a", "image": "nvcr.io/nvidia/pytorch:26.01-py3"}
    return [
        {
            **cluster,
            "id": "a1b2c3d4e5f6",
            "name": "llm-finetune",
            "kind": "job",
            "phase": "Running",
            "word": "Running",
            "started": now - 900,
            "file": "train.ipynb",
            "path": "work/train.ipynb",
            "gpus": "16 H200",
            "gpu_count": 16,
            "busy": 92,
            "trend": _WAVE,
            "progress": {"label": "step", "done": 1240, "total": 5000, "seconds_left": 304},
            "cost": "12.04 €",
        },
        {
            **cluster,
            "id": "b1b2c3d4e5f6",
            "name": "default",
            "phase": "Running",
            "word": "Idle",
            "started": now - 4000,
            "file": "explore.ipynb",
            "path": "explore.ipynb",
            "gpus": "1 H200",
            "gpu_count": 1,
            "busy": 0,
            "trend": [0] * 24,
            "ending": {"name": "idle limit", "seconds": 14 * 60},
            "cost": "3.35 €",
            "runs": [{"id": "r1", "phase": "Succeeded", "ran": 12}],
        },
        {
            "id": "c1b2c3d4e5f6",
            "backend": "local",
            "name": "default",
            "phase": "Running",
            "word": "Busy",
            "started": now - 300,
            "file": "simulated.ipynb",
            "path": "simulated.ipynb",
            "gpus": "4 H100",
            "gpu_count": 4,
            "busy": 55,
            "simulated": True,
            "trend": [None if 8 < place < 13 else value // 2 for place, value in enumerate(_WAVE)],
            "runs": [{"id": "r2", "name": "eval", "phase": "Running", "ran": 40}],
        },
        {
            **cluster,
            "id": "d1b2c3d4e5f6",
            "name": "resnet-sweep",
            "kind": "job",
            "phase": "Queued",
            "word": "Queued",
            "started": now - 180,
            "file": "sweep.ipynb",
            "gpus": "8 H200",
            "gpu_count": 8,
            "waited": 180,
            "answer": reasons.in_queue().sentence,
        },
        {
            **cluster,
            "id": "e1b2c3d4e5f6",
            "name": "tokenise",
            "kind": "job",
            "phase": "Succeeded",
            "word": "Succeeded",
            "started": now - 1200,
            "ran": 252,
            "file": "prep.ipynb",
            "path": "prep.ipynb",
            "answer": "vocab came back, 1.2 MB",
            "cost": "0.84 €",
        },
        {
            **cluster,
            "id": "f1b2c3d4e5f6",
            "name": "ablation-3",
            "kind": "job",
            "phase": "Failed",
            "word": "Failed",
            "started": now - 1500,
            "ran": 127,
            "answer": "CUDA out of memory on rank 3 at step 310",
        },
        {
            **cluster,
            "id": "01b2c3d4e5f6",
            "name": "ablation-2",
            "kind": "job",
            "phase": "Stopped",
            "word": "Stopped",
            "started": now - 2 * 86400,
            "ran": 1120,
            "answer": "Stopped by you",
        },
    ]


def many(count: int, *, now: float | None = None) -> list[Row]:
    """So many rows, a twentieth of them running."""
    now = time.time() if now is None else now
    states = each_state(now)
    return [
        {
            **states[0 if place % 20 == 0 else 4 + place % 3],
            "id": f"{place:012x}",
            "name": f"run-{place}",
            "started": now - 60 * place,
            "ran": 60,
        }
        for place in range(count)
    ]
