"""The notebooks of `examples/` do, on every backend, what they say."""

from __future__ import annotations

import ast
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

from tests.cluster.handle import Cluster

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
CELL_SECONDS = 90


@pytest.fixture
def home() -> Iterator[dict[str, str]]:
    """An environment whose settings, state and history are its own; its sessions and runs are ended with it."""
    with tempfile.TemporaryDirectory(prefix="gwb-") as folder:
        own = {
            name: str(Path(folder) / name.lower())
            for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME")
        }
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GPU_WORKBENCH_")},
            **own,
            "IPYTHONDIR": str(Path(folder) / "ipython"),
        }
        yield environment
        program = Path(sys.executable).with_name("gpu-workbench")
        subprocess.run([program, "stop", "--all"], env=environment, check=True, timeout=60)


@pytest.fixture
def cluster_home(cluster: Cluster, namespace: str, home: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The same on a cluster: a kubeconfig that stands in a fresh namespace, and the image of the cluster's workers."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_bytes(Path(cluster.kubeconfig).read_bytes())
    kubeconfig.chmod(0o600)
    home["KUBECONFIG"] = str(kubeconfig)
    home["GPU_WORKBENCH_BACKEND"] = "kubernetes"
    home["JUPYTER_IMAGE_SPEC"] = cluster.images.worker
    cluster.kubectl(
        "config", "set-context", "--current", f"--namespace={namespace}", f"--kubeconfig={kubeconfig}"
    )
    return home


@pytest.fixture
def dask_home(
    dask_operator: None, cluster_home: dict[str, str], cluster: Cluster, namespace: str
) -> dict[str, str]:
    """The same where Dask's operator works, and a profile mounts a volume that all pods write to."""
    cluster.volume("shared", namespace=namespace)
    settings = Path(cluster_home["XDG_CONFIG_HOME"]) / "gpu-workbench" / "config.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text("profiles: {default: {volumes: ['shared:/data'], env: {DATA: /data}}}\n")
    return cluster_home


@pytest.mark.timeout(300)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_example_runs_on_local(notebook: Path, home: dict[str, str], tmp_path: Path) -> None:
    home["GPU_WORKBENCH_BACKEND"] = "local"
    run_and_judge(notebook, home, tmp_path / "project")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_example_runs_on_kubernetes(
    notebook: Path, cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    environment = request.getfixturevalue("dask_home" if "dask" in notebook.stem else "cluster_home")
    run_and_judge(notebook, environment, tmp_path / "project")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_example_is_kept_without_outputs(notebook: Path) -> None:
    content = nbformat.read(notebook, as_version=4)
    nbformat.validate(content)
    assert content.metadata.kernelspec.name == "python3"
    for cell in content.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def run_and_judge(notebook: Path, environment: Mapping[str, str], project: Path) -> None:
    """Run a copy of the notebook in a copy of its folder; what it shows is what its text promises."""
    shutil.copytree(EXAMPLES, project, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    content = nbformat.read(notebook, as_version=4)
    client = NotebookClient(content, timeout=CELL_SECONDS, resources={"metadata": {"path": str(project)}})
    client.execute(env=dict(environment))
    JUDGES[notebook.stem](content)
    assert same_files(project, EXAMPLES) == [], "the notebook leaves its folder as it was"


def first_cell(content: nbformat.NotebookNode) -> None:
    remote = cell(content, 'if "model" not in globals()')
    assert printed(remote) == "sum: 12499997500000.0\n"
    assert values(remote) == ["2499999.5"], "the last value is shown as a notebook would"
    (shown,) = (out for out in remote.outputs if out.output_type == "execute_result")
    assert shown.execution_count == remote.execution_count, "its number is the cell's"
    assert values(cell(content, "total", whole=True)) == ["12499997500000.0"], "--out left it here"
    trained = printed(cell(content, "for epoch in range(5)")).splitlines()
    assert [line.partition(":")[0] for line in trained] == [f"epoch {n}" for n in range(5)]
    assert printed(cell(content, 'print("x has"')) == "x has 5000000 numbers; the model has seen 100 steps\n"


def detached_run(content: nbformat.NotebookNode) -> None:
    lines = [f"{n} -> {n * n}" for n in range(1, 11)]
    assert printed(cell(content, "%gpu attach")).splitlines() == lines
    assert [line for line in text(cell(content, "%gpu logs")).splitlines() if "->" in line] == lines
    assert values(cell(content, "squares", whole=True)) == [str([n * n for n in range(1, 11)])]


def files_and_modules(content: nbformat.NotebookNode) -> None:
    assert printed(cell(content, "csv.DictReader")) == "20 readings, mean 21.21\n"
    new = "20 readings from 18.1 to 24.3, mean 21.21\n"
    assert printed(cell(content, "%%gpu\nprint(measure.summary(readings))", whole=True)).endswith(new)
    assert printed(cell(content, "print(report.read_text())")).strip() == new.strip()


def dask_cluster(content: nbformat.NotebookNode) -> None:
    assert values(cell(content, "client.map")) == [str([n**2 for n in range(10)])]
    assert printed(cell(content, "to_parquet")) == "12 files\n"
    assert values(cell(content, "cluster.scale(3)")) == ["3"]
    made: dict[str, Any] = {}
    exec(cell(content, "def rides").source, made)
    table = pd.concat([made["rides"](month) for month in range(1, 13)]).merge(made["zones"], on="zone")

    (shown,) = values(cell(content, "by_district.round", whole=False))
    found = pd.read_csv(io.StringIO(shown.replace("district", "", 1)), sep=r"\s+", header=0)
    assert list(found.columns) == ["km", "night", "tipped"]
    by_district = table.groupby("district").agg({"km": "mean", "night": "sum", "tipped": "mean"})
    np.testing.assert_allclose(found, by_district.loc[found.index], atol=6e-5)
    assert list(found.index) == ["Airport", "Centre", "North", "South"]

    (shown,) = values(cell(content, "weights.round"))
    weights = ast.literal_eval(shown)
    airport = table.district == "Airport"
    columns = {"constant": 1.0, "km": table.km, "night": table.night, "airport": airport}
    score = sum(weights[name] * column for name, column in columns.items())
    chance = 1 / (1 + np.exp(-score))
    for column in columns.values():  # of the most likely weights the slope is 0 in every direction
        assert abs(((chance - table.tipped) * column).mean()) < 1e-3
    assert [*weights.values()] == pytest.approx([-2, 0.3, 1, 1], abs=0.05)
    loss = -np.log(np.where(table.tipped, chance, 1 - chance)).mean()
    trained = printed(cell(content, "np.linalg.solve")).split("loss ")[1:]
    losses = [float(line.split()[0]) for line in trained]
    assert losses == sorted(losses, reverse=True)
    assert [losses[0], losses[-1]] == pytest.approx([np.log(2), loss], abs=1e-3)
    (kept,) = printed(cell(content, "shutil.rmtree")).splitlines()
    assert kept == f"{len(table)} rides, loss {losses[-1]:.4f}"

    (drawn,) = (
        out.data for out in cell(content, "plt.subplots").outputs if out.output_type == "display_data"
    )
    assert "image/png" in drawn
    assert printed(cell(content, "%gpu stop dask")).startswith("Stopped dask")


JUDGES = {
    "01-first-cell": first_cell,
    "02-detached-run": detached_run,
    "03-files-and-modules": files_and_modules,
    "04-dask": dask_cluster,
}


def cell(content: nbformat.NotebookNode, source: str, *, whole: bool = False) -> nbformat.NotebookNode:
    """The first code cell that has ``source`` in it, or is ``source``."""
    return next(
        c
        for c in content.cells
        if c.cell_type == "code" and (c.source == source if whole else source in c.source)
    )


def printed(cell: nbformat.NotebookNode) -> str:
    """What the cell wrote to stdout."""
    return "".join(out.text for out in cell.outputs if out.output_type == "stream" and out.name == "stdout")


def values(cell: nbformat.NotebookNode) -> list[str]:
    """What the cell showed as its last value."""
    return [out.data["text/plain"] for out in cell.outputs if out.output_type == "execute_result"]


def text(cell: nbformat.NotebookNode) -> str:
    """All that the cell shows, as plain text."""
    return printed(cell) + "\n".join(out.data.get("text/plain", "") for out in cell.outputs if "data" in out)


def same_files(one: Path, other: Path) -> list[str]:
    """The files that are not the same in two folders."""
    names = {
        str(path.relative_to(folder))
        for folder in (one, other)
        for path in folder.rglob("*")
        if path.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts)
    }
    return sorted(
        name
        for name in names
        if not (one / name).exists()
        or not (other / name).exists()
        or (one / name).read_bytes() != (other / name).read_bytes()
    )
