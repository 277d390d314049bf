"""``agent.pyz``: the agent, the core, the codecs and a few pure Python packages, as one file.

Any Python from 3.10 on runs it. It is built from what is installed here, with the same bytes every time, so that its hash
can be its name.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

SIZE_LIMIT = 1_000_000
"""Bytes; a ConfigMap takes 1 MiB with everything around it."""

_OURS = ("__about__.py", "core", "values", "transport", "agent")
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
def agent_archive() -> tuple[bytes, str]:
    """The archive's bytes and the first 16 hexadecimal digits of their SHA-256.

    Raises:
        RuntimeError: a package it carries is not installed, or it has grown over its limit.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in sorted(_members().items()):
            info = zipfile.ZipInfo(name, date_time=_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    data = buffer.getvalue()
    if len(data) > SIZE_LIMIT:
        raise RuntimeError(f"agent.pyz has {len(data)} bytes; {SIZE_LIMIT} are its limit")
    return data, hashlib.sha256(data).hexdigest()[:16]


def _members() -> dict[str, bytes]:
    members = {
        "__main__.py": _MAIN,
        "gpu_workbench/__init__.py": _PACKAGE,
        "_gwb_vendor/__init__.py": b"",
    }
    root = Path(__file__).parent.parent
    for name in _OURS:
        for path in _sources(root / name):
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
