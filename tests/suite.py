"""Run every test there is, in the order and the processes they need, and say at the end how it went.

    python -m tests.suite                   all of it
    python -m tests.suite quick browser     some of its groups
    python -m tests.suite -- -k journal     what follows -- is passed on to pytest
    python -m tests.suite --last            say again how it went the last time

Groups are processes of their own because a browser's event loop and asyncio's tests do not share one, and because the test
cluster is built before the clock of its first test runs and taken down after the last. Most tests wait more than they
compute, so two lanes of groups run side by side, what needs a cluster beside what needs none. A third lane, for browsers,
was slower: three at once keep two cores too busy for each other's waits.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

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
        lane: Groups of one lane follow each other. Lane 0 comes after all others.
        prepare: Run before anything else; its output is shown, and its failure is a failure of the group.
    """

    name: str
    args: tuple[str, ...]
    lane: int = 1
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
    reasons: tuple[str, ...] = ()
    """Each test that did not pass, with the first line of why."""

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
    Group(
        "quick",
        ("tests", "--ignore=tests/e2e", "-m", "not cluster and not cluster_teardown", "-n", "2"),
    ),
    Group(
        "cluster",
        (
            *("tests", "--ignore=tests/e2e"),
            *("-m", "cluster and not cluster_alone and not cluster_teardown"),
            *("-n", "3", "--dist", "loadfile"),
        ),
        lane=2,
        prepare=build_cluster,
    ),
    Group("cluster-alone", ("tests", "--ignore=tests/e2e", "-m", "cluster_alone"), lane=2),
    Group("browser", ("tests/e2e", "-m", "not cluster", "-n", "2", "--dist", "loadfile")),
    Group("browser-cluster", ("tests/e2e", "-m", "cluster"), lane=2),
    Group("teardown", ("tests/cluster", "-m", "cluster_teardown"), lane=0),
)


def main(argv: Sequence[str]) -> int:
    """Run the groups named in ``argv`` and return the exit status of the whole."""
    if argv == ["--last"]:
        last = json.loads(LAST.read_text())
        print(table([Outcome(**row) for row in last["groups"]], seconds=last["seconds"]))
        return 0
    names, passed_on = _split(argv)
    if unknown := set(names) - {group.name for group in GROUPS}:
        print(
            f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(group.name for group in GROUPS)}"
        )
        return 4
    chosen = [group for group in GROUPS if not names or group.name in names]
    began = time.monotonic()
    if _cluster("info") != 0:
        _cluster_is_ours.set()
    prepared = {group.name: group.prepare() for group in chosen}
    lanes = [[group for group in chosen if group.lane == lane] for lane in (1, 2)]
    say = Prefixed() if all(lanes) else print
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(_follow_each_other, lane, passed_on, say) for lane in lanes]
        outcomes = [outcome for lane in running for outcome in lane.result()]
    outcomes += _follow_each_other([group for group in chosen if group.lane == 0], passed_on, print)
    outcomes = [
        replace(outcome, status=prepared[outcome.group] or outcome.status) if outcome.good else outcome
        for outcome in outcomes
    ]
    seconds = time.monotonic() - began
    REPORTS.mkdir(parents=True, exist_ok=True)
    LAST.write_text(json.dumps({"seconds": seconds, "groups": [asdict(outcome) for outcome in outcomes]}))
    print("\n" + table(outcomes, seconds=seconds), flush=True)
    return 0 if all(outcome.good for outcome in outcomes) else 1


Say = Callable[[str], None]


class Prefixed:
    """Prints lines of several threads, each line whole and with the name of its group before it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, line: str) -> None:
        with self._lock:
            print(f"{threading.current_thread().name:>15} │ {line}", flush=True)


def _follow_each_other(groups: Sequence[Group], passed_on: Sequence[str], say: Say) -> list[Outcome]:
    outcomes = []
    for group in groups:
        threading.current_thread().name = group.name
        say(f"##### {group.name}")
        outcomes.append(run(group, passed_on, say=say))
        say(outcomes[-1].line)
    return outcomes


def run(group: Group, passed_on: Sequence[str] = (), *, say: Say = print) -> Outcome:
    """Run one group in a process of its own."""
    started = time.monotonic()
    if not (ROOT / group.args[0]).exists():
        return Outcome(group.name, NO_TESTS, 0)
    report = REPORTS / f"{group.name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "pytest", *group.args, f"--junitxml={report}", *passed_on]
    status = _run(argv, say=say)
    return read(report, group=group.name, status=status, seconds=time.monotonic() - started)


def read(report: Path, *, group: str, status: int, seconds: float) -> Outcome:
    """The outcome that a JUnit report tells; without a report, the exit status alone."""
    if not report.exists():
        return Outcome(group, status, seconds)
    counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    reasons = []
    for suite in ElementTree.parse(report).iter("testsuite"):
        for key in counts:
            counts[key] += int(suite.get(key, "0"))
        for case in suite.iter("testcase"):
            name = f"{case.get('classname')}::{case.get('name')}"
            reasons += [f"{name}: {_first_line(why)}" for why in case if why.tag in ("failure", "error")]
    passed = counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"]
    return Outcome(
        group,
        status,
        seconds,
        passed=passed,
        failed=counts["failures"],
        errors=counts["errors"],
        skipped=counts["skipped"],
        reasons=tuple(reasons),
    )


def _first_line(why: Element) -> str:
    lines = [line.strip() for line in (why.get("message") or "no message").splitlines()]
    return next((line for line in lines if line not in ("", "AssertionError:")), lines[0])


def table(outcomes: Sequence[Outcome], *, seconds: float) -> str:
    """One line for each group, one for each test that did not pass, and a closing line in the form of pytest's.

    Args:
        seconds: How long all of it took, preparations included.
    """
    width = max(len(outcome.group) for outcome in outcomes)
    lines = [f"{outcome.group:{width}}  {outcome.line}" for outcome in outcomes]
    lines += [reason for outcome in outcomes for reason in outcome.reasons]
    total = Outcome(
        "all",
        max((outcome.status for outcome in outcomes if not outcome.good), default=0),
        seconds,
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


_running: set[subprocess.Popen[str]] = set()
_ending = threading.Event()


def _run(argv: Sequence[str], *, say: Say = print) -> int:
    """Run a program in the repository and say each of its lines."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    if _ending.is_set():
        return 128 + signal.SIGINT
    with subprocess.Popen(
        argv,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as child:
        _running.add(child)
        assert child.stdout is not None
        for line in child.stdout:
            say(line.rstrip("\n"))
        _running.discard(child)
    return child.returncode


def interrupt(*_: object) -> NoReturn:
    """End what runs as Ctrl-C would, wait until it has cleaned up, and end. Nothing else is begun meanwhile."""
    _ending.set()
    for child in list(_running):
        child.send_signal(signal.SIGINT)
    for child in list(_running):
        child.wait()
    if _cluster_is_ours.is_set():
        _cluster("down")
    os._exit(128 + signal.SIGINT)


_cluster_is_ours = threading.Event()
"""Set where the test cluster was not there before: then it is not left behind."""


def _cluster(command: str) -> int:
    program = [sys.executable, "-m", "tests.cluster", command]
    return subprocess.run(program, cwd=ROOT, capture_output=True, check=False).returncode


if __name__ == "__main__":
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    sys.exit(main(sys.argv[1:]))
