"""Dask clusters on a real cluster with the real operator, when something goes wrong."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.kernels import Notebook

from .sessions import Session, during
from .shell import until

pytestmark = [pytest.mark.timeout(300, func_only=True), pytest.mark.usefixtures("dask_operator")]

SMALL = "--gpus 0 --cpus 0.1 --memory 512Mi"
SLOW = """
import time
def slow(i):
    time.sleep(0.25)
    return i
futures = client.map(slow, range({count}), pure=False)
print('begun', flush=True)
print(sum(client.gather(futures)))
"""


def start(nb: Notebook, flags: str = "--n-workers 2", *, workers: int = 2) -> None:
    nb.check(f"%gpu dask {flags} {SMALL}", limit=120)
    nb.check(f"client.wait_for_workers({workers}, timeout=90)", limit=120)


def pods(session: Session, component: str) -> list[dict[str, Any]]:
    found = json.loads(session.kubectl("get", "pods", "-l", f"dask.org/component={component}", "-o", "json"))
    return [pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]


def kill(session: Session, component: str) -> None:
    name = pods(session, component)[0]["metadata"]["name"]
    session.kubectl("delete", "pod", name, "--grace-period=0", "--force")


def shows(nb: Notebook, line: str, *words: str, limit: float = 60) -> str:
    """Wait until a line of the notebook's shows all of these words."""
    seen: list[str] = []

    def look() -> bool:
        seen[:] = [nb.check(line).shown]
        return all(word in seen[0] for word in words)

    try:
        until(f"{line} that shows {', '.join(words)}", limit, look, log="kubelet", every=0.5)
    except Exception as error:
        raise AssertionError(f"{line} shows\n{seen[0]}") from error
    return seen[0]


def test_a_worker_that_is_taken_away_costs_no_result_and_is_seen(session: Session) -> None:
    """As a spot node takes it: its tasks run again elsewhere."""
    start(session.nb)
    ran = during(session.nb, SLOW.format(count=60), "begun\n", lambda: kill(session, "worker"))
    assert ran.status == "ok", ran.shown
    assert str(sum(range(60))) in ran.stream()
    shows(session.nb, "print(cluster.state)", "lost=1", "retried=")
    session.nb.check("client.wait_for_workers(2, timeout=60)")


def test_a_scheduler_that_is_lost_comes_back_empty_and_the_notebook_is_told(session: Session) -> None:
    start(session.nb)
    ran = during(session.nb, SLOW.format(count=200), "begun\n", lambda: kill(session, "scheduler"))
    assert ran.status == "error", ran.shown
    assert "lost" in ran.error.lower() or "cancelled" in ran.error.lower(), ran.error
    session.nb.check("client.wait_for_workers(2, timeout=90)", limit=120)
    assert session.nb.check("client.submit(lambda: 41 + 1).result()").result == "42"
    assert "Dask" in session.nb.check("%gpu ls").result


def test_a_task_that_uses_up_its_workers_memory_fails_and_the_cluster_lives_on(session: Session) -> None:
    start(session.nb)
    cell = """
def greedy(i):
    hoard = []
    while True:
        hoard.append(bytearray(b'x' * (1 << 22)))
client.submit(greedy, 1, retries=0).result()
"""
    ran = session.nb.end(session.nb.begin(cell), limit=240)
    assert ran.status == "error"
    assert "KilledWorker" in ran.error, ran.shown
    session.nb.check("client.wait_for_workers(2, timeout=90)", limit=120)
    assert session.nb.check("client.submit(lambda: 41 + 1).result()").result == "42"


def test_more_workers_than_the_quota_allows_wait_and_say_so_and_the_rest_works(session: Session) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few"},
        "spec": {"hard": {"pods": "3"}},
    }
    session.cluster.kubectl("-n", session.namespace, "create", "-f", "-", data=json.dumps(quota))
    start(session.nb, "--n-workers 4", workers=2)
    assert session.nb.check("sum(client.gather(client.map(lambda i: i, range(10))))").result == "45"
    shows(session.nb, "%gpu why dask", "2 of 4 workers wait", "quota few is exceeded")
    session.kubectl("delete", "resourcequota", "few")
    session.nb.check("client.wait_for_workers(4, timeout=90)", limit=120)


def test_an_image_without_dask_is_said_and_nothing_is_left_running_unseen(session: Session) -> None:
    image = session.cluster.images.no_ipykernel
    ran = session.nb.run(f"%gpu dask --image {image} {SMALL}")
    assert ran.error.startswith("StartFailed: The Dask cluster 'dask' did not start"), ran.shown
    assert "has no Dask" in ran.error
    assert "--image" in ran.error
    assert "Stopped dask" in session.nb.check("%gpu stop dask").stream()
    until("nothing is left", 60, lambda: not session.left(), log="kubelet", every=0.5)


def test_two_notebooks_may_scale_one_cluster(session: Session, another: Notebook) -> None:
    start(session.nb, "--n-workers 1", workers=1)
    another.check("%gpu attach dask", limit=120)
    another.check("cluster.scale(3); client.wait_for_workers(3, timeout=60)", limit=90)
    session.nb.check("cluster.scale(1)")
    one = "import time\nwhile len(client.scheduler_info()['workers']) != 1: time.sleep(0.1)"
    another.check(one, limit=60)
    session.nb.check(one, limit=60)
    another.check("cluster.close()")
    assert session.nb.check("client.submit(lambda: 42).result()").result == "42"


def test_what_the_driver_mounts_and_the_workers_too_is_one_folder(session: Session) -> None:
    session.cluster.volume("shared", namespace=session.namespace)
    start(session.nb, "--n-workers 1 --volume shared:/shared", workers=1)
    cell = """%%gpu --dask dask --out total
import pandas, dask.dataframe as dd
pandas.DataFrame({'x': range(1000), 'k': [i % 3 for i in range(1000)]}).to_parquet('/shared/a.parquet')
total = dd.read_parquet('/shared/*.parquet').groupby('k').x.sum().compute().to_dict()
"""
    session.nb.check(cell, limit=200)
    expected = {key: sum(i for i in range(1000) if i % 3 == key) for key in range(3)}
    assert session.nb.check("total").result == str(expected)
    session.nb.check("%gpu stop dask")
    until("nothing is left", 60, lambda: not session.left(), log="kubelet", every=0.5)


@pytest.mark.cluster_alone
def test_while_the_operator_is_away_a_cluster_computes_and_stops(session: Session) -> None:
    start(session.nb)
    with session.cluster.without_dask_operator():
        ran = session.nb.check(SLOW.format(count=20))
        assert str(sum(range(20))) in ran.stream()
        assert "Stopped dask" in session.nb.check("%gpu stop dask").stream()
        until("nothing is left", 90, lambda: not session.left(), log="kubelet", every=0.5)
        waits = session.nb.begin(f"%gpu dask --n-workers 1 {SMALL}")
        wait_for_cluster(session)
    ran = session.nb.end(waits, limit=120)
    assert ran.status == "ok", ran.shown
    assert "The Dask operator has not taken it up yet" in ran.shown
    session.nb.check("client.wait_for_workers(1, timeout=60)")


def wait_for_cluster(session: Session) -> None:
    def there() -> bool:
        return bool(session.kubectl("get", "daskclusters", "-o", "name").split())

    until("a DaskCluster", 30, there, log="kube-apiserver", every=0.2)
    time.sleep(3)  # it is shown once it has waited for two seconds


@pytest.mark.cluster_alone
def test_while_the_api_server_is_away_what_is_said_is_true_and_afterwards_it_goes_on(
    session: Session,
) -> None:
    """The notebook's way to the scheduler leads through the API server: it is cut, and found again."""
    start(session.nb)

    def away() -> None:
        session.cluster.stop("kube-apiserver")
        time.sleep(60)  # that it is away is the fault itself
        session.cluster.start("kube-apiserver")

    ran = during(session.nb, SLOW.format(count=200), "begun\n", away, limit=240)
    if ran.status == "ok":
        assert str(sum(range(200))) in ran.stream()
    else:
        assert "lost" in ran.error.lower() or "cancelled" in ran.error.lower(), ran.error
    session.nb.check("client.wait_for_workers(2, timeout=90)", limit=120)
    assert session.nb.check("client.submit(lambda: 41 + 1).result()").result == "42"
