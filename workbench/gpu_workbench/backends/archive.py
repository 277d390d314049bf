"""``agent.pyz``: the agent, the core, the codecs and a few pure Python packages, as one file.

Any Python from 3.10 on runs it. Beside each source lies what the Python here has compiled of it: a pod with the same
version, as the notebook's own image has it, starts without compiling (0.2 s in place of 0.7); others pass over it.
Should both not fit into a ConfigMap, the sources go alone.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import io
import os
import py_compile
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

SIZE_LIMIT = 1_000_000
"""Bytes; a ConfigMap takes 1 MiB with everything around it."""

_OURS = ("__about__.py", "core", "values", "transport", "agent")
_NOT_THERE = ("core/explain", "core/capacity.py")
"""Parts of these that only surfaces and backends use."""
_PRELOADS = tuple(f"gpu_workbench/agent/indask/{name}.py" for name in ("scheduler", "worker", "local"))
"""Sources that Dask or Python is given as files: what is compiled of them nobody would find."""
_VENDORED = {"h11": "_gwb_vendor/h11", "wsproto": "_gwb_vendor/wsproto", "cloudpickle": "_gwb_cloudpickle"}
_MODULES = {"pynvml": "_gwb_vendor/pynvml.py"}
_TIME = (1980, 1, 1, 0, 0, 0)
_MAIN = b"""import signal
import sys

if "--config" in sys.argv:  # as process 1 of a container it would not even hear a SIGTERM before it asks for it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

from gpu_workbench.agent.main import main

sys.exit(main(sys.argv[1:]))
"""
_PACKAGE = b'"""The part of GPU Workbench that travels."""\n'


@functools.cache
def agent_digest() -> str:
    """The archive's name: the first 16 hexadecimal digits of a SHA-256 of its sources and of the Python that compiles them.

    Raises:
        RuntimeError: a package it carries is not installed.
    """
    state = hashlib.sha256(str(sys.implementation.cache_tag).encode())
    for name, content in agent_sources().items():
        state.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return state.hexdigest()[:16]


@functools.cache
def agent_archive(cache: Path | None = None) -> bytes:
    """The archive's bytes.

    Args:
        cache: Folder in which it is kept, so that it is compiled once and not by every kernel; ``None`` to keep it nowhere.

    Raises:
        RuntimeError: a package it carries is not installed, or its sources alone are over the limit.
    """
    kept = cache / "agent" / f"{agent_digest()}.pyz" if cache is not None else None
    if kept is not None and kept.exists():
        return kept.read_bytes()
    data = _archive()
    if kept is not None:
        with contextlib.suppress(OSError):  # a cache that cannot be written costs time and nothing else
            _keep(kept, data)
    return data


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for older in path.parent.glob("*.pyz"):
        older.unlink(missing_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_bytes(data)
    draft.replace(path)


def _archive() -> bytes:
    sources = agent_sources()
    data = _zipped({**sources, **_compiled(sources)})
    if len(data) > SIZE_LIMIT:
        data = _zipped(sources)
    if len(data) > SIZE_LIMIT:
        raise RuntimeError(f"agent.pyz has {len(data)} bytes; {SIZE_LIMIT} are its limit")
    return data


def _zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, date_time=_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def _compiled(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """Of each source what this Python compiles of it, in the form that asks for no file time (PEP 552)."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.py"), Path(folder, "source.pyc")
        for name, content in sources.items():
            if name in _PRELOADS:
                continue
            source.write_bytes(content)
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(str(source), str(target), dfile=name, doraise=True, invalidation_mode=mode)
            found[f"{name}c"] = target.read_bytes()
    return found


@functools.cache
def agent_sources() -> Mapping[str, bytes]:
    """Every source of the agent by its path, as it lies in the archive.

    Raises:
        RuntimeError: a package it carries is not installed.
    """
    return dict(sorted(_members().items()))


def _members() -> dict[str, bytes]:
    members = {
        "__main__.py": _MAIN,
        "gpu_workbench/__init__.py": _PACKAGE,
        "_gwb_vendor/__init__.py": b"",
    }
    root = Path(__file__).parent.parent
    for name in _OURS:
        for path in _sources(root / name):
            if path.relative_to(root).as_posix().startswith(_NOT_THERE):
                continue
            members[f"gpu_workbench/{path.relative_to(root)}"] = path.read_bytes()
    for package, target in _VENDORED.items():
        folder = _origin(package).parent
        for path in _sources(folder):
            members[f"{target}/{path.relative_to(folder)}"] = _privately(path.read_bytes())
    for module, target in _MODULES.items():
        members[target] = _origin(module).read_bytes()
    return members


def _sources(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from (found for found in path.rglob("*.py") if "tests" not in found.relative_to(path).parts)


def _origin(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{module} is not installed; it travels inside the agent")
    return Path(spec.origin)


def _privately(source: bytes) -> bytes:
    """h11 and wsproto import h11 by its public name; inside the archive it has another one."""
    source = source.replace(b"\nimport h11\n", b"\nfrom _gwb_vendor import h11\n")
    return source.replace(b"from h11.", b"from _gwb_vendor.h11.")
