"""The agent's entry: ``python agent.pyz --config FILE``.

``python agent.pyz kernel …`` and ``… become …`` are the kernel and the script it starts. Each of them imports what it needs
and no more, and a session's kernel or a Dask scheduler is under way before the agent itself is imported: it takes longest.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu_workbench.agent.ranks import Place

if TYPE_CHECKING:
    from gpu_workbench.agent.launch import LaunchedKernel, LaunchedScheduler


def main(arguments: list[str]) -> int:
    """Run what the arguments say; returns the exit code."""
    if len(arguments) == 3 and arguments[0] == "kernel":
        from gpu_workbench.agent.inkernel.launcher import main as kernel

        kernel(arguments[1], arguments[2])
        return 0
    if len(arguments) > 1 and arguments[0] == "become":
        from gpu_workbench.agent.inkernel.become import become

        become(arguments[1:])
    if arguments[:1] == ["dask-worker"]:
        from gpu_workbench.agent.indask.launch import become_worker

        return become_worker(arguments[1:], archive=sys.argv[0])
    if len(arguments) == 2 and arguments[0] == "--config":
        return _agent(Path(arguments[1]))
    sys.stderr.write("usage: agent.pyz --config FILE\n")
    return 2


def _agent(path: Path) -> int:
    """Make the folders, private from the first moment on, and serve the workload until it ends."""
    form = json.loads(path.read_text())
    place = Place(form, os.environ)
    form = place.config(form)
    os.umask(0o077)
    Path(form["state_dir"]).mkdir(mode=0o700, parents=True, exist_ok=True)
    Path(form["work_dir"]).mkdir(parents=True, exist_ok=True)
    from gpu_workbench.agent.listening import listen

    command = own_command()
    if form.get("python"):
        command[0] = form["python"]
    listener = listen(form.get("listen", {}))
    machine = dict(os.environ)
    os.environ.update(place.own_devices(machine))
    launched = _launch(form, command, place)
    others = [_start_other(path, place.environment_of(rank, machine)) for rank in place.others]
    from gpu_workbench.agent.serving import serve

    return serve(
        json.dumps(form), command=command, place=place, listener=listener, launched=launched, others=others
    )


def _start_other(path: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """The agent of another rank of this machine; what it prints is printed here."""
    return subprocess.Popen(
        [*own_command(), "--config", str(path)],
        stdin=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )


def _launch(
    form: dict[str, Any], command: list[str], place: Place
) -> LaunchedKernel | LaunchedScheduler | None:
    kind = form.get("kind", "session")
    if kind not in ("session", "dask"):
        return None
    from gpu_workbench.agent.environment import payload_environment
    from gpu_workbench.agent.launch import launch_kernel, launch_scheduler, payload_folder

    state, work_dir = Path(form["state_dir"]), Path(form["work_dir"])
    with contextlib.suppress(OSError):  # it is tried again where it can be told of
        folder = payload_folder(state)
        env = payload_environment(workload=form["workload"], state=state, place=place)
        if kind == "session":
            return launch_kernel(command, folder=folder, work_dir=work_dir, env=env)
        from gpu_workbench.agent.indask.launch import scheduler_environment

        return launch_scheduler(
            [*command, "become", command[0], *form["wrapped"]],
            folder=folder,
            work_dir=work_dir,
            env=scheduler_environment(state=state, environment=env),
        )
    return None


def own_command() -> list[str]:
    """How this very agent was started: interpreter and archive, or interpreter and module."""
    archive = Path(sys.argv[0])
    if archive.suffix == ".pyz":
        return [sys.executable, str(archive)]
    return [sys.executable, "-m", "gpu_workbench.agent"]
