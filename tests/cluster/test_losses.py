"""Sessions whose pod is taken away: it is said soon and truly why, and the next cell says what is gone with it."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable

import pytest

from tests.kernels import Ran

from .sessions import SMALL, SOON, Session, during, first_process, give_node_up

pytestmark = pytest.mark.timeout(300, func_only=True)


def end_in_mid_cell(session: Session, act: Callable[[], None]) -> Ran:
    """Let a cell lose its pod while it runs; when, why and what is gone is said, soon."""
    session.nb.check(f"%%gpu {SMALL}\nprecious = 1")
    told: list[float] = []

    def fault() -> None:
        act()
        told.append(time.monotonic())

    ran = during(session.nb, "%%gpu\nimport time\nprint('in', flush=True)\ntime.sleep(200)", "in\n", fault)
    took = time.monotonic() - told[0]
    assert ran.status == "error", ran.shown
    assert took < SOON, f"{took:.1f} s after the cluster knew"
    return ran


def missed(session: Session, *, why: str) -> None:
    """The next cell says what is gone with the session."""
    ran = session.nb.run(f"%%gpu {SMALL}\nprecious")
    assert ran.error.startswith("NameLost: precious lived in the session and is gone"), ran.shown
    assert why in ran.shown
    assert re.search(r"ended at \d\d:\d\d: ", ran.shown), ran.shown
    assert "Gone with it: precious" in ran.shown
    assert session.nb.check("%%gpu\n2 + 2").result == "4"


DELETED = "it was told to end from outside (SIGTERM)"


def test_a_pod_deleted_with_grace_ends_the_run_and_says_so(session: Session) -> None:
    def delete() -> None:
        session.kubectl("delete", "pod", session.pod()["metadata"]["name"], "--wait=false")

    ran = end_in_mid_cell(session, delete)
    assert DELETED in ran.error
    missed(session, why=DELETED)


def test_a_pod_deleted_at_once_ends_the_run_and_says_so(session: Session) -> None:
    def delete() -> None:
        name = session.pod()["metadata"]["name"]
        session.kubectl("delete", "pod", name, "--grace-period=0", "--force")

    ran = end_in_mid_cell(session, delete)
    assert DELETED in ran.error
    missed(session, why=DELETED)


def test_an_agent_killed_with_sigkill_ends_the_run_and_says_so(session: Session) -> None:
    def kill() -> None:
        os.kill(first_process(session.pod()), signal.SIGKILL)
        name = session.pod()["metadata"]["name"]
        session.kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Failed", "--timeout=30s")

    ran = end_in_mid_cell(session, kill)
    assert "SIGKILL" in ran.shown, ran.shown
    missed(session, why="SIGKILL")


def test_a_cell_that_uses_up_the_memory_is_told_so(session: Session) -> None:
    session.nb.check(f"%%gpu {SMALL} --memory 300Mi\nprecious = 1")
    heard: list[float] = []
    cell = "%%gpu\nhoard = []\nwhile True: hoard.append(bytearray(b'x' * (1 << 20))); print(len(hoard), flush=True)"
    ran = session.nb.end(session.nb.begin(cell), seen=lambda ran: heard.append(time.monotonic()))
    assert ran.status == "error"
    assert "memory" in ran.error, ran.shown
    assert "--memory" in ran.shown
    assert heard[-1] - heard[-2] < SOON, "from its last line to its end"
    lost = session.nb.run("%%gpu\nprecious")
    assert lost.error.startswith("NameLost: precious lived in the session and is gone"), lost.shown
    assert session.nb.check("%%gpu\n2 + 2").result == "4"


def test_a_node_that_is_gone_ends_the_run_and_says_so(session: Session) -> None:
    def lose() -> None:
        give_node_up(session.cluster, session.namespace, session.pod())

    ran = end_in_mid_cell(session, lose)
    assert "Its node went away, and its pod with it" in ran.error
    assert re.search(r"default\s+Lost", session.nb.check("%gpu ls --all").result)
    missed(session, why="its node went away, and its pod with it")


def test_a_session_that_was_evicted_is_missed_with_when_why_and_its_names(session: Session) -> None:
    session.nb.check(f"%%gpu {SMALL}\nprecious = 1")
    name = session.pod()["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    session.cluster.api.call("POST", f"/api/v1/namespaces/{session.namespace}/pods/{name}/eviction", eviction)
    session.kubectl("wait", "--for=delete", f"pod/{name}", "--timeout=60s")
    missed(session, why="its pod was moved off its node, as for maintenance (evicted through the API)")
