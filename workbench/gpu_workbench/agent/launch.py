"""Starts the payload's process. Imports next to nothing: it takes longest to come up, so the agent starts it first."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gpu_workbench.agent.environment import DASK_SOCKET

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")

_SOCKET_PATH = 90
"""Characters a kernel's folder may have: a Unix socket's path has 107 at most."""


class LaunchedKernel:
    """A kernel's process and where it will be found.

    Args:
        process: The process, in a session of its own.
        folder: Its folder.
        connection: Its connection file.
        values: Where its values socket will be.
        tail: The reading end of the pipe that it writes to outside of its channels.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], *, folder: Path, connection: Path, values: Path, tail: int
    ) -> None:
        self.process = process
        self.folder = folder
        self.connection = connection
        self.values = values
        self.tail = tail


class LaunchedScheduler:
    """A Dask scheduler's process, in a session of its own, and the ways to it.

    Args:
        process: The process.
        folder: Its folder.
        listener: Where its preload will connect.
        orders: The writing end of its standard input.
        output: The reading end of the pipe that it prints to.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        *,
        folder: Path,
        listener: socket.socket,
        orders: int,
        output: int,
    ) -> None:
        self.process = process
        self.folder = folder
        self.listener = listener
        self.orders = orders
        self.output = output


def launch_kernel(
    command: list[str], *, folder: Path, work_dir: Path, env: Mapping[str, str]
) -> LaunchedKernel:
    """Start a kernel and return at once.

    Args:
        command: The interpreter and the agent's archive or module.
        folder: Private folder for its connection file and sockets; one kernel at a time.
        work_dir: Its working directory.
        env: Its environment.

    Raises:
        OSError: there is no such interpreter.
    """
    values = folder / "values"
    for left in (*folder.glob("k-*"), values):
        left.unlink(missing_ok=True)
    connection = _write_connection(folder)
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            [*command, "kernel", str(connection), str(values)],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.STDOUT,
            cwd=work_dir,
            env=env,
            start_new_session=True,
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return LaunchedKernel(process, folder=folder, connection=connection, values=values, tail=reading)


def launch_scheduler(
    command: list[str], *, folder: Path, work_dir: Path, env: Mapping[str, str]
) -> LaunchedScheduler:
    """Start a Dask scheduler and return at once.

    Args:
        command: The interpreter, and what follows it.
        folder: Private folder for the socket on which its preload speaks; one scheduler at a time.
        work_dir: Its working directory.
        env: Its environment, with our preload in it.

    Raises:
        OSError: there is no such interpreter.
    """
    path = folder / "dask"
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    reading, writing = os.pipe()
    told, orders = os.pipe()
    try:
        listener.bind(str(path))
        listener.listen()  # it may speak before anybody here listens
        process = subprocess.Popen(
            command,
            stdin=told,
            stdout=writing,
            stderr=subprocess.STDOUT,
            cwd=work_dir,
            env={**env, DASK_SOCKET: str(path)},
            start_new_session=True,
        )
    except BaseException:
        listener.close()
        os.close(reading)
        os.close(orders)
        raise
    finally:
        os.close(writing)
        os.close(told)
    return LaunchedScheduler(process, folder=folder, listener=listener, orders=orders, output=reading)


def payload_folder(state: Path) -> Path:
    """A private folder for the payload's sockets, short enough for their paths."""
    inside = state / "k"
    if len(str(inside)) > _SOCKET_PATH:
        return Path(tempfile.mkdtemp(prefix="gwb-"))
    inside.mkdir(mode=0o700, exist_ok=True)
    return inside


def _write_connection(folder: Path) -> Path:
    path = folder / "connection.json"
    info: dict[str, object] = {
        "transport": "ipc",
        "ip": str(folder / "k"),
        "key": secrets.token_hex(32),
        "signature_scheme": "hmac-sha256",
        "kernel_name": "",
    }
    info.update({f"{name}_port": number for number, name in enumerate(CHANNELS, start=1)})
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(info))
    return path
