"""Runs others' tests on the test cluster, as they are and with our cluster in place of theirs, and says how each ended.

    python -m tests.upstream                          all that can be had from packages (half an hour)
    python -m tests.upstream --only kubecluster       one subject; may be given several times
    python -m tests.upstream --distributed CHECKOUT   the tests of LocalCluster as well, from a checkout of distributed
    python -m tests.upstream --docs                   write the tables into docs/reference/dask-conformance.md as well

Nothing is run a second time. The result lies in build/upstream.json, pytest's own words beside it in build/upstream/; what
--only leaves out stays there as it was. The exit status is 1 where a test does not pass with ours and `reasons` does not say
why.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.upstream.table import Subject, page, unexplained, versions

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "dask-conformance.md"
RESULT = ROOT / "build" / "upstream.json"
LOGS = ROOT / "build" / "upstream"
BEGIN = "<!-- results -->\n"
HERE = Path(__file__).parent

OPTIONS = (
    *("-c", os.devnull, "--noconftest", "--import-mode=importlib", "-v", "-ra"),
    *("-p", "no:asyncio", "-p", "no:cacheprovider"),
)
SECONDS = 180
"""A test may take so long; theirs says 60, on machines of its own."""


@dataclass(frozen=True)
class Run:
    """One run of pytest, whose results are one column of a table.

    Args:
        column: Its heading.
        files: What pytest is to run.
        plugin: The module with the fixtures.
        env: What tells that plugin what to do.
    """

    column: str
    files: tuple[str, ...]
    plugin: str
    env: dict[str, str] = field(default_factory=dict)


def runs_of(subject: str, *, distributed: Path | None) -> list[Run]:
    """The runs of a subject, in the order of the table's columns."""
    ours = {"UPSTREAM_CLUSTER": "ours"}
    theirs = {"UPSTREAM_CLUSTER": "theirs"}
    cluster = {**ours, "UPSTREAM_BACKEND": "kubernetes"}
    match subject:
        case "operator":
            return [Run("theirs", (_in_wheel("controller"),), "kubernetes", theirs)]
        case "kubecluster":
            files = (_in_wheel("kubecluster"),)
            return [
                Run("KubeCluster", files, "kubernetes", theirs),
                Run("ours", files, "kubernetes", ours),
            ]
        case "cluster-class":
            files = (str(HERE / "cluster_class.py"),)
            return [
                Run("LocalCluster", files, "places", theirs),
                Run("ours, local", files, "places", ours),
                Run("ours, kubernetes", files, "places", cluster),
            ]
    if distributed is None:
        return []
    folder = distributed / "distributed" / "deploy" / "tests"
    files = (str(folder / "test_cluster.py"), str(folder / "test_local.py"))
    return [
        Run("LocalCluster", files, "places", theirs),
        Run("ours, local", files, "places", ours),
    ]


SUBJECTS = {
    "operator": "dask-kubernetes: the operator",
    "kubecluster": "dask-kubernetes: KubeCluster",
    "cluster-class": "distributed: ClusterTest",
    "local-cluster": "distributed: LocalCluster",
}


def main(arguments: Sequence[str]) -> int:
    """Run them, print the tables; 1 where there is something to explain."""
    asked = _parser().parse_args(arguments)
    found = _before()
    for name in asked.only or SUBJECTS:
        runs = runs_of(name, distributed=asked.distributed)
        if runs:
            found[name] = {run.column: _ended(name, run) for run in runs}
            RESULT.write_text(json.dumps(found, indent=1) + "\n")
    subjects = [Subject(title, found[name]) for name, title in SUBJECTS.items() if name in found]
    text = page(subjects, about=versions(asked.distributed))
    print(text)
    if asked.docs:
        head, _, _ = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{text}")
    for test in unexplained(subjects):
        print(f"not explained: {test}", file=sys.stderr)
    return 1 if unexplained(subjects) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.upstream", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--only", action="append", choices=SUBJECTS, metavar="SUBJECT", help=", ".join(SUBJECTS)
    )
    parser.add_argument("--distributed", type=Path, metavar="CHECKOUT")
    parser.add_argument("--docs", action="store_true")
    return parser


def _before() -> dict[str, dict[str, list[dict[str, object]]]]:
    try:
        return dict(json.loads(RESULT.read_text()))
    except OSError:
        return {}


def _ended(subject: str, run: Run) -> list[dict[str, object]]:
    """How each test of a run ended."""
    LOGS.mkdir(parents=True, exist_ok=True)
    name = f"{subject}-{run.column}".replace(", ", "-").replace(" ", "-")
    results, log = LOGS / f"{name}.jsonl", LOGS / f"{name}.log"
    results.unlink(missing_ok=True)
    print(f"{subject}, {run.column} ...", file=sys.stderr, flush=True)
    began = time.monotonic()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GPU_WORKBENCH_", "JUP"))}
    kept |= {key: value for key, value in os.environ.items() if key.startswith("GPU_WORKBENCH_TEST")}
    env = {**kept, **run.env, "UPSTREAM_RESULTS": str(results), "PYTHONPATH": str(ROOT)}
    env["XDG_CONFIG_HOME"] = str(LOGS / "no-settings")
    # Names of their modules begin below this folder: begun at `/`, ours would take all of that for a project of the user's.
    root = str(Path(run.files[0]).parent)
    command = [sys.executable, "-m", "pytest", *OPTIONS, "--rootdir", root]
    command += [
        *("-o", f"timeout={SECONDS}", "-o", "timeout_func_only=true"),
        *("-p", f"tests.upstream.{run.plugin}"),
    ]
    with log.open("w") as out, tempfile.TemporaryDirectory() as folder:
        subprocess.run([*command, *run.files], cwd=folder, env=env, stdout=out, stderr=out, check=False)
    print(f"    {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    if not results.exists():
        sys.exit(f"no test of {name} has ended; see {log}")
    return [json.loads(line) for line in results.read_text().splitlines()]


def _in_wheel(part: str) -> str:
    """The folder of tests in the installed wheel, which is found without being imported."""
    import importlib.util

    found = importlib.util.find_spec("dask_kubernetes")
    if found is None or found.origin is None:
        sys.exit("dask-kubernetes is not installed here: `make setup`")
    return str(Path(found.origin).parent / "operator" / part / "tests")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
