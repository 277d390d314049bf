"""A worker's container becomes Dask's own worker; the user's preloads stay; without Dask that is said."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask.config
import pytest
from distributed import Scheduler
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.agent.indask import launch
from gpu_workbench.agent.indask.launch import become_worker, with_preload
from gpu_workbench.agent.indask.worker import ARCHIVE
from gpu_workbench.core.explain import explain
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Cause, Failure, Kind, Phase
from gpu_workbench.core.spec import DaskCluster, WorkloadSpec
from gpu_workbench.core.wire import decode
from tests.unit.agent.harness import archive_file, eventually

WORKER = "DASK_DISTRIBUTED__WORKER__PRELOAD"


def loaded(environment: dict[str, str]) -> list[str]:
    """What Dask would preload in a worker with that environment."""
    found = dask.config.collect_env(environment)["distributed"]["worker"]["preload"]
    return [found] if isinstance(found, str) else [*found]


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        ({}, []),
        ({WORKER: ""}, []),
        ({WORKER: "my.module"}, ["my.module"]),
        ({WORKER: "/home/me/setup.py"}, ["/home/me/setup.py"]),
        ({WORKER: "['a.b', '/c d.py']"}, ["a.b", "/c d.py"]),
        ({WORKER: "('a.b',)"}, ["a.b"]),
    ],
)
def test_the_users_own_preloads_stay_and_ours_comes_last(
    tmp_path: Path, before: dict[str, str], kept: list[str]
) -> None:
    made = with_preload("worker", folder=tmp_path / "new", environment=before)
    assert set(made) == {WORKER}
    *first, ours = loaded({**before, **made})
    assert first == kept
    assert Path(ours).parent == tmp_path / "new"


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1), max_size=3))
def test_any_list_that_dask_reads_is_kept(paths: list[str]) -> None:
    assert launch._list(repr(paths)) == paths


@given(st.text())
def test_whatever_stands_there_is_no_error(text: str) -> None:
    assert isinstance(launch._list(text), list)


@pytest.mark.parametrize(
    ("name", "hook"), [("scheduler", "async def dask_setup"), ("worker", "def dask_setup")]
)
def test_a_preload_stands_for_itself_in_any_image(tmp_path: Path, name: str, hook: str) -> None:
    """It is a file that imports nothing of ours, which is nowhere installed there."""
    made = with_preload(name, folder=tmp_path, environment={})
    (path,) = ast.literal_eval(made[f"DASK_DISTRIBUTED__{name.upper()}__PRELOAD"])
    source = Path(path).read_text()
    assert hook in source
    imported = [
        (node.module if isinstance(node, ast.ImportFrom) else alias.name) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    assert not [module for module in imported if module.startswith("gpu_workbench")]


# --- What a container becomes


class Becomes(Exception):
    """In place of another program: what that would have been."""


@contextmanager
def container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *modules: str) -> Iterator[None]:
    """As in an image with these modules, up to the moment in which another program begins."""

    def become(path: str, words: list[str]) -> None:
        raise Becomes(path, words)

    found = importlib.util.find_spec

    def find(name: str, *rest: Any) -> object:
        return name in modules or None if name in ("distributed", "dask_cuda") else found(name, *rest)

    monkeypatch.setattr(os, "execv", become)
    monkeypatch.setattr(importlib.util, "find_spec", find)
    monkeypatch.setattr(launch, "_TERMINATION_LOG", tmp_path / "termination-log")
    monkeypatch.setattr(sys, "path", ["/a.pyz", *sys.path])
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv(WORKER, "my.module")
    monkeypatch.setenv(ARCHIVE, "")
    yield


WORDS = ["tls://s:8786", "--name", "w", "--nthreads", "1"]


@pytest.mark.parametrize(
    ("modules", "words", "expected"),
    [
        (("distributed",), WORDS, ["distributed.cli.dask_worker", *WORDS]),
        (("distributed",), ["--cuda", *WORDS], ["distributed.cli.dask_worker", *WORDS]),
        (("distributed", "dask_cuda"), WORDS, ["distributed.cli.dask_worker", *WORDS]),
        (("distributed", "dask_cuda"), ["--cuda", *WORDS], ["dask", "cuda", "worker", *WORDS]),
        (
            ("distributed", "dask_cuda"),
            ["--cuda", *WORDS, "--no-nanny"],
            ["dask", "cuda", "worker", *WORDS],
        ),
    ],
)
def test_it_becomes_dasks_worker_or_dask_cudas_where_there_are_gpus(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    modules: tuple[str, ...],
    words: list[str],
    expected: list[str],
) -> None:
    with container(monkeypatch, tmp_path, *modules):
        with pytest.raises(Becomes) as caught:
            become_worker(words, archive="/a.pyz")
        preloads = [
            "--preload",
            "my.module",
            "--preload",
            str(tmp_path / "gpu-workbench/gpu_workbench_worker.py"),
        ]
        program, line = caught.value.args
        assert program == sys.executable
        assert line == [sys.executable, "-m", *expected, *(preloads if "cuda" in expected else [])]
        assert "/a.pyz" not in sys.path, "what it imports is the image's"
        assert os.environ[ARCHIVE] == "/a.pyz"
        assert loaded({WORKER: os.environ[WORKER]}) == preloads[1::2]
        assert Path(preloads[-1]).is_file()


def test_without_dask_the_container_leaves_word_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with container(monkeypatch, tmp_path):
        assert become_worker(["--cuda", *WORDS], archive="/a.pyz") == 68
    assert "This image has no Dask" in capsys.readouterr().err
    record = json.loads((tmp_path / "termination-log").read_text())
    failure = decode(Failure, record["failure"])
    assert (failure.cause, failure.exit_code) == (Cause.NOT_STARTED, 68)
    spec = WorkloadSpec(id="0123456789ab", kind=Kind.DASK, image="worker:1", dask=DaskCluster())
    told = explain(Facts(phase=Phase.STARTING, record=record), spec=spec)
    assert told is not None
    assert told.code == "image-without-dask"


def test_where_no_word_can_be_left_the_exit_code_is_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with container(monkeypatch, tmp_path):
        monkeypatch.setattr(launch, "_TERMINATION_LOG", tmp_path / "nosuch" / "file")
        assert become_worker(WORDS, archive="/a.pyz") == 68


def test_dask_finds_the_command_of_dask_cuda_by_its_entry_point(tmp_path: Path) -> None:
    """With the real archive and the real Dask; SIMULATED: a package that is installed as dask-cuda is."""
    (tmp_path / "dask_cuda").mkdir()
    (tmp_path / "dask_cuda/__init__.py").touch()
    (tmp_path / "dask_cuda/cli.py").write_text(
        "import click\n\n@click.group\ndef cuda(): ...\n\n@cuda.command(context_settings={'ignore_unknown_options': True})\n"
        "@click.argument('words', nargs=-1, type=click.UNPROCESSED)\ndef worker(words): print(*words)\n"
    )
    metadata = tmp_path / "dask_cuda-26.10.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: dask-cuda\nVersion: 26.10\n")
    (metadata / "entry_points.txt").write_text("[dask_cli]\ncuda = dask_cuda.cli:cuda\n")
    done = subprocess.run(
        [sys.executable, archive_file(), "dask-worker", "--cuda", "tls://s:8786"],
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    ours = tmp_path / "gpu-workbench/gpu_workbench_worker.py"
    assert done.stdout == f"tls://s:8786 --preload {ours}\n", done.stderr


async def test_the_archive_becomes_a_worker_that_tells_what_it_measures(tmp_path: Path) -> None:
    """With the real archive, scheduler and worker."""
    async with Scheduler(
        host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0"
    ) as scheduler:
        words: list[Any] = ["dask-worker", "--cuda", scheduler.address, "--name", "w", "--no-dashboard"]
        words += ["--nthreads", "1", "--local-directory", tmp_path / "spill"]
        process = subprocess.Popen(
            [sys.executable, archive_file(), *map(str, words)],
            env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": ""},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            await eventually(
                lambda: any("gpu_workbench" in worker.metrics for worker in scheduler.workers.values())
            )
            (worker,) = scheduler.workers.values()
            assert (worker.name, worker.nthreads) == ("w", 1)
        finally:
            process.terminate()
            process.wait(30)
