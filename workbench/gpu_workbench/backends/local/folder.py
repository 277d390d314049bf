"""What is known of a local workload, on disk: one private folder each, so that any process of the user finds it again.

::

    <state>/local/<id>/
        workload.json     the spec and when it was started
        agent.json        what the agent was told
        token, run.key    secrets, mode 0600
        process.json      the agent's process: pid and start time, so that a reused pid is never taken for it
        waiting           why it is queued; present while it waits for a GPU
        record.json       the agent's terminal record
        agent.log         what the agent itself had to say
        sealed/  results/  state/
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import tempfile
from pathlib import Path

from gpu_workbench.backends.local.process import ProcessMark
from gpu_workbench.core.errors import PermissionDenied, ProtocolError
from gpu_workbench.core.spec import Handle, WorkloadSpec
from gpu_workbench.core.wire import JsonObject, decode, encode

SOCKET_PATH_LIMIT = 100
"""Characters of a Unix socket's path that every system takes."""


class WorkloadFolder:
    """The folder of one workload."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, spec: WorkloadSpec, *, started: float) -> bool:
        """Make the folder with its spec; ``False`` where it was there already. Whole or not at all."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".new-", dir=self.path.parent))
        (building / "workload.json").write_text(json.dumps({"spec": encode(spec), "started": started}))
        try:
            building.rename(self.path)
        except OSError:
            shutil.rmtree(building, ignore_errors=True)
            return False
        return True

    def handle(self) -> Handle | None:
        """The workload; ``None`` where the folder is not one."""
        form = self.read("workload.json")
        if form is None or not isinstance(form.get("spec"), dict):
            return None
        with contextlib.suppress(ProtocolError):
            spec = decode(WorkloadSpec, form["spec"])  # type: ignore[arg-type]
            started = form.get("started")
            return Handle(
                spec=spec,
                backend="local",
                started=started if isinstance(started, float) else 0.0,
                address={"folder": str(self.path)},
                ended=self.ended,
            )
        return None

    def read(self, name: str) -> JsonObject | None:
        """One of its JSON files; ``None`` while it is not there or not whole."""
        try:
            form = json.loads((self.path / name).read_text())
        except (OSError, ValueError):
            return None
        return form if isinstance(form, dict) else None

    def write_secret(self, name: str, content: str) -> Path:
        """A file for this user alone; kept if it is there already."""
        path = self.path / name
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(content)
        return path

    def replace(self, name: str, form: JsonObject) -> None:
        """Write a JSON file by renaming."""
        temporary = self.path / f".{name}.{os.getpid()}"
        temporary.write_text(json.dumps(form))
        temporary.replace(self.path / name)

    def claim(self) -> bool:
        """Whether the caller is the one who is to start the agent: true once."""
        try:
            os.close(os.open(self.path / "claimed", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return False
        return True

    @property
    def process(self) -> ProcessMark | None:
        """The agent's process as it was noted at its start."""
        form = self.read("process.json") or {}
        pid, started = form.get("pid"), form.get("started")
        if not isinstance(pid, int) or not isinstance(started, str):
            return None
        return ProcessMark(pid, started)

    @property
    def ended(self) -> bool:
        """Whether its agent was started and is gone."""
        mark = self.process
        return mark is not None and not mark.alive

    @property
    def socket(self) -> Path:
        """Where the agent listens: in the folder, or in a short private one where the path would be too long."""
        inside = self.path / "agent.sock"
        if len(str(inside)) <= SOCKET_PATH_LIMIT:
            return inside
        return Path(tempfile.gettempdir()) / f"gwb-{os.getuid()}-{self.path.name}" / "agent.sock"

    def check_private(self) -> None:
        """See that nobody else could have put a socket of theirs where the agent's is.

        Raises:
            PermissionDenied: somebody could.
        """
        place = self.socket.parent
        found = place.lstat()
        private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
        if found.st_uid != os.getuid() or not private:
            raise PermissionDenied(
                f"Nobody is spoken to in {place}",
                why="it is not a folder of yours alone, so that somebody else could answer in the agent's place",
                fix="Remove it, or set state-dir to a folder of yours",
            )

    @property
    def waiting(self) -> str:
        """Why it waits for a GPU, as a sentence; empty while it does not."""
        try:
            return (self.path / "waiting").read_text()
        except OSError:
            return ""

    def remove(self) -> None:
        """Remove it with all that is in it."""
        if self.socket.parent != self.path:
            shutil.rmtree(self.socket.parent, ignore_errors=True)
        shutil.rmtree(self.path, ignore_errors=True)
