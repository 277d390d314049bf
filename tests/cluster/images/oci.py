"""Write container images as one OCI-layout tar.

A layer is a plain tar with sorted names and fixed times: the same folder always gives the same digest, and images that
share a layer share it in the tar and in containerd too.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..shell import sh

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Layer:
    """One layer: its tar and what identifies it."""

    tar: Path
    digest: str
    size: int


@dataclass(frozen=True)
class Image:
    """An image: its name, its layers from the lowest up and what a container runs unless told otherwise."""

    name: str
    layers: Sequence[Layer]
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    environment: Sequence[str] = field(default=())
    user: str = ""
    working_dir: str = "/"


def pack(folder: Path, tar: Path, *, closed: bool = False) -> Layer:
    """Make a layer of a folder; unless `closed`, everybody may read all of it, since a container may run as any user."""
    sh(
        *("tar", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"),
        *(() if closed else ("--mode=a+rX,u+w",)),
        *("--format=pax", "--pax-option=delete=atime,delete=ctime", "-C", folder, "-cf", tar, "."),
    )
    return read(tar)


def read(tar: Path) -> Layer:
    """The layer that a tar is."""
    digest = hashlib.sha256()
    with tar.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return Layer(tar, digest.hexdigest(), tar.stat().st_size)


def write(tar: Path, images: Sequence[Image]) -> None:
    """Write images, each layer once, into one tar that `ctr images import` takes."""
    with tarfile.open(tar, "w") as out:
        for layer in {layer.digest: layer for image in images for layer in image.layers}.values():
            info = tarfile.TarInfo(f"blobs/sha256/{layer.digest}")
            info.size = layer.size
            with layer.tar.open("rb") as stream:
                out.addfile(info, stream)
        manifests = [_manifest(out, image) for image in images]
        _add(out, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(out, "index.json", json.dumps({"schemaVersion": 2, "manifests": manifests}).encode())


def _manifest(out: tarfile.TarFile, image: Image) -> dict[str, object]:
    config = {
        "architecture": ARCHITECTURE,
        "os": "linux",
        "config": {
            "Env": [_PATH, *image.environment],
            "Entrypoint": list(image.entrypoint),
            "Cmd": list(image.command),
            "User": image.user,
            "WorkingDir": image.working_dir,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in image.layers]},
    }
    kind = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "config": {"mediaType": f"{kind}.config.v1+json", **_blob(out, config)},
        "layers": [
            {"mediaType": f"{kind}.layer.v1.tar", "digest": f"sha256:{layer.digest}", "size": layer.size}
            for layer in image.layers
        ],
    }
    return {
        "mediaType": f"{kind}.manifest.v1+json",
        **_blob(out, manifest),
        "platform": {"architecture": ARCHITECTURE, "os": "linux"},
        "annotations": {
            "io.containerd.image.name": image.name,
            "org.opencontainers.image.ref.name": image.name.rpartition(":")[2],
        },
    }


def _blob(out: tarfile.TarFile, content: object) -> dict[str, object]:
    data = json.dumps(content).encode()
    digest = hashlib.sha256(data).hexdigest()
    name = f"blobs/sha256/{digest}"
    if name not in out.getnames():
        _add(out, name, data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def _add(out: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    out.addfile(info, io.BytesIO(data))
