"""The results as a page."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.build import KUBERNETES_VERSION
from tests.upstream.reasons import reason

Result = Mapping[str, object]


@dataclass(frozen=True)
class Subject:
    """Tests that were run in several ways.

    Args:
        title: What they are about.
        columns: By the way in which they were run: how each test ended.
    """

    title: str
    columns: Mapping[str, Sequence[Result]]

    def rows(self) -> dict[str, dict[str, Result]]:
        """By test: how it ended, by column."""
        found: dict[str, dict[str, Result]] = defaultdict(dict)
        for column, results in self.columns.items():
            for result in results:
                found[_name(result)][column] = result
        return found


def versions(checkout: Path | None) -> dict[str, str]:
    """What was run against what."""
    packages = ("dask-kubernetes", "distributed", "kopf", "kr8s", "pytest")
    found = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "Kubernetes": KUBERNETES_VERSION,
        **{name: importlib.metadata.version(name) for name in packages},
    }
    if checkout is not None:
        words = ["git", "-C", str(checkout), "log", "-1", "--format=%h of %cs"]
        said = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
        found["tests of LocalCluster"] = said or "a checkout without its history"
    return found


def page(subjects: Sequence[Subject], *, about: Mapping[str, str]) -> str:
    """All of it as Markdown."""
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in about.items())]
    for subject in subjects:
        lines += ["", f"## {subject.title}", "", _counts(subject), "", *_table(subject)]
    return "\n".join(lines) + "\n"


def unexplained(subjects: Iterable[Subject]) -> list[str]:
    """The tests that do not pass with ours and of which nobody has said why."""
    return [
        f"{subject.title}: {test} ({column}): {result['why']}"
        for subject in subjects
        for test, row in subject.rows().items()
        for column, result in row.items()
        if _is_ours(column) and result["outcome"] != "passed" and not _reason(test, result, column)
    ]


def _counts(subject: Subject) -> str:
    """How many there are of each outcome, and of each kind of reason where that says more than the table."""
    said = []
    for column, results in subject.columns.items():
        outcomes = Counter(_outcome(result) for result in results)
        ordered = sorted(outcomes.items(), key=lambda item: item[0] != "passed")
        said.append(f"- {column}: " + ", ".join(f"{count} {outcome}" for outcome, count in ordered))
        why = Counter(
            _reason(_name(result), result, column).partition(":")[0]
            for result in results
            if result["outcome"] != "passed"
        )
        said += [f"  - {count}: {text}" for text, count in why.most_common() if count > 1]
    return "\n".join(said)


def _outcome(result: Result) -> str:
    """As pytest says it; of a test that passes without asking for a cluster of ours, that."""
    return (
        "no cluster"
        if result.get("clusters") == 0 and result["outcome"] == "passed"
        else str(result["outcome"])
    )


def _table(subject: Subject) -> list[str]:
    heads = ("test", *subject.columns, "why not")
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for test, row in subject.rows().items():
        cells = [_outcome(row[column]) if column in row else "" for column in subject.columns]
        lines.append(f"| `{test}` | {' | '.join(cells)} | {_why(test, row)} |")
    return lines


def _why(test: str, row: Mapping[str, Result]) -> str:
    said = {
        column: _reason(test, result, column) or str(result["why"]).replace("|", "\\|")
        for column, result in row.items()
        if result["outcome"] != "passed"
    }
    if len(set(said.values())) > 1:
        said = {column: f"{column}: {text}" for column, text in said.items()}
    skipped = [f"they skip it: {why}" for result in row.values() if (why := result["skipped by them"])]
    return "; ".join(dict.fromkeys([*said.values(), *skipped]))


def _name(result: Result) -> str:
    """Without its file, and without what anyio adds; long values of parameters cut short."""
    name = str(result["test"]).rpartition("::")[2].replace("[asyncio]", "").replace("[asyncio-", "[")
    return re.sub(r"(a{3})a+", r"\1…", name)


def _is_ours(column: str) -> bool:
    return column.startswith("ours")


def _reason(test: str, result: Result, column: str) -> str:
    return reason(test, str(result["why"]), ours=_is_ours(column))
