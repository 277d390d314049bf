"""Detached runs: all that a cell or a script needs is packed and sealed here, before anything is started."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from gpu_workbench.app.files import ATTEMPTS, unsteady
from gpu_workbench.app.sealing import FileToSeal, seal
from gpu_workbench.app.sessions import new_id
from gpu_workbench.app.shipping.outgoing import Cargo
from gpu_workbench.app.shipping.project import LeftOut, Project, project_folder
from gpu_workbench.backends.protocol import Sealed
from gpu_workbench.core.agent_config import AgentConfig
from gpu_workbench.core.errors import TooLarge, UsageError
from gpu_workbench.core.model import Kind
from gpu_workbench.core.quantities import show_bytes
from gpu_workbench.core.sealed import KEY_SIZE
from gpu_workbench.core.spec import RunSpec, WorkloadSpec

RESULT = "_gwb_result"
"""The name under which the value of a function that was run comes back."""

_SMALLER_VALUES = (
    "Set `store` in the profile, read large data from a volume (--volume), or name what it needs with --in"
)
_SMALLER_PROJECT = "Set `store` in the profile, or list in .gitignore what the project's code does not need"


@dataclass(frozen=True)
class ProjectFiles:
    """The files that travel with a run: path within its working directory to content, and what was left out and why."""

    files: Mapping[str, FileToSeal]
    left_out: tuple[LeftOut, ...] = ()

    def __str__(self) -> str:
        return f"{len(self.files)} file{'' if len(self.files) == 1 else 's'}"

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(len(file.content) for file in self.files.values())


@dataclass(frozen=True)
class Package:
    """A run, sealed and ready to be started. Nothing has been started.

    Args:
        spec: The workload it will be.
        run: What runs in it, under the workload's own id; of a script only its id and name count.
        sealed: Everything it needs, signed.
        names: The variables inside, with their sizes in bytes.
        script: The script and its arguments, where it is one.
    """

    spec: WorkloadSpec
    run: RunSpec
    sealed: Sealed
    names: Mapping[str, int]
    project: ProjectFiles
    script: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What people call it: its name, else its id."""
        return self.spec.name or self.spec.id


def as_job(spec: WorkloadSpec) -> WorkloadSpec:
    """``spec`` as that of a detached run, with an id of its own. Its one run goes by the same id."""
    return replace(spec, id=spec.id or new_id(), kind=Kind.JOB)


def pack_cell(spec: WorkloadSpec, run: RunSpec, cargo: Cargo, project: ProjectFiles) -> Package:
    """Seal a cell.

    Args:
        spec: What :func:`as_job` gave.
        run: The cell, under the same id.
        cargo: The values it needs.
        project: The files that lie beside it.
    """
    values = [(parcel.name, parcel.encoded) for parcel in cargo.parcels]
    key = secrets.token_hex(KEY_SIZE)
    files = seal(run, values, project.files, key=key.encode())
    return Package(
        spec=spec,
        run=run,
        sealed=Sealed(files=files, run_key=key),
        names={name: encoded.length for name, encoded in values},
        project=project,
    )


def pack_script(spec: WorkloadSpec, argv: tuple[str, ...], *, in_place: bool) -> Package:
    """Seal a script.

    Args:
        spec: What :func:`as_job` gave.
        argv: The script's path and what follows it.
        in_place: Run it where it lies, in this process's working directory. Otherwise the project it is in travels with it,
            and it runs in the same place of that.

    Raises:
        UsageError: there is no such script, or it would not travel.
    """
    script = Path(argv[0])
    if not script.is_file():
        raise UsageError(f"There is no script {argv[0]}", why=f"looked for it in {Path.cwd()}")
    project = ProjectFiles({})
    if not in_place:
        folder = project_folder(Path.cwd())
        if not script.resolve().is_relative_to(
            folder
        ):  # a script from elsewhere: its own folder is all there is
            folder, spec, argv = script.resolve().parent, replace(spec, work_dir=""), (script.name, *argv[1:])
        project = project_files(folder)
        path = script.resolve().relative_to(folder).as_posix()
        if path not in project.files:
            raise UsageError(f"{argv[0]} would not travel", why=_why_absent(path, project))
    run = RunSpec(id=spec.id, cell="", name=spec.name, notebook=spec.notebook)
    key = secrets.token_hex(KEY_SIZE)
    files = seal(run, (), project.files, key=key.encode(), script=argv)
    return Package(
        spec=spec,
        run=run,
        sealed=Sealed(files=files, run_key=key),
        names={},
        project=project,
        script=argv,
    )


def _why_absent(name: str, project: ProjectFiles) -> str:
    left = {item.path: item.reason for item in project.left_out}
    return f"it was left out: {left[name]}" if name in left else "it is ignored by .gitignore"


def project_files(folder: Path) -> ProjectFiles:
    """The project's files under ``folder``, as they are now; a link within it becomes the file it points to.

    Raises:
        ShippingError: files change faster than they can be read.
    """
    project = Project(folder.resolve())
    for _ in range(ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):  # one changed since: look again
            return _files_now(project)
    raise unsteady(project.folder)


def _files_now(project: Project) -> ProjectFiles:
    mirror = project.scan()
    files = {}
    for path, entry in mirror.files.items():
        content = project.content(entry.hash)
        if entry.mode & 0o170000 == 0o120000:
            target = project.folder / PurePosixPath(path)
            if not target.is_file():
                continue
            content = target.read_bytes()
        files[path] = FileToSeal(content, mode=0o755 if entry.mode & 0o111 else 0o644)
    return ProjectFiles(files, mirror.left_out)


def not_kept(spec: WorkloadSpec, *, backend: str) -> str:
    """What of the run is lost after its end, as a sentence to be said before it starts; empty where all is kept."""
    if backend == "local" or spec.store:
        return ""
    return (
        f"No store: results are kept {AgentConfig.linger / 60:g} min after the end, and the output as long as its pod. "
        "Set `store` in the profile to keep both"
    )


def check_size(cargo: Cargo, project: ProjectFiles, *, limit: int | None) -> None:
    """Refuse early, before anything is copied, what the backend cannot hold.

    Args:
        limit: Bytes that it takes; ``None`` for any.

    Raises:
        TooLarge: with the largest parts by name and size.
    """
    size = cargo.size + project.size
    if limit is None or size <= limit:
        return
    parts = [(parcel.name, parcel.encoded.length) for parcel in cargo.parcels]
    if project.files:
        parts.append((f"{project} of the project", project.size))
    largest = sorted(parts, key=lambda part: part[1], reverse=True)[:3]
    shown = ", ".join(f"{name} {show_bytes(length)}" for name, length in largest)
    raise TooLarge(
        f"The detached run has {show_bytes(size)}; without a store {show_bytes(limit)} can be sealed",
        why=f"largest are {shown}",
        fix=_SMALLER_PROJECT if project.size > cargo.size else _SMALLER_VALUES,
    )
