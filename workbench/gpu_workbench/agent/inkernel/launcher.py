"""Starts an ipykernel whose output is lossless and whose variables can be reached through a socket.

Called by the agent as ``python agent.pyz kernel CONNECTION_FILE VALUES_SOCKET``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from gpu_workbench.agent.inkernel import dask_client, text_progress
from gpu_workbench.agent.inkernel.become import end_with_the_agent
from gpu_workbench.agent.inkernel.cells import kernel_class
from gpu_workbench.agent.inkernel.outputs import keep_every_message, stream_class
from gpu_workbench.agent.inkernel.packages import use_packages
from gpu_workbench.agent.inkernel.values import ValuesServer
from gpu_workbench.core.exits import Exit


def main(connection_file: str, values_socket: str) -> None:
    """Run the kernel until it is told to stop."""
    end_with_the_agent()
    os.environ.pop("JPY_PARENT_PID", None)  # of the notebook's own kernel, which this one is not
    sys.modules["debugpy"] = None  # type: ignore[assignment] # a quarter of a kernel's start, for a front end it has not
    try:
        from ipykernel.iostream import OutStream
        from ipykernel.ipkernel import IPythonKernel
        from ipykernel.kernelapp import IPKernelApp
    except ImportError as error:
        sys.stderr.write(f"ipykernel cannot be imported: {error}\n")
        raise SystemExit(int(Exit.NO_IPYKERNEL)) from None
    text_progress.install()
    app = _app_class(IPKernelApp)(connection_file=connection_file)
    app.outstream_class = _named_class(stream_class(OutStream))
    app.kernel_class = kernel_class(IPythonKernel)
    app.initialize([])
    del sys.modules["debugpy"]  # the user's own code may have it
    app.shell.history_manager.enabled = False  # the notebook keeps it; here two cells may have one number
    use_packages()
    dask_client.install(app.shell)
    ValuesServer(Path(values_socket), shell=app.shell, names=app.kernel.names).start()
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
