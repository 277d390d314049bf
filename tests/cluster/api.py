"""Requests to the API server without a program for each: `kubectl proxy` logs in, whatever the kubeconfig asks for."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .shell import ClusterError, until


class Api:
    """The API server as a few calls. Any thread may make them.

    Args:
        command: The words of a kubectl command for the cluster.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="gwb-proxy-")
        self._socket = Path(self._folder.name) / "s"
        self._process = subprocess.Popen(
            [*command, "proxy", f"--unix-socket={self._socket}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until("kubectl proxy", 10, self._socket.exists, log="kube-apiserver", every=0.02)

    def call(self, method: str, path: str, body: object = None, *, absent: bool = False) -> dict[str, Any]:
        """The answer to a request; a PATCH is merged. `absent` takes a 404 for an empty one."""
        with contextlib.closing(_Connection(self._socket)) as connection:
            kind = "merge-patch+json" if method == "PATCH" else "json"
            headers = {"Content-Type": f"application/{kind}"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            reply = connection.getresponse()
            content = reply.read()
        if absent and reply.status == 404:
            return {}
        if reply.status >= 300:
            raise ClusterError(f"{method} {path} was answered with {reply.status}: {content.decode()[:500]}")
        form: dict[str, Any] = json.loads(content)
        return form

    def close(self) -> None:
        """End the proxy."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=90)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
