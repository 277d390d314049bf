"""distributed's own tests of a class of clusters, `ClusterTest`, held against ours and, as a baseline, `LocalCluster`.

distributed's wheels had them up to 2022.5.2; since then they are functions about `LocalCluster` alone, in its repository and
in no package. They run against the distributed that is installed.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import unittest
import zipimport
from pathlib import Path
from typing import Any, ClassVar

import distributed

from tests.cluster.paths import CACHE

VERSION = "2022.5.2"
"""The last one that had it."""


def _wheel() -> Path:
    folder = CACHE / "upstream"
    wheel = folder / f"distributed-{VERSION}-py3-none-any.whl"
    if not wheel.exists():
        asked = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
        subprocess.run([sys.executable, "-m", "pip", *asked, f"distributed=={VERSION}"], check=True)
    return wheel


def _theirs() -> Any:
    spec = zipimport.zipimporter(f"{_wheel()}/distributed/deploy").find_spec("utils_test")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.Client = distributed.Client
    return module


class TestCluster(_theirs().ClusterTest, unittest.TestCase):  # type: ignore[misc]
    Cluster = staticmethod(distributed.LocalCluster)
    kwargs: ClassVar = {"dashboard_address": ":0"}
