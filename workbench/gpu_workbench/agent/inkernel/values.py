"""Hands variables of the kernel in and out through a Unix socket, each streamed to or from its final place.

A request is one line of JSON, for ``put`` with the value's bytes behind it; so is the reply, for ``get`` with bytes after.
Values for a run are staged as bytes and become objects in the kernel's main thread, just before the run's cell
(:func:`bind`), where an import they need may take its time and can be interrupted.
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu_workbench.agent.inkernel.modules import lacking, reload_modules
from gpu_workbench.agent.inkernel.names import Names
from gpu_workbench.agent.inkernel.packages import pip
from gpu_workbench.core.errors import NotPicklable, WorkbenchError

if TYPE_CHECKING:
    from gpu_workbench.values.codecs import Decoder

MODULE = "_gwb_session"
"""The module name under which the kernel's own code finds this server."""

_SENDING = 2**20
"""Bytes the socket holds on their way, as the other end's do."""


class ValuesServer:
    """Serves the variables of one kernel.

    Args:
        path: Where the Unix socket is made; its folder is private to the user.
        shell: The kernel's.
        names: Its variables.
    """

    def __init__(self, path: Path, *, shell: Any, names: Names) -> None:
        self._path = path
        self._shell = shell
        self._names = names
        self._staged: dict[str, list[tuple[str, Decoder]]] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Listen, in a thread of its own."""
        module = type(sys)(MODULE)
        module.bind = self.bind  # type: ignore[attr-defined]
        module.pip = pip  # type: ignore[attr-defined]
        sys.modules[MODULE] = module
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._path))
        listener.listen(64)
        threading.Thread(
            target=self._accept, args=(listener,), name="gpu-workbench values", daemon=True
        ).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = listener.accept()
            threading.Thread(
                target=self._serve, args=(client,), name="gpu-workbench value", daemon=True
            ).start()

    def _serve(self, client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENDING)
        with contextlib.suppress(OSError), client, client.makefile("rb") as reader:
            while line := reader.readline(16 * 2**20):
                try:
                    self._answer(json.loads(line), reader, client)
                except WorkbenchError as error:
                    self._reply(
                        client,
                        {"error": _code(error), "message": error.what, "why": error.why, "fix": error.fix},
                    )
                except OSError:
                    return
                except Exception as error:
                    self._reply(client, {"error": "failed", "message": f"{type(error).__name__}: {error}"})

    def _answer(self, asked: dict[str, Any], reader: io.BufferedReader, client: socket.socket) -> None:
        operation = asked["op"]
        if operation == "put":
            self._put(asked, reader)
            self._reply(client, {"ok": True})
        elif operation == "get":
            self._get(asked, client)
        else:
            handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
                "after": self._names.after,
                "describe": lambda asked: {"names": self._names.table(asked["names"])},
                "missing": self._missing,
                "reload": self._reload,
                "forget": self._forget,
            }
            self._reply(client, handlers[operation](asked))

    @staticmethod
    def _reply(client: socket.socket, form: Mapping[str, object]) -> None:
        client.sendall(json.dumps(form).encode() + b"\n")

    # values

    def _put(self, asked: dict[str, Any], reader: io.BufferedReader) -> None:
        from gpu_workbench.values.codecs import Decoder

        decoder = Decoder(
            asked["codec"], length=asked["length"], trust_pickle=True, namespace=self._shell.user_ns
        )
        while not decoder.done:
            count = reader.readinto(decoder.get_buffer())
            if not count:
                raise ConnectionResetError("the value was cut off")
            decoder.buffer_updated(count)
        with self._lock:
            self._staged.setdefault(asked["run"], []).append((asked["name"], decoder))

    def bind(self, run: str) -> None:
        """Make the values that were staged for ``run`` variables. Called in the main thread, by code the agent executes."""
        with self._lock:
            staged = self._staged.pop(run, [])
        for name, decoder in staged:
            try:
                value: Any = decoder.value()
            except Exception as error:
                raise RuntimeError(f"{name}: {type(error).__name__}: {error}") from None
            names = name.split(",")  # at once: what follows may need it to be made
            self._names.brought({name: value} if len(names) == 1 else {one: value[one] for one in names})

    def _forget(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self._staged.pop(asked["run"], None)
        self._names.forget(asked["run"])
        return {"ok": True}

    def _get(self, asked: dict[str, Any], client: socket.socket) -> None:
        from gpu_workbench.values.codecs import encode

        names, name = self._names.of_run(asked.get("run") or ""), asked["name"]
        if name not in names:
            return self._reply(
                client, {"error": "unknown-name", "message": f"There is no {name} in the session"}
            )
        encoded = encode(names[name], name=name, namespace=self._shell.user_ns)
        self._reply(
            client, {"ok": True, "codec": encoded.codec, "length": encoded.length, "type": encoded.type}
        )
        for chunk in encoded.chunks:
            client.sendall(chunk)

    # modules

    @staticmethod
    def _missing(asked: dict[str, Any]) -> dict[str, Any]:
        return {"missing": lacking(asked["modules"], gpus=bool(asked.get("gpus")))}

    @staticmethod
    def _reload(asked: dict[str, Any]) -> dict[str, Any]:
        return reload_modules(asked["modules"], paths=asked.get("paths") or [])


def _code(error: WorkbenchError) -> str:
    return "not-picklable" if isinstance(error, NotPicklable) else "failed"
