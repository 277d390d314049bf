"""Measures speed, each figure against its baseline in the same run.

    python -m tests.bench                       all of it, on a real Kubernetes too where it can run
    python -m tests.bench --local               without Kubernetes
    python -m tests.bench --only round_trip     one subject; may be given several times
    python -m tests.bench --quick               few repetitions, to see that it works: its figures mean nothing
    python -m tests.bench --docs                write the table into docs/reference/benchmarks.md as well

The result lies in build/bench.json, or where --json says; the table is printed. What --only leaves out stays in both as it
was measured before.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.harness import Figure
from tests.bench.machine import load, machine
from tests.bench.place import OnCluster, Place, namespace
from tests.bench.table import as_json, from_json, page
from tests.cluster.handle import Unavailable, session

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
BEGIN = "<!-- figures -->\n"

SUBJECTS = (
    "round_trip",
    "cold_start",
    "lines",
    "transfer",
    "loading",
    "unchanged",
    "sampling",
    "attaching",
    "footprint",
    "fairness",
    "values",
    "many",
    "contents",
    "on_screen",
    "live_view",
    "panel",
    "log_viewer",
    "dask_clusters",
    "many_workers",
)


def main(arguments: Sequence[str]) -> int:
    """Measure; 1 where something could not be measured."""
    asked = _parser().parse_args(arguments)
    found, failed = _before(asked.json) if asked.only else ({}, {})
    began, before = time.monotonic(), load()
    with _cluster(asked.local, failed) as cluster:
        for name in asked.only or SUBJECTS:
            subject = importlib.import_module(f"tests.bench.{name}")
            title = str(subject.TITLE)
            print(f"{title} ...", file=sys.stderr, flush=True)
            found[title], start = [], time.monotonic()
            failed.pop(title, None)
            with tempfile.TemporaryDirectory(prefix="gwb-") as folder:
                try:
                    found[title].extend(subject.measure(Place(Path(folder), cluster, asked.quick)))
                except Exception as error:
                    traceback.print_exc()
                    failed[title] = (
                        f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
                    )
            print(f"    {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    minutes = (time.monotonic() - began) / 60
    loads = f"{before:.1f} and {load():.1f}"
    rest = "; the rest was measured before" if len(found) > len(asked.only or found) else ""
    about = {**machine(), "measured in": f"{minutes:.0f} minutes{rest}"}
    found = {title: found[title] for title in map(_title, SUBJECTS) if title in found}
    _write(asked.json, found, failed, about, loads)
    text = page(found, failed, machine=about, load=loads)
    print(text)
    if asked.docs:
        head, _, _ = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{text}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--only", action="append", choices=SUBJECTS, metavar="SUBJECT", help=", ".join(SUBJECTS)
    )
    parser.add_argument("--local", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--docs", action="store_true")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json", metavar="FILE")
    return parser


@contextlib.contextmanager
def _cluster(local: bool, failed: dict[str, str]) -> Iterator[OnCluster | None]:
    """A namespace to measure in; ``None`` where none is wanted or can be had."""
    with contextlib.ExitStack() as stack:
        found = None
        if not local:
            try:
                found = stack.enter_context(namespace(stack.enter_context(session())))
            except Unavailable as reason:
                failed["everything on Kubernetes"] = str(reason)
        yield found


def _title(subject: str) -> str:
    return str(importlib.import_module(f"tests.bench.{subject}").TITLE)


def _before(path: Path) -> tuple[dict[str, list[Figure]], dict[str, str]]:
    """What was measured before, and what could not be."""
    try:
        form = json.loads(path.read_text())
    except OSError:
        return {}, {}
    found = {title: [from_json(one) for one in figures] for title, figures in form["figures"].items()}
    return found, form["failed"]


def _write(
    path: Path,
    found: dict[str, list[Figure]],
    failed: dict[str, str],
    about: dict[str, str],
    loads: str,
) -> None:
    form = {
        "machine": about,
        "load": loads,
        "figures": {title: [as_json(figure) for figure in figures] for title, figures in found.items()},
        "failed": failed,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(form, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
