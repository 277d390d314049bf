"""The environment of the payload: the container's own, with writable homes for everything that wants one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gpu_workbench.agent.ranks import RANK, Place

AGENT_PID = "GPU_WORKBENCH_AGENT_PID"
"""Environment variable with the agent's process id, for its children's first moments only."""

DASK_SOCKET = "GPU_WORKBENCH_DASK_SOCKET"
"""Environment variable with the path on which a wrapped Dask scheduler finds its agent."""

_OURS = ("GPU_WORKBENCH_TOKEN",)


def payload_environment(
    *, workload: str, state: Path, place: Place, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Environment variables for user code.

    Args:
        workload: The workload's id.
        state: The agent's folder, which exists.
        place: The rank they are for.
        base: What to start from; this process's own environment by default.
    """
    env = {key: value for key, value in (os.environ if base is None else base).items() if key not in _OURS}
    env.pop(RANK, None)
    env.update(place.payload_environment(env))
    env["GPU_WORKBENCH_WORKLOAD"] = workload
    env[AGENT_PID] = str(os.getpid())
    env["GPU_WORKBENCH_PACKAGES"] = str(state / "packages")
    env.setdefault("PYTHONUNBUFFERED", "1")
    if not _writable_home(env.get("HOME", "")):
        home = state / "home"
        home.mkdir(mode=0o700, exist_ok=True)
        env["HOME"] = str(home)
    scratch = state / "scratch"
    scratch.mkdir(mode=0o700, exist_ok=True)
    env["IPYTHONDIR"] = str(scratch / "ipython")
    env["JUPYTER_RUNTIME_DIR"] = str(scratch / "runtime")
    env.setdefault("USER", "user")  # getpass.getuser() fails for an unknown user id without it
    return env


def _writable_home(home: str) -> bool:
    return bool(home) and os.access(home, os.W_OK)
