"""An S3 server on the node's address, so that pods and notebooks reach it alike; each bucket is a folder here."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from . import build
from .paths import LOGS, NODE_IP
from .shell import until


@contextmanager
def server(folder: Path) -> Iterator[Mapping[str, str]]:
    """The environment variables by which every S3 client finds it and logs in, while it lasts.

    Args:
        folder: Of the folders that are its buckets.
    """
    with socket.create_server((NODE_IP, 0)) as free:
        port = free.getsockname()[1]
    access, secret = secrets.token_hex(8), secrets.token_hex(16)
    argv = [build.program("versitygw"), "--port", f"{NODE_IP}:{port}", "--quiet", "posix", folder]
    environment = {**os.environ, "ROOT_ACCESS_KEY": access, "ROOT_SECRET_KEY": secret}
    with (LOGS / "versitygw.log").open("wb") as log:
        process = subprocess.Popen(argv, env=environment, stdout=log, stderr=log)
    try:
        until("the S3 server", 20, lambda: _listens(port), log="versitygw", every=0.05)
        yield {
            "AWS_ENDPOINT_URL": f"http://{NODE_IP}:{port}",
            "AWS_ACCESS_KEY_ID": access,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.create_connection((NODE_IP, port), 1):
        return True
