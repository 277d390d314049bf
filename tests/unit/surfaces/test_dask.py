"""What a line or a call asks of a Dask cluster: its spec, its driver, and what a dry run shows."""

from __future__ import annotations

import ast
import contextlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.app.config import Config
from gpu_workbench.app.notebook import Notebook
from gpu_workbench.app.settings import Settings
from gpu_workbench.core.errors import FlagError, UsageError
from gpu_workbench.core.model import Kind
from gpu_workbench.core.quantities import Gpus
from gpu_workbench.core.spec import DaskCluster, Handle, Placement, Resources, Volume, WorkloadSpec
from gpu_workbench.surfaces import readers
from gpu_workbench.surfaces.command_lines import CommandFlags, parse_command
from gpu_workbench.surfaces.dask import ClusterRequest, cluster_request, driver_spec, flags_of
from gpu_workbench.surfaces.dry_run import python_dask
from gpu_workbench.surfaces.flags import CellFlags, parse_cell_line
from gpu_workbench.surfaces.magics.dry_run import dry_cluster
from gpu_workbench.surfaces.request import Request, understand


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTER_IMAGE_SPEC", raising=False)


def request_of(flags: CellFlags) -> Request:
    """As a notebook asks it whose settings are the line's own."""
    settings = Settings(backend=flags.backend or "local", namespace=flags.namespace)
    return understand(
        flags,
        Config(settings, {}),
        owner="me",
        notebook=Notebook("nb", "/home/me/n.ipynb"),
        folder=Path.cwd(),
    )


HERE: Any = SimpleNamespace(request=request_of)


def flags(line: str) -> CommandFlags:
    return parse_command(f"dask {line}").flags


def asked(line: str) -> ClusterRequest:
    return cluster_request(HERE, flags(line))


# --- The spec


def test_a_line_that_says_nothing_asks_for_two_workers_with_a_gpu_each() -> None:
    found = asked("")
    assert (found.spec.kind, found.spec.name, found.spec.id) == (Kind.DASK, "dask", "")
    assert (found.spec.dask, found.spec.resources.gpus) == (DaskCluster(n_workers=2), Gpus(1))
    assert (found.spec.owner, found.spec.notebook) == ("me", "nb")
    assert (found.asked, found.adapt, found.backend) == ({}, None, "local")


def test_what_a_line_says_is_the_clusters_and_asked_for() -> None:
    found = asked(
        "--n-workers 4 --nthreads 2 --group cpu=8 --group io=0 --gpus h200:2 --memory 64Gi --name etl"
    )
    assert found.spec.name == "etl"
    assert found.spec.dask == DaskCluster(n_workers=4, threads=2, groups={"cpu": 8, "io": 0})
    assert found.spec.resources.gpus == Gpus(2, "h200")
    assert found.asked == {
        "resources.gpus": Gpus(2, "h200"),
        "resources.memory": 64 * 2**30,
        "dask.n_workers": 4,
        "dask.threads": 2,
        "dask.groups": {"cpu": 8, "io": 0},
    }


def test_no_workers_and_no_threads_are_something_else_than_nothing_said() -> None:
    found = asked("--n-workers 0")
    assert found.spec.dask == DaskCluster(n_workers=0)
    assert found.asked == {"dask.n_workers": 0}


def test_what_follows_its_tasks_has_no_size_that_a_living_cluster_could_contradict() -> None:
    for line in ("--adapt 1:8", "--adapt 1:8 --n-workers 3"):
        found = asked(f"{line} --backend kubernetes --image x")
        assert found.adapt == (1, 8)
        assert "dask.n_workers" not in found.asked
        assert found.spec.dask == DaskCluster(n_workers=3 if "--n-workers" in line else 1)
    assert asked("--adapt 1:8").spec.dask == DaskCluster(n_workers=8), (
        "this machine's devices are held meanwhile"
    )


# --- The same as a call


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, ""),
        (
            {"n_workers": 4, "gpus": 1, "group": {"cpu": 4, "io": 1}},
            "--n-workers 4 --gpus 1 --group cpu=4 --group io=1",
        ),
        ({"adapt": "0:8", "name": "etl", "memory": "8Gi"}, "--adapt 0:8 --name etl --memory 8Gi"),
        ({"nthreads": 2, "env": {"A": "b"}, "image": None}, "--nthreads 2 --env A=b"),
    ],
)
def test_arguments_mean_what_flags_mean(given: dict[str, object], line: str) -> None:
    assert flags_of(given) == flags(line)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"workers": 4}, r"There is no argument 'workers'. Did you mean n_workers\?"),
        ({"n_workers": -1}, "--n-workers: '-1' is not a number"),
        ({"group": "cpu"}, "--group: 'cpu' is no worker group. Write its name and its workers: cpu=4"),
        ({"adapt": 8}, "--adapt: '8' are no two bounds. Write the least and the most: 0:8"),
    ],
)
def test_a_wrong_argument_says_what_and_what_to_do(given: dict[str, object], says: str) -> None:
    with pytest.raises(FlagError, match=says):
        flags_of(given)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--n-workers 4 --gpus h200:2 --memory 64Gi --group cpu=8 --group io=0",
        "--adapt 0:8 --nthreads 2 --name etl --idle-limit 90m --cpus 0.5",
        "--env A=b --env C=d=e --volume data:/data:ro --volume out:/out --secret HF_TOKEN",
    ],
)
def test_the_call_that_a_dry_run_shows_asks_for_the_same(line: str) -> None:
    code = python_dask(flags(f"{line} --dry-run -o python --as mine"))
    (call,) = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    assert ast.unparse(call.func) == "gw.dask"
    assert not call.args
    assert flags_of({item.arg: ast.literal_eval(item.value) for item in call.keywords if item.arg}) == flags(
        line
    )


# --- Dry runs


def dry(line: str) -> str:
    return dry_cluster(asked(line), flags(line))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "Would start a Dask cluster 'dask' on this machine: 2 workers with each 1 GPU"),
        (
            "--n-workers 1 --gpus 0 --name a",
            "Would start a Dask cluster 'a' on this machine: 1 worker with 0 GPUs",
        ),
        (
            "--n-workers 4 --gpus h200:2 --group cpu=8 --memory 64Gi --image x/y --backend kubernetes --namespace team",
            "Would start a Dask cluster 'dask' on the cluster, namespace team: "
            "4 workers (and cpu 8 without GPUs) with each 2 h200, 64 GiB memory, image x/y",
        ),
    ],
)
def test_words_say_what_would_be_started(line: str, sentence: str) -> None:
    assert dry(f"{line} --dry-run").splitlines() == [sentence, "Nothing was started, nothing was sent."]


def test_objects_are_whole_and_hold_no_secret() -> None:
    text = dry("--dry-run -o yaml --backend kubernetes --image x/y --group cpu=8 --gpus 2")
    root, secret, cluster, group = yaml.safe_load_all(text)
    kinds = [made["kind"] for made in (root, secret, cluster, group)]
    assert kinds == ["ConfigMap", "Secret", "DaskCluster", "DaskWorkerGroup"]
    assert cluster["spec"]["worker"]["replicas"] == 2
    assert group["metadata"]["name"].endswith("-cpu")
    assert "data" not in secret
    assert set(secret["stringData"].values()) == {"(left out)"}


def test_this_machine_has_no_objects_and_a_cluster_needs_an_image() -> None:
    with pytest.raises(UsageError, match="On this machine there are no objects of Kubernetes"):
        dry("--dry-run -o yaml")
    with pytest.raises(UsageError, match="There is no image to run in"):
        dry("--dry-run -o yaml --backend kubernetes")


def test_a_dry_run_as_python_is_the_call() -> None:
    assert dry("--dry-run -o python --n-workers 4").endswith("cluster = gw.dask(n_workers=4)")


# --- The driver

CLUSTER = Handle(
    spec=WorkloadSpec(
        id="0123456789ab",
        kind=Kind.DASK,
        name="etl",
        image="cluster/image",
        python="/opt/python",
        env={"A": "cluster", "B": "cluster"},
        volumes=(Volume("data", "/data"), Volume("old", "/models")),
        resources=Resources(gpus=Gpus(2, "h200"), cpus=4.0, memory=2**35),
        placement=Placement(namespace="team", node_selector={"pool": "gpu"}, secrets=("registry",)),
        dask=DaskCluster(n_workers=4),
    ),
    backend="kubernetes",
    started=0.0,
)


def driver(line: str) -> WorkloadSpec:
    return driver_spec(request_of(parse_cell_line(f"--dask etl --backend kubernetes {line}")), CLUSTER)


def test_a_driver_is_like_a_worker_without_gpus_in_a_session_of_this_notebook() -> None:
    spec = driver("")
    assert (spec.kind, spec.name, spec.drives, spec.dask) == (Kind.SESSION, "etl-driver", CLUSTER.id, None)
    assert (spec.image, spec.python, spec.volumes) == ("cluster/image", "/opt/python", CLUSTER.spec.volumes)
    assert (spec.env, spec.placement) == (CLUSTER.spec.env, CLUSTER.spec.placement)
    assert spec.resources == replace(CLUSTER.spec.resources, gpus=Gpus(0))
    assert (spec.owner, spec.notebook, spec.id) == ("me", "nb", "")


def test_what_the_line_says_of_the_driver_wins_and_adds_up() -> None:
    spec = driver(
        "--gpus 1 --memory 8Gi --image my/image --python /usr/bin/python3 --time-limit 1h --env B=line --env C=line "
        "--volume new:/models --secret HF_TOKEN"
    )
    assert (spec.resources.gpus, spec.resources.memory, spec.resources.cpus) == (Gpus(1), 2**33, 4.0)
    assert (spec.image, spec.python, spec.time_limit) == ("my/image", "/usr/bin/python3", 3600.0)
    assert spec.env == {"A": "cluster", "B": "line", "C": "line"}
    assert spec.volumes == (Volume("data", "/data"), Volume("new", "/models"))
    assert spec.placement.secrets == ("registry", "hf-token")
    assert spec.placement.node_selector == {"pool": "gpu"}


# --- How values are read


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_bounds_are_read_in_their_order(least: int, more: int) -> None:
    assert readers.bounds(f"{least}:{least + more}") == (least, least + more)


@pytest.mark.parametrize("text", ["", "8", ":", "0:", ":8", "8:0", "-1:8", "0:8:9", "a:b", "0.5:2", "²:³"])
def test_what_are_no_bounds(text: str) -> None:
    with pytest.raises(FlagError, match=r"are no two bounds. Write the least and the most: 0:8"):
        readers.bounds(text)


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?", fullmatch=True), st.integers(0, 10**6))
def test_a_worker_group_is_a_name_and_a_number(name: str, number: int) -> None:
    if name != "default":
        assert readers.worker_group(f"{name}={number}") == (name, number)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cpu", "'cpu' is no worker group. Write its name and its workers: cpu=4"),
        ("cpu=", "is no worker group"),
        ("cpu=-1", "is no worker group"),
        ("cpu=many", "is no worker group"),
        ("=4", "'' is not a name of a worker group"),
        ("CPU=4", "'CPU' is not a name of a worker group"),
        ("a_b=4", "'a_b' is not a name of a worker group"),
        ("default=4", "The group 'default' is the first one. --n-workers says how many workers it has"),
    ],
)
def test_what_is_no_worker_group(text: str, says: str) -> None:
    with pytest.raises(FlagError, match=says):
        readers.worker_group(text)


@given(st.text())
def test_whatever_stands_there_is_read_or_refused(text: str) -> None:
    for read in (readers.bounds, readers.worker_group, readers.name):
        with contextlib.suppress(FlagError):
            read(text)


def test_one_variable_is_bound_and_no_more() -> None:
    assert readers.name("client") == "client"
    with pytest.raises(FlagError, match=r"'a,b' are several names. Write one"):
        readers.name("a,b")
    with pytest.raises(FlagError, match="'my client' is no name of a variable"):
        readers.name("my client")
