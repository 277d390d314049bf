"""The worker image with Dask's old commands in it: `dask-scheduler` and `dask-worker`, which distributed has no more.

dask-kubernetes' own tests, and its `KubeCluster`, start a cluster by these names.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tests.cluster import containerd
from tests.cluster.images import WORKER, oci

NAME = "tb.local/dask-kubernetes:dev"

_SCRIPT = """#!/bin/sh
exec python3 -m distributed.cli.dask_{part} "$@"
"""


def load() -> str:
    """Have the test cluster know the image, and return its name. What is below lies there already, and is left out."""
    with tempfile.TemporaryDirectory() as folder:
        layer = _layer(Path(folder))
        manifest = _content(_digest_of(WORKER))
        config = _content(manifest["config"]["digest"])
        config["rootfs"]["diff_ids"].append(f"sha256:{layer.digest}")
        blobs = [json.dumps(config).encode()]
        manifest["config"] |= _described(blobs[0])
        manifest["layers"].append(
            {**manifest["layers"][0], "digest": f"sha256:{layer.digest}", "size": layer.size}
        )
        blobs.append(json.dumps(manifest).encode())
        tar = Path(folder) / "image.tar"
        _write(tar, [*blobs, layer.tar.read_bytes()], manifest=blobs[1], kind=manifest["mediaType"])
        containerd.load(tar)
    return NAME


def unload() -> None:
    """Have it forget the image."""
    containerd.ctr("images", "rm", NAME, check=False)


def _layer(folder: Path) -> oci.Layer:
    root = folder / "root"
    programs = root / "usr" / "local" / "bin"
    programs.mkdir(parents=True)
    for part in ("scheduler", "worker"):
        program = programs / f"dask-{part}"
        program.write_text(_SCRIPT.format(part=part))
        program.chmod(0o755)
    return oci.pack(root, folder / "layer.tar")


def _digest_of(image: str) -> str:
    for line in containerd.ctr("images", "ls", f"name=={image}").splitlines()[1:]:
        return line.split()[2]
    raise LookupError(f"the test cluster has no image {image}")


def _content(digest: str) -> dict[str, Any]:
    return dict(json.loads(containerd.ctr("content", "get", digest)))


def _described(data: bytes) -> dict[str, object]:
    return {"digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}


def _write(tar: Path, blobs: list[bytes], *, manifest: bytes, kind: str) -> None:
    names = {"io.containerd.image.name": NAME, "org.opencontainers.image.ref.name": NAME.rpartition(":")[2]}
    index = {
        "schemaVersion": 2,
        "manifests": [{"mediaType": kind, **_described(manifest), "annotations": names}],
    }
    files = {f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}": blob for blob in blobs}
    files |= {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode()}
    with tarfile.open(tar, "w") as out:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
