"""The test cluster leaves this machine as it was: after a good start, after a failed one, after a test session."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from . import cluster, locks, packages, processes
from .handle import session
from .images import WORKER
from .network import OUTSIDE, devices
from .paths import CACHE, LOGS
from .shell import sh

pytestmark = [pytest.mark.cluster_teardown, pytest.mark.timeout(240)]

WARM = 30.0
"""Seconds that a start may take where all is built and the images are in the store."""

_VOLATILE = ("net.netfilter.nf_conntrack_count", "net.ipv4.tcp_fastopen_key")


def machine() -> dict[str, object]:
    """All of this machine that a cluster touches."""
    settings = (line.partition(" = ") for line in sh("sysctl", "-a", check=False).splitlines())
    return {
        "processes": sorted(_processes()),
        "mounts": sorted(Path("/proc/mounts").read_text().splitlines()),
        "network namespaces": sh("ip", "netns", "list"),
        "links": sorted(devices()),
        "firewall": sh("nft", "list", "ruleset"),
        "routes": sh("ip", "route", "show", "table", "all"),
        "cgroups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob("**/kubepods*")),
        "folders": sorted(path for path in OUTSIDE if Path(path).exists()),
        "sysctls": {
            key: value
            for key, _, value in settings
            if key.startswith(("net.", "vm.", "kernel.panic", "kernel.keys")) and key not in _VOLATILE
        },
    }


def _processes() -> Iterator[str]:
    """The command lines that have to do with the cluster's folder."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(CACHE) in words:
            yield words


def cli(*argv: str) -> list[str]:
    return [sys.executable, "-m", "tests.cluster", *argv]


def leave_a_pod() -> None:
    """Start a pod that does not end by itself."""
    cluster.kubectl("run", "left-over", f"--image={WORKER}", "--restart=Never", "--", "sleep", "1000")
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/left-over", "--timeout=60s")


def assert_unchanged(before: dict[str, object]) -> None:
    after = machine()
    for part, was in before.items():
        assert after[part] == was, part


@pytest.fixture
def before() -> dict[str, object]:
    """The machine without a cluster; a cluster that somebody wants is left alone."""
    if reason := packages.cannot_run():
        pytest.skip(reason)
    with locks.exclusive():
        if locks.kept() or locks.users():
            pytest.skip("the test cluster is kept or in use; `make cluster-down` first")
        cluster.prepare()
        cluster.down()
    assert list(_processes()) == [], "earlier tests have left programs behind"
    sh("nft", "list", "ruleset")  # loads the kernel's part, so that its settings are there before and after
    return machine()


def test_two_starts_at_once_make_one_cluster_and_down_leaves_nothing(before: dict[str, object]) -> None:
    both = [subprocess.Popen(cli("up"), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("waiting for process" in text for text in said) == 1
    assert sum("the cluster is up" in text for text in said) == 1
    assert all("export KUBECONFIG=" in text for text in said)
    took = re.search(r"([\d.]+) s  DNS and GPUs: the cluster is up", "".join(said))
    assert took, said
    assert float(took[1]) <= WARM

    leave_a_pod()
    subprocess.run(cli("down"), check=True)
    assert_unchanged(before)


def test_failed_start_is_undone_and_says_which_log_to_read(before: dict[str, object]) -> None:
    with socket.create_server(("127.0.0.1", 2379)):  # etcd's
        ended = subprocess.run(cli("up"), check=False, capture_output=True, text=True)
    assert ended.returncode == 1
    assert str(LOGS / "etcd.log") in ended.stderr
    assert "address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert_unchanged(before)


def test_start_that_was_killed_is_cleaned_up_by_the_next_command(before: dict[str, object]) -> None:
    with subprocess.Popen(cli("up"), stdout=subprocess.PIPE, text=True) as start:
        assert start.stdout
        assert any("API server" in line for line in start.stdout)  # the midst of it
        start.kill()
    assert not cluster.is_up()
    subprocess.run(cli("down"), check=True)
    assert_unchanged(before)


def test_cluster_whose_programs_were_all_killed_is_started_anew(before: dict[str, object]) -> None:
    subprocess.run(cli("up"), check=True)
    cluster.kubectl("create", "configmap", "left-over")
    processes.end(processes.running().values(), grace=0)
    assert not cluster.is_up()
    subprocess.run(cli("up"), check=True)
    assert "left-over" not in cluster.kubectl("get", "configmaps", "-o", "name")
    subprocess.run(cli("down"), check=True)
    assert_unchanged(before)


def test_session_takes_down_what_it_started_and_leaves_what_it_found(before: dict[str, object]) -> None:
    second = "from tests.cluster.handle import session\nwith session(): pass"
    with session() as own:
        with ThreadPoolExecutor(8) as many:  # all of them the first to ask
            assert len(set(many.map(lambda _: id(own.api), range(8)))) == 1
        api_server = processes.running()["kube-apiserver"]
        subprocess.run([sys.executable, "-c", second], check=True)
        assert processes.running()["kube-apiserver"] == api_server
        refused = subprocess.run(cli("down"), check=False, capture_output=True, text=True)
        assert refused.returncode == 1
        assert "in use by process" in refused.stderr
        leave_a_pod()
        cluster.stop("kubelet")  # as a test may that ended badly
        cluster.stop("containerd")
    assert_unchanged(before)
