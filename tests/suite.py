"""Run every test there is, in the order and the processes they need, and say at the end how it went.

    python -m tests.suite                   all of it
    python -m tests.suite quick browser     some of its groups
    python -m tests.suite -- -k journal     what follows -- is passed on to pytest
    python -m tests.suite --last            say again how it went the last time

Groups are processes of their own because a browser's event loop and asyncio's tests do not share one, and because the test
cluster is built before the clock of its first test runs and taken down after the last.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "build" / "tests"
LAST = REPORTS / "last.json"

NO_TESTS = 5  # pytest's exit status when nothing was selected


@dataclass(frozen=True)
class Group:
    """Tests that share one pytest process.

    Args:
        name: What it is called on the command line and in the table.
        args: What pytest is asked for.
        prepare: Run before it; its output is shown, and its failure is a failure of the group.
    """

    name: str
    args: tuple[str, ...]
    prepare: Callable[[], int] = lambda: 0


@dataclass(frozen=True)
class Outcome:
    """How a group ended: pytest's counts, and its exit status."""

    group: str
    status: int
    seconds: float
    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    @property
    def good(self) -> bool:
        return self.status in (0, NO_TESTS)

    @property
    def line(self) -> str:
        """The counts in pytest's own words."""
        counts = [
            (self.failed, "failed"),
            (self.passed, "passed"),
            (self.skipped, "skipped"),
            (self.errors, "error" if self.errors == 1 else "errors"),
        ]
        said = ", ".join(f"{count} {word}" for count, word in counts if count) or "no tests ran"
        broken = f", exit status {self.status}" if self.status not in (0, 1, NO_TESTS) else ""
        return f"{said}{broken} in {self.seconds:.2f}s"


def build_cluster() -> int:
    """Build what the test cluster needs, outside the time limit of the test that asks for it first."""
    from tests.cluster import packages

    if os.environ.get("GPU_WORKBENCH_TEST_KUBECONFIG") or packages.cannot_run():
        return 0
    return _run([sys.executable, "-m", "tests.cluster", "build"])


GROUPS = (
    Group("quick", ("tests", "--ignore=tests/e2e", "-m", "not cluster and not cluster_teardown")),
    Group("browser", ("tests/e2e", "-m", "not cluster")),
    Group(
        "cluster", ("tests", "--ignore=tests/e2e", "-m", "cluster and not cluster_teardown"), build_cluster
    ),
    Group("browser-cluster", ("tests/e2e", "-m", "cluster")),
    Group("teardown", ("tests/cluster", "-m", "cluster_teardown")),
)


def main(argv: Sequence[str]) -> int:
    """Run the groups named in ``argv`` and return the exit status of the whole."""
    if argv == ["--last"]:
        print(table([Outcome(**row) for row in json.loads(LAST.read_text())]))
        return 0
    names, passed_on = _split(argv)
    if unknown := set(names) - {group.name for group in GROUPS}:
        print(
            f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(group.name for group in GROUPS)}"
        )
        return 4
    outcomes = []
    for group in GROUPS:
        if names and group.name not in names:
            continue
        print(f"\n##### {group.name}", flush=True)
        outcomes.append(run(group, passed_on))
    LAST.write_text(json.dumps([asdict(outcome) for outcome in outcomes]))
    print("\n" + table(outcomes), flush=True)
    return 0 if all(outcome.good for outcome in outcomes) else 1


def run(group: Group, passed_on: Sequence[str] = ()) -> Outcome:
    """Run one group in a process of its own."""
    started = time.monotonic()
    if not (ROOT / group.args[0]).exists():
        return Outcome(group.name, NO_TESTS, 0)
    report = REPORTS / f"{group.name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    prepared = group.prepare()
    argv = [sys.executable, "-m", "pytest", *group.args, f"--junitxml={report}", *passed_on]
    status = _run(argv)
    if prepared and status in (0, NO_TESTS):
        status = prepared
    return read(report, group=group.name, status=status, seconds=time.monotonic() - started)


def read(report: Path, *, group: str, status: int, seconds: float) -> Outcome:
    """The outcome that a JUnit report tells; without a report, the exit status alone."""
    if not report.exists():
        return Outcome(group, status, seconds)
    counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for suite in ElementTree.parse(report).iter("testsuite"):
        for key in counts:
            counts[key] += int(suite.get(key, "0"))
    passed = counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"]
    return Outcome(group, status, seconds, passed, counts["failures"], counts["errors"], counts["skipped"])


def table(outcomes: Sequence[Outcome]) -> str:
    """One line for each group, and a closing line for all of them in the form of pytest's."""
    width = max(len(outcome.group) for outcome in outcomes)
    lines = [f"{outcome.group:{width}}  {outcome.line}" for outcome in outcomes]
    total = Outcome(
        "all",
        max((outcome.status for outcome in outcomes if not outcome.good), default=0),
        sum(outcome.seconds for outcome in outcomes),
        *(
            sum(getattr(outcome, name) for outcome in outcomes)
            for name in ("passed", "failed", "errors", "skipped")
        ),
    )
    return "\n".join([*lines, f" {total.line} ".center(100, "=")])


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """What stands before the first option or ``--`` names groups; the rest is pytest's."""
    at = next((i for i, word in enumerate(argv) if word.startswith("-")), len(argv))
    rest = list(argv[at:])
    return list(argv[:at]), rest[1:] if rest[:1] == ["--"] else rest


def _run(argv: Sequence[str]) -> int:
    """Run a program in the repository; an interrupt reaches it, and it is waited for until it has cleaned up."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    child = subprocess.Popen(argv, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.DEVNULL)
    try:
        return child.wait()
    except KeyboardInterrupt:
        child.send_signal(signal.SIGINT)
        child.wait()
        raise


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
