"""The end of every process of the user's is the agent's end: what nobody can reach must not hold GPUs."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from gpu_workbench.agent.environment import AGENT_PID

_PR_SET_PDEATHSIG = 1


def end_with_the_agent() -> None:
    """Die when the agent dies. It may have died before we could ask for that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    agent = os.environ.pop(AGENT_PID, "")
    if agent and os.getppid() != int(agent):
        os._exit(1)


def become(command: list[str]) -> None:
    """Turn this process into the script's, which dies when the agent does."""
    end_with_the_agent()
    os.execvp(command[0], command)
