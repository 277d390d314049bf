"""Detached runs before they start: what is sealed, what is refused, what is said to be lost."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gpu_workbench.app.detached import (
    Package,
    ProjectFiles,
    as_job,
    check_size,
    not_kept,
    pack_cell,
    pack_script,
    project_files,
)
from gpu_workbench.app.sealing import FileToSeal
from gpu_workbench.app.shipping.names import analyse
from gpu_workbench.app.shipping.outgoing import Cargo, pack
from gpu_workbench.app.shipping.project import Project
from gpu_workbench.core.errors import ForgedValue, ShippingError, TooLarge, UsageError
from gpu_workbench.core.model import Kind, Workload
from gpu_workbench.core.sealed import SealedJob, load_job
from gpu_workbench.core.spec import RunSpec, WorkloadSpec

SPEC = WorkloadSpec(id="", name="")


def cargo_of(cell: str, **namespace: object) -> Cargo:
    return pack(
        analyse(cell),
        namespace={"__name__": "__main__", **namespace},
        workload=Workload(id=""),
        former={},
        only=None,
        limit=2**30,
    )


def opened(package: Package) -> SealedJob:
    files = package.sealed.files
    return load_job(package.sealed.run_key.encode(), files["job.json"], files["job.sig"].decode())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "train.py").write_text("print(1)")
    (folder / "data.csv").write_text("1,2")
    (folder / "secret.env").write_text("KEY=1")
    (folder / ".gitignore").write_text("*.env\n")
    subprocess.run(["git", "init", "-q", folder], check=True)
    monkeypatch.chdir(folder)
    return folder


def test_files_that_change_while_they_are_packed_are_looked_at_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a log or a database that somebody writes there."""
    read, left = Project.content, ["data.csv", "src/train.py"]

    def content(self: Project, wanted: str) -> bytes:
        if left:
            (project / left.pop()).unlink()
        return read(self, wanted)

    monkeypatch.setattr(Project, "content", content)
    assert sorted(project_files(project).files) == [".gitignore"]
    left += [f"{number}.txt" for number in range(20)]
    for name in left:
        (project / name).write_text(name)
    with pytest.raises(ShippingError, match="they change while they are being read"):
        project_files(project)


def test_a_cell_is_sealed_under_the_workloads_own_id() -> None:
    spec = as_job(SPEC)
    run = RunSpec(id=spec.id, cell="y = x + 1", out=("y",))
    package = pack_cell(spec, run, cargo_of("y = x + 1", x=41, unused=0), ProjectFiles({}))
    job = opened(package)
    assert (spec.kind, job.run) == (Kind.JOB, run)
    assert [(value.name, package.sealed.files[value.file]) for value in job.values] == [("x", b"41")]
    assert package.names == {"x": 2}
    assert package.title == spec.id


def test_what_was_sealed_is_opened_by_its_own_key_alone() -> None:
    spec = as_job(SPEC)
    packages = [pack_cell(spec, RunSpec(id=spec.id, cell="1"), Cargo(), ProjectFiles({})) for _ in range(2)]
    files = packages[0].sealed.files
    with pytest.raises(ForgedValue):
        load_job(packages[1].sealed.run_key.encode(), files["job.json"], files["job.sig"].decode())
    assert packages[0].sealed.run_key not in repr(packages[0])


def test_a_script_runs_in_its_place_of_the_project(project: Path) -> None:
    package = pack_script(as_job(SPEC), ("src/train.py", "--epochs", "3"), in_place=False)
    job = opened(package)
    assert job.script is not None
    assert job.script.argv == ("src/train.py", "--epochs", "3")
    assert sorted(job.files) == [".gitignore", "data.csv", "src/train.py"]


def test_a_script_from_elsewhere_brings_its_own_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    package = pack_script(as_job(SPEC), ("../project/src/train.py",), in_place=False)
    job = opened(package)
    assert job.script is not None
    assert (job.script.argv, sorted(job.files)) == (("train.py",), ["train.py"])


def test_a_script_on_this_machine_brings_nothing(project: Path) -> None:
    package = pack_script(as_job(SPEC), ("src/train.py",), in_place=True)
    assert (package.script, dict(opened(package).files)) == (("src/train.py",), {})


def test_a_script_that_would_not_travel_is_refused(project: Path) -> None:
    (project / ".gitignore").write_text("src/\n")
    with pytest.raises(UsageError, match=r"would not travel: it is ignored by \.gitignore"):
        pack_script(as_job(SPEC), ("src/train.py",), in_place=False)
    with pytest.raises(UsageError, match=r"There is no script nope\.py"):
        pack_script(as_job(SPEC), ("nope.py",), in_place=True)


def test_files_keep_whether_they_can_be_executed_and_links_become_files(project: Path) -> None:
    (project / "run.sh").write_text("true")
    (project / "run.sh").chmod(0o700)
    (project / "link.csv").symlink_to("data.csv")
    found = project_files(project)
    assert found.files["run.sh"] == FileToSeal(b"true", mode=0o755)
    assert found.files["link.csv"].content == b"1,2"
    assert "secret.env" not in found.files


def test_what_is_too_large_is_named_with_its_size() -> None:
    cargo = cargo_of("big, small", big=b"x" * 2_000_000, small=1)
    with pytest.raises(
        TooLarge, match=r"has 1\.9 MiB; .* 768 KiB can be sealed: largest are big 1\.9 MiB, small 1 B"
    ):
        check_size(cargo, ProjectFiles({}), limit=768 * 1024)
    check_size(cargo, ProjectFiles({}), limit=None)


@pytest.mark.parametrize(
    ("backend", "store", "said"),
    [("local", "", False), ("kubernetes", "s3://bucket", False), ("kubernetes", "", True)],
)
def test_what_cannot_be_kept_is_said_where_there_is_no_store(backend: str, store: str, said: bool) -> None:
    sentence = not_kept(WorkloadSpec(id="", store=store), backend=backend)
    assert bool(sentence) is said
    if said:
        assert sentence.startswith("No store: results are kept 2 min after the end")
