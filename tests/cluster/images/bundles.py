"""Build the image tars, each once: its name carries a hash of everything that decides its content."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import build, nvml
from ..paths import IMAGES
from ..shell import sh
from . import (
    COREDNS,
    DASK_OPERATOR,
    NO_CLOUDPICKLE,
    NO_IPYKERNEL,
    NO_PYTHON,
    OTHER_ARCHITECTURE,
    PAUSE,
    ROOT_ONLY,
    WORKER,
    layers,
    oci,
)

_ENVIRONMENT = ["LANG=C.UTF-8"]
_PAUSE_SOURCE = Path(__file__).with_name("pause.c")
ALWAYS = ("system", "workers")
"""Those that every cluster has; the others are loaded when a test first needs them."""
ALL = (*ALWAYS, "operator")


def tar(bundle: str) -> Path:
    """Where the images of a bundle lie once built."""
    return IMAGES / f"{bundle}-{_KEYS[bundle]()}.tar"


def make(bundle: str, say: Callable[[str], None] = print) -> Path:
    """Build the images of a bundle unless they are there; the tar's path. The caller holds the lock."""
    target = tar(bundle)
    if not target.exists():
        started = time.monotonic()
        IMAGES.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=IMAGES) as temporary:
            unfinished = Path(temporary) / "images.tar"
            oci.write(unfinished, _IMAGES[bundle](Path(temporary)))
            for old in IMAGES.glob(f"{bundle}-*.tar"):
                old.unlink()
            unfinished.rename(target)
        say(f"built the {bundle} images in {time.monotonic() - started:.0f} s")
    return target


def _system(work: Path) -> list[oci.Image]:
    roots = {name: work / name for name in ("pause", "coredns")}
    for root in roots.values():
        root.mkdir(mode=0o755)
    sh("gcc", "-Os", "-static", "-s", "-o", roots["pause"] / "pause", _PAUSE_SOURCE)
    shutil.copy2(build.program("coredns"), roots["coredns"] / "coredns")
    packed = {name: oci.pack(root, work / f"{name}.tar") for name, root in roots.items()}
    return [
        oci.Image(PAUSE, [packed["pause"]], entrypoint=["/pause"]),
        oci.Image(COREDNS, [packed["coredns"]], entrypoint=["/coredns"]),
    ]


def _workers(work: Path) -> list[oci.Image]:
    with _roots(work, "nvml", "foreign", "closed", "hidden", packages=layers.WORKER_REQUIREMENTS) as roots:
        layers.nvml_double(roots["nvml"])
        layers.foreign(roots["foreign"])
        layers.home_of_root(roots["closed"])
        layers.without_package(roots["hidden"], "cloudpickle")
    packed = [oci.pack(root, work / f"{name}.tar", closed=name == "closed") for name, root in roots.items()]
    debian, python, packages, double, foreign, closed, hidden = packed
    return [
        _image(NO_PYTHON, debian),
        _image(NO_IPYKERNEL, debian, python),
        _image(WORKER, debian, python, packages, double),
        _image(NO_CLOUDPICKLE, debian, python, packages, double, hidden),
        oci.Image(
            ROOT_ONLY,
            [debian, python, packages, closed],
            environment=[*_ENVIRONMENT, "HOME=/root"],
            user="0:0",
            working_dir="/root",
        ),
        _image(OTHER_ARCHITECTURE, debian, foreign),
    ]


def _operator(work: Path) -> list[oci.Image]:
    with _roots(work, packages=layers.OPERATOR_REQUIREMENTS) as roots:
        pass
    return [_image(DASK_OPERATOR, *(oci.pack(root, work / f"{name}.tar") for name, root in roots.items()))]


@contextmanager
def _roots(work: Path, *more: str, packages: Path) -> Iterator[dict[str, Path]]:
    """Folders of layers by name: Debian, Python and packages filled, further ones empty for the caller to fill."""
    umask = os.umask(0o022)
    try:
        roots = {name: work / name for name in ("debian", "python", "packages", *more)}
        for root in roots.values():
            root.mkdir()
        layers.debian(roots["debian"])
        layers.python(roots["python"], below=roots["debian"])
        layers.packages(roots["packages"], packages)
        yield roots
    finally:
        os.umask(umask)


def _image(name: str, *parts: oci.Layer) -> oci.Image:
    return oci.Image(name, parts, command=["/bin/sh"], environment=_ENVIRONMENT)


def _sources() -> list[bytes]:
    folder = Path(__file__).parent
    return [
        file.read_bytes()
        for file in sorted((*folder.glob("*.py"), *folder.glob("*.txt"), *folder.glob("*.c")))
    ]


def _key(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in (*_sources(), *parts):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]


def _system_key() -> str:
    return _key(str(build.folder("coredns")).encode())


def _workers_key() -> str:
    return _key(*_machine(), nvml.SOURCE.read_bytes())


def _operator_key() -> str:
    return _key(*_machine())


def _machine() -> tuple[bytes, ...]:
    """What is copied from this machine."""
    return sh("dpkg-query", "-W", *layers.DEBIAN_PACKAGES).encode(), sys.version.encode()


_KEYS: dict[str, Callable[[], str]] = {
    "system": _system_key,
    "workers": _workers_key,
    "operator": _operator_key,
}
_IMAGES: dict[str, Callable[[Path], list[oci.Image]]] = {
    "system": _system,
    "workers": _workers,
    "operator": _operator,
}
