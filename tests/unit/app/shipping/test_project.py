"""The mirror of a project: what is in it, what is left out and why, and what a change sends."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gpu_workbench.app.shipping.project import Project, change, project_folder
from gpu_workbench.core.sealed import content_hash

OLD = 1_600_000_000_000_000_000


def write(path: Path, text: str = "x", *, when: int = OLD) -> Path:
    """A file, and the folders to it, that were last changed long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    settle(path.parent.parent, when)
    return path


def settle(folder: Path, when: int = OLD) -> None:
    for path in (folder, *folder.rglob("*")):
        os.utime(path, ns=(when, when), follow_symlinks=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    return folder


def paths(project: Project) -> set[str]:
    return set(project.scan().files)


def test_the_project_is_the_repository_around_the_notebook(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebooks = project / "a" / "b"
    notebooks.mkdir(parents=True)
    assert project_folder(notebooks) == project
    monkeypatch.setattr(Path, "home", lambda: project)
    assert project_folder(notebooks) == notebooks


def test_what_git_would_ignore_is_left_out_as_git_does(project: Path) -> None:
    files = {
        ".gitignore": "*.log\n/data/\n!keep.log\nbuild\n",
        "a.py": "",
        "a.log": "",
        "keep.log": "",
        "data/big.bin": "",
        "sub/data/small.bin": "",
        "sub/.gitignore": "!*.log\n*.tmp\n/only_here\n",
        "sub/b.log": "",
        "sub/b.tmp": "",
        "sub/only_here": "",
        "sub/deep/only_here": "",
        "sub/build/x.py": "",
        "mühe/ü.py": "",
    }
    for path, text in files.items():
        write(project / path, text)
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    listed = subprocess.run(
        ["git", "-C", str(project), "ls-files", "-z", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert paths(Project(project)) == set(listed.stdout.split("\0")) - {""}


def test_caches_environments_and_keys_are_never_sent(project: Path) -> None:
    for path in (
        "__pycache__/a.pyc",
        ".ipynb_checkpoints/n.ipynb",
        ".ssh/id_rsa",
        ".kube/config",
        "env/pyvenv.cfg",
    ):
        write(project / path)
    write(project / "env/lib/site.py")
    write(project / "kept.py")
    assert paths(Project(project)) == {"kept.py"}


def test_in_the_home_folder_nothing_hidden_is_sent(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: project)
    write(project / ".config/token")
    write(project / "n.py")
    assert paths(Project(project)) == {"n.py"}


def test_an_entry_says_content_mode_and_size(project: Path) -> None:
    script = write(project / "run.sh", "echo")
    script.chmod(0o755)
    write(project / "m.py", "abc")
    files = Project(project).scan().files
    assert (files["run.sh"].mode, files["m.py"].mode) == (0o100755, 0o100644)
    assert files["m.py"].hash == content_hash(b"abc")
    assert files["m.py"].size == 3


def test_only_changes_are_sent(project: Path) -> None:
    for name in ("same.py", "edited.py", "gone.py"):
        write(project / name)
    watched = Project(project)
    before = watched.scan().files
    assert not change(before, watched.scan().files)
    (project / "gone.py").unlink()
    (project / "edited.py").write_text("y")
    write(project / "new/mod.py", when=OLD + 1)
    found = change(before, watched.scan().files)
    assert set(found.files) == {"edited.py", "new/mod.py"}
    assert found.remove == ("gone.py",)
    assert watched.content(found.files["edited.py"].hash) == b"y"


def test_a_second_change_within_the_clocks_grain_shows(project: Path) -> None:
    path = project / "a.py"
    path.write_text("1")
    times = path.stat()
    watched = Project(project)
    first = watched.scan().files["a.py"]
    path.write_text("2")
    os.utime(path, ns=(times.st_mtime_ns, times.st_mtime_ns))
    assert watched.scan().files["a.py"] != first


def test_an_unchanged_file_is_not_read_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project / "a.py")
    watched = Project(project)
    before = watched.scan()
    monkeypatch.setattr(Project, "_read", lambda *args: pytest.fail("it was read again"))
    assert watched.scan() == before


@pytest.mark.parametrize("at", [".gitignore", "sub/.gitignore"])
def test_a_gitignore_that_appears_changes_or_goes_counts_at_once(project: Path, at: str) -> None:
    write(project / "sub/deep/a.dat")
    watched = Project(project)
    assert paths(watched) == {"sub/deep/a.dat"}
    rules = project / at
    for step, (text, found) in enumerate(
        [("*.dat", {at}), ("*.no", {at, "sub/deep/a.dat"}), ("*.dat", {at}), (None, {"sub/deep/a.dat"})]
    ):
        if text is None:
            rules.unlink()
        else:
            rules.write_text(text)
            os.utime(rules, ns=(OLD + step, OLD + step))
        if step in (0, 3):  # an edit does not touch the folder
            os.utime(rules.parent, ns=(OLD + step + 1, OLD + step + 1))
        else:
            os.utime(rules.parent, ns=(OLD + 1, OLD + 1))
        assert paths(watched) == found


def test_what_is_over_a_limit_is_said(project: Path) -> None:
    write(project / "big.bin", "b" * 2000)
    write(project / "a.py", "a" * 600)
    write(project / "sub/b.py", "b" * 600)
    mirror = Project(project, file_limit=1000, total_limit=1000).scan()
    assert set(mirror.files) == {"a.py"}
    assert {item.path: item.reason.partition(",")[0] for item in mirror.left_out} == {
        "big.bin": "0.001907 MiB",
        "sub/b.py": "over 0.0009537 MiB in total",
    }
    few = Project(project, count_limit=1).scan()
    assert len(few.files) == 1
    assert "over 1 files" in few.left_out[-1].reason


def test_links_inside_stay_links_and_others_are_left_out(project: Path, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere/secret", "s")
    write(project / "sub/real.py", "r")
    (project / "link.py").symlink_to("sub/real.py")
    (project / "sub/up.py").symlink_to("../link.py")
    (project / "absolute").symlink_to(tmp_path / "elsewhere/secret")
    (project / "outside").symlink_to("../elsewhere")
    os.mkfifo(project / "pipe")
    watched = Project(project)
    mirror = watched.scan()
    assert set(mirror.files) == {"sub/real.py", "link.py", "sub/up.py"}
    assert mirror.files["link.py"].mode == 0o120000
    assert watched.content(mirror.files["link.py"].hash) == b"sub/real.py"
    assert {item.path for item in mirror.left_out} == {"absolute", "outside"}


def test_packages_from_elsewhere_are_laid_beside(project: Path, tmp_path: Path) -> None:
    write(project / "a.py")
    write(tmp_path / "lib/src/mylib/core.py", "c")
    write(tmp_path / "lib/src/single.py", "s")
    outside = {"mylib": tmp_path / "lib/src/mylib", "single.py": tmp_path / "lib/src/single.py"}
    watched = Project(project, outside=outside)
    assert paths(watched) == {
        "a.py",
        ".gpu-workbench/path/mylib/core.py",
        ".gpu-workbench/path/single.py",
    }


def test_a_file_that_changes_while_it_is_sent_is_not_sent_as_another(project: Path) -> None:
    path = write(project / "a.py", "1")
    watched = Project(project)
    wanted = watched.scan().files["a.py"].hash
    path.write_text("2")
    with pytest.raises(FileNotFoundError, match="changed while"):
        watched.content(wanted)


def test_why_a_file_is_not_there_is_told(project: Path, tmp_path: Path) -> None:
    write(project / ".gitignore", "*.bin")
    write(project / "a.bin")
    write(project / "big.csv", "c" * 100)
    write(tmp_path / "other.csv")
    watched = Project(project, file_limit=50)
    mirror = watched.scan()
    assert watched.why_absent("nowhere.csv", mirror) == ""
    assert "ignored by .gitignore" in watched.why_absent("a.bin", mirror)
    assert "was left out" in watched.why_absent("big.csv", mirror)
    assert "outside the project folder" in watched.why_absent(str(tmp_path / "other.csv"), mirror)
