"""Hands variables of the kernel in and out through a Unix socket, each streamed to or from its final place.

A request is one line of JSON, for ``put`` with the value's bytes behind it; so is the reply, for ``get`` with bytes after.
Values for a run are staged as bytes and become objects in the kernel's main thread, just before the run's cell
(:func:`bind`), where an import they need may take its time and can be interrupted.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpu_workbench.agent.inkernel.modules import lacking, reload_modules
from gpu_workbench.agent.inkernel.outputs import drain
from gpu_workbench.agent.inkernel.packages import pip
from gpu_workbench.core.errors import NotPicklable, WorkbenchError
from gpu_workbench.transport.streams import UNIX_BUFFER
from gpu_workbench.values.codecs import Decoder, encode, type_name

MODULE = "_gwb_session"
"""The module name under which the kernel's own code finds this server."""

_RESULTS_KEPT = 8
"""Runs whose results are held until they are fetched."""

_HIDDEN = frozenset({"In", "Out", "exit", "quit", "get_ipython", "open"})


class ValuesServer:
    """Serves the variables of one kernel.

    Args:
        path: Where the Unix socket is made; its folder is private to the user.
        app: The running kernel application of ipykernel.
    """

    def __init__(self, path: Path, app: Any) -> None:
        self._path = path
        self._shell = app.shell
        self._kernel = app.kernel
        self._staged: dict[str, list[tuple[str, Decoder]]] = {}
        self._known: dict[str, int] = {}
        self._results: dict[str, dict[str, object]] = {}
        self._lock = threading.Lock()
        self._known = self._ids()

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
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNIX_BUFFER)
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
                "before": self._before,
                "after": self._after,
                "names": lambda _: {"names": self._table(self._user_names())},
                "describe": self._describe,
                "missing": self._missing,
                "reload": self._reload,
                "forget": self._forget,
            }
            self._reply(client, handlers[operation](asked))

    @staticmethod
    def _reply(client: socket.socket, form: Mapping[str, object]) -> None:
        client.sendall(json.dumps(form).encode() + b"\n")

    # values in

    def _put(self, asked: dict[str, Any], reader: io.BufferedReader) -> None:
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
            names = name.split(",")
            made = {name: value} if len(names) == 1 else {one: value[one] for one in names}
            self._shell.user_ns.update(made)  # at once: what follows may need it to be made
            self._known.update({one: id(item) for one, item in made.items()})

    def _forget(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self._staged.pop(asked["run"], None)
            self._results.pop(asked["run"], None)
        return {"ok": True}

    def _before(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The next cell's number, and whether values wait for it."""
        if asked.get("count"):
            self._shell.execution_count = asked["count"]
        with self._lock:
            return {"staged": bool(self._staged.get(asked["run"]))}

    # values out

    def _get(self, asked: dict[str, Any], client: socket.socket) -> None:
        results = self._results.get(asked.get("run") or "", None)
        names = self._shell.user_ns if results is None else results
        name = asked["name"]
        if name not in names:
            return self._reply(
                client, {"error": "unknown-name", "message": f"There is no {name} in the session"}
            )
        value = names[name]
        encoded = encode(value, name=name, namespace=self._shell.user_ns)
        self._reply(
            client, {"ok": True, "codec": encoded.codec, "length": encoded.length, "type": encoded.type}
        )
        for chunk in encoded.chunks:
            client.sendall(chunk)

    # names

    def _after(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What a run changed, and its results; all it wrote is sent before this returns."""
        drain()
        before, now = self._known, self._ids()
        self._known = now
        stored = stored_names(asked.get("cell") or "")  # a new object may lie where the old one was
        changed = {
            name: self._shell.user_ns[name] for name in now if name in stored or before.get(name) != now[name]
        }
        removed = [name for name in before if name not in now]
        wanted = list(asked.get("out") or [])
        results = {name: self._shell.user_ns[name] for name in wanted if name in self._shell.user_ns}
        if results:
            self._results[asked["run"]] = results
            for old in list(self._results)[:-_RESULTS_KEPT]:
                del self._results[old]
        self._mark(asked["run"])
        return {
            "bound": self._table(changed),
            "removed": removed,
            "out": self._table(results),
            "missing": [name for name in wanted if name not in results],
        }

    def _mark(self, run: str) -> None:
        """A last message on IOPub: whoever has read it has read all output before it."""
        self._kernel.session.send(self._kernel.iopub_socket, "gwb_drained", {"run": run}, ident=b"gwb")

    def _describe(self, asked: dict[str, Any]) -> dict[str, Any]:
        names = self._shell.user_ns
        return {"names": self._table({name: names[name] for name in asked["names"] if name in names})}

    def _user_names(self) -> dict[str, object]:
        hidden = getattr(self._shell, "user_ns_hidden", {})
        names = list(self._shell.user_ns.items())
        return {
            name: value
            for name, value in names
            if not name.startswith("_") and name not in _HIDDEN and hidden.get(name, self) is not value
        }

    def _ids(self) -> dict[str, int]:
        return {name: id(value) for name, value in self._user_names().items()}

    @staticmethod
    def _table(names: Mapping[str, object]) -> dict[str, dict[str, object]]:
        return {name: describe(value) for name, value in names.items()}

    # modules

    @staticmethod
    def _missing(asked: dict[str, Any]) -> dict[str, Any]:
        return {"missing": lacking(asked["modules"], gpus=bool(asked.get("gpus")))}

    @staticmethod
    def _reload(asked: dict[str, Any]) -> dict[str, Any]:
        return reload_modules(asked["modules"], paths=asked.get("paths") or [])


def describe(value: object) -> dict[str, object]:
    """What people want to know of a variable without seeing it."""
    form: dict[str, object] = {"type": type_name(value)}
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and all(isinstance(side, int) for side in shape):
        form["shape"] = "×".join(map(str, shape)) or "scalar"
    elif isinstance(value, list | tuple | dict | set | str | bytes):
        form["shape"] = str(len(value))
    size = getattr(value, "nbytes", None)
    if isinstance(size, int):
        form["size"] = size
    device = getattr(value, "device", None)
    if device is not None and type(device).__module__.partition(".")[0] in ("torch", "jaxlib", "jax", "cupy"):
        form["device"] = str(device)
    return form


def stored_names(cell: str) -> set[str]:
    """Names that ``cell`` stores, imports or defines, in whatever scope."""
    try:
        tree = ast.parse(cell)
    except (SyntaxError, ValueError):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name.partition(".")[0])
    return found


def _code(error: WorkbenchError) -> str:
    return "not-picklable" if isinstance(error, NotPicklable) else "failed"
