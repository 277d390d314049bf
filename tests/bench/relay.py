"""The plain way for bytes to another process: a Python socket, and a relay where the agent stands. Runs in any image.

python relay.py SIZE socket PATH            listen on a Unix socket
python relay.py SIZE tls PORT CERT KEY      listen with TLS
python relay.py SIZE memory PATH            the far end: what arrives goes into fresh memory, what is asked for leaves it

A conversation is one request: ``P`` sends SIZE bytes and gets ``!`` when they are all there, ``G`` gets SIZE bytes.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
import tempfile
import threading

CHUNK = 1 << 20


def fill(source: socket.socket, view: memoryview) -> None:
    """Receive until ``view`` is full."""
    while view:
        count = source.recv_into(view)
        if not count:
            raise ConnectionResetError("cut off")
        view = view[count:]


def relay(source: socket.socket, target: socket.socket, size: int) -> None:
    """Pass ``size`` bytes on."""
    buffer = memoryview(bytearray(CHUNK))
    while size:
        count = source.recv_into(buffer[: min(size, CHUNK)])
        if not count:
            raise ConnectionResetError("cut off")
        target.sendall(buffer[:count])
        size -= count


def serve_relay(listener: socket.socket, far: str, size: int, tls: ssl.SSLContext | None) -> None:
    """Between the client and the memory at the far end."""
    while True:
        made, _ = listener.accept()
        with made, socket.socket(socket.AF_UNIX) as behind:
            try:
                near = tls.wrap_socket(made, server_side=True) if tls else made
                behind.connect(far)
                word = near.recv(1)
                behind.sendall(word)
                if word == b"P":
                    relay(near, behind, size)
                    near.sendall(behind.recv(1))
                elif word == b"G":
                    relay(behind, near, size)
                near.close()
            except OSError:
                continue


def serve_memory(listener: socket.socket, size: int) -> None:
    """Where the bytes live."""
    kept = bytearray(size)
    while True:
        near, _ = listener.accept()
        with near:
            word = near.recv(1)
            if word == b"P":
                kept = bytearray(0)  # the memory that bytes arrive in is new each time
                kept = bytearray(size)
                fill(near, memoryview(kept))
                near.sendall(b"!")
            elif word == b"G":
                near.sendall(kept)


def listen(path: str) -> socket.socket:
    """On a Unix socket."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    return listener


def main(size: int, kind: str, *rest: str) -> None:
    """Serve until killed; the memory is another process, as the kernel is to the agent."""
    if kind == "memory":
        return serve_memory(listen(rest[0]), size)
    far = f"{tempfile.mkdtemp()}/memory"
    behind = listen(far)
    if not os.fork():
        watch_parent()
        return serve_memory(behind, size)
    behind.close()
    if kind == "socket":
        return serve_relay(listen(rest[0]), far, size, None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(rest[1], rest[2])
    return serve_relay(socket.create_server(("", int(rest[0]))), far, size, context)


def watch_parent() -> None:
    """End when the process that forked this one has."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            threading.Event().wait(0.2)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
