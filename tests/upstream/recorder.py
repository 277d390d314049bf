"""Writes down how each test ended, as JSON, one line a test, into the file that UPSTREAM_RESULTS names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


class Recorder:
    """A plugin of pytest."""

    def __init__(self) -> None:
        self._file = Path(os.environ["UPSTREAM_RESULTS"])
        self._ended: dict[str, dict[str, object]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The worst of set-up, test and tear-down is how it ended."""
        found = self._ended.setdefault(report.nodeid, {"outcome": "passed", "seconds": 0.0, "why": ""})
        found["seconds"] = float(str(found["seconds"])) + report.duration
        if report.outcome != "passed" and found["outcome"] == "passed":
            found |= {"outcome": report.outcome, "why": _why(report), "when": report.when}
        if report.when == "teardown":
            name = report.nodeid.rpartition("/")[2]
            told = {"skipped by them": "", **dict(report.user_properties)}
            with self._file.open("a") as out:
                out.write(json.dumps({"test": name, **told, **found}) + "\n")


def _why(report: pytest.TestReport) -> str:
    """The last line of what it raised; the reason why it was skipped."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2]
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    return str(text).strip().splitlines()[0] if str(text).strip() else ""
