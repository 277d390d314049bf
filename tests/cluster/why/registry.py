"""A container registry on the loopback that misbehaves: whom it knows, whom it refuses, and whom it lets wait.

Source of the protocol: the OCI distribution specification 1.1, "Pull".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Registry(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    let_go: threading.Event

    def do_GET(self) -> None:
        if self.path.startswith("/v2/slow/"):
            self.let_go.wait(120)
        if self.path.startswith("/v2/private/"):
            body = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
            self._answer(401, body, {"WWW-Authenticate": 'Basic realm="registry"'})
        elif self.path.startswith("/v2/busy/"):
            self._answer(429, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit"}]}', {})
        else:
            self._answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}', {})

    do_HEAD = do_GET

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def registry() -> Iterator[str]:
    """`127.0.0.1:PORT`, where images can be asked for while it lasts."""
    handler = type("Registry", (_Registry,), {"let_go": threading.Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            handler.let_go.set()  # type: ignore[attr-defined]
            server.shutdown()
