"""Record what a real cluster says of each case, for the tests that need no cluster.

    python3 -m tests.cluster.why.record [CASE...]        with GPU_WORKBENCH_TEST_KUBECONFIG or our own cluster

Writes `tests/unit/core/facts/CASE.json`: the facts as `explain` gets them, and what was asked for.
"""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

from gpu_workbench.core.facts import Facts
from gpu_workbench.core.objects import name_of, text
from gpu_workbench.core.wire import encode

from ..handle import Cluster, session
from . import CASES, Case
from .place import Place, own_place, trimmed

FACTS = Path(__file__).parents[2] / "unit" / "core" / "facts"
# What differs from machine to machine.
_NEUTRAL = ((r"on [0-9.]+:53", "on 10.96.0.10:53"), (r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:5000"))


def record(cluster: Cluster, case: Case) -> None:
    """Bring one case about in a namespace of its own and write down what is said."""
    with own_place(cluster) as place, case.arrange(place) as spec:
        began = time.monotonic()
        facts = _alone(place, place.until_said(case.words, seconds=150))
        print(f"{case.name}: {time.monotonic() - began:.1f} s")
        form = {"words": case.words, "spec": encode(spec), "facts": trimmed(encode(facts))}
        recorded = json.dumps(form, indent=1, sort_keys=True, ensure_ascii=False)
        for pattern, neutral in ((place.namespace, "team-a"), *_NEUTRAL):
            recorded = re.sub(pattern, neutral, recorded)
        (FACTS / f"{case.name}.json").write_text(recorded + "\n")


def _alone(place: Place, facts: Facts) -> Facts:
    """As if nobody else used this cluster."""
    pods = tuple(pod for pod in facts.gpu_pods or () if text(pod, "metadata", "namespace") == place.namespace)
    others = re.compile(r"explain-(?!" + place.namespace + ")")
    nodes = tuple(node for node in facts.nodes or () if not others.match(name_of(node)))
    return replace(facts, gpu_pods=pods, nodes=nodes)


def main(names: list[str]) -> None:
    FACTS.mkdir(exist_ok=True)
    with session() as cluster:
        for name in names or CASES:
            try:
                record(cluster, CASES[name])
            except Exception as error:
                print(f"{name}: {str(error)[:2000]}")


if __name__ == "__main__":
    main(sys.argv[1:])
