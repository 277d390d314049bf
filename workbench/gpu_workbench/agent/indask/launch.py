"""``agent.pyz dask-worker ARGUMENTS``: a worker's container becomes Dask's own worker, with our preload in it.

The agent does not stay: what it would measure from outside, the preload measures from within, and a process more in each
pod would cost every worker a quarter of a second at its start.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import os
import pkgutil
import sys
from collections.abc import Mapping
from pathlib import Path

from gpu_workbench.agent.indask.worker import ARCHIVE
from gpu_workbench.core.exits import Exit

_TERMINATION_LOG = Path("/dev/termination-log")


def with_preload(name: str, *, folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment variable that has Dask load our preload, after those that the user's environment names.

    It is laid out as a file, for the agent is an archive, and Dask takes files.

    Args:
        name: ``scheduler`` or ``worker``.
        folder: Where.
        environment: The environment as it is.
    """
    source = pkgutil.get_data("gpu_workbench.agent.indask", f"{name}.py")
    assert source is not None
    path = folder / f"gpu_workbench_{name}.py"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source)
    variable = f"DASK_DISTRIBUTED__{name.upper()}__PRELOAD"
    return {variable: repr([*_list(environment.get(variable, "")), str(path)])}


def scheduler_environment(*, state: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a scheduler, and of the workers that it may have on this machine, with our preloads.

    Args:
        state: The agent's folder.
        environment: The environment as it is.
    """
    preloads = [
        with_preload(name, folder=state / "dask", environment=environment) for name in ("scheduler", "worker")
    ]
    return {**environment, **preloads[0], **preloads[1]}


def _list(text: str) -> list[object]:
    """A list as Dask's configuration reads it from an environment variable; one word is a list of one."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        found = text
    return [*found] if isinstance(found, list | tuple) else [found] if found else []


def become_worker(arguments: list[str], *, archive: str) -> int:
    """Turn this process into Dask's worker; returns only where there is no Dask.

    Args:
        arguments: What ``dask worker`` is told; ``--cuda`` first asks for dask-cuda's worker where the image has it.
        archive: Path of the agent's archive.
    """
    sys.path[:] = [path for path in sys.path if path != archive]
    if importlib.util.find_spec("distributed") is None:
        _leave_word()
        return Exit.NO_DASK
    folder = Path(os.environ.get("TMPDIR", "/tmp"), "gpu-workbench")  # noqa: S108 - the pod's own
    preload = with_preload("worker", folder=folder, environment=os.environ)
    os.environ.update({ARCHIVE: archive, **preload})
    command = ["distributed.cli.dask_worker"]
    if arguments[:1] == ["--cuda"]:
        arguments = arguments[1:]
        if importlib.util.find_spec("dask_cuda") is not None:
            command = ["dask", "cuda", "worker"]
            arguments = _for_cuda(arguments, *preload.values())
    os.execv(sys.executable, [sys.executable, "-m", *command, *arguments])


def _for_cuda(arguments: list[str], preload: str) -> list[str]:
    """The same for dask-cuda's worker: it always has a nanny, and a preload of its own in place of the configuration's."""
    known = [word for word in arguments if word not in ("--nanny", "--no-nanny")]
    return [*known, *(word for path in _list(preload) for word in ("--preload", str(path)))]


def _leave_word() -> None:
    """Say why in the container's termination message, in the form of an agent's record."""
    what = "This image has no Dask: add `distributed` to the image, or choose another one with --image"
    failure = {"cause": "not-started", "what": what, "exit_code": int(Exit.NO_DASK)}
    record = {"version": 1, "outcome": "Failed", "exit_code": int(Exit.NO_DASK), "failure": failure}
    sys.stderr.write(what + "\n")
    with contextlib.suppress(OSError):
        _TERMINATION_LOG.write_text(json.dumps(record))
