"""Starts an ipykernel whose output is lossless and whose variables can be reached through a socket.

Called by the agent as ``python agent.pyz kernel CONNECTION_FILE VALUES_SOCKET``.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

from gpu_workbench.agent.environment import AGENT_PID
from gpu_workbench.agent.inkernel import text_progress
from gpu_workbench.agent.inkernel.outputs import keep_every_message, stream_class
from gpu_workbench.agent.inkernel.packages import use_packages
from gpu_workbench.agent.inkernel.values import ValuesServer
from gpu_workbench.core.exits import Exit

_PR_SET_PDEATHSIG = 1


def main(connection_file: str, values_socket: str) -> None:
    """Run the kernel until it is told to stop."""
    end_with_the_agent()
    _look_like_a_user_process()
    try:
        from ipykernel.iostream import OutStream
        from ipykernel.kernelapp import IPKernelApp
    except ImportError as error:
        sys.stderr.write(f"ipykernel cannot be imported: {error}\n")
        raise SystemExit(int(Exit.NO_IPYKERNEL)) from None
    text_progress.install()
    app = _app_class(IPKernelApp)(connection_file=connection_file)
    app.outstream_class = _named_class(stream_class(OutStream))
    app.initialize([])
    app.shell.history_manager.enabled = False  # the notebook keeps it; here two cells may have one number
    use_packages()
    values = ValuesServer(Path(values_socket), app)
    values.start()
    app.start()


def _app_class(base: type) -> type:
    class SessionKernelApp(base):  # type: ignore[misc]
        def _bind_socket(self, s: Any, port: int) -> Any:
            if s.getsockopt(_zmq().TYPE) in (_zmq().PUB, _zmq().XPUB):
                keep_every_message(s)
            return super()._bind_socket(s, port)

        def log_connection_info(self) -> None:
            """Say nothing: nobody else is to connect."""

        def init_path(self) -> None:
            super().init_path()
            archive = sys.argv[0]
            sys.path[:] = [entry for entry in sys.path if entry != archive]
            if "" not in sys.path:
                sys.path.insert(0, "")
            sys.path.append(archive)

    return SessionKernelApp


def _zmq() -> Any:
    import zmq

    return zmq


def _named_class(cls: type) -> str:
    """A dotted name under which ipykernel can import ``cls``: its setting takes no class."""
    setattr(sys.modules[__name__], cls.__name__, cls)
    return f"{__name__}.{cls.__name__}"


def end_with_the_agent() -> None:
    """Die when the agent dies; what nobody can reach must not hold GPUs. It may have died before we could ask for that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    agent = os.environ.pop(AGENT_PID, "")
    if agent and os.getppid() != int(agent):
        os._exit(1)


def _look_like_a_user_process() -> None:
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    os.environ.pop("JPY_PARENT_PID", None)
