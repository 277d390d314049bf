"""What tests on the cluster share beside the fixtures of `fixtures`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .handle import Cluster
from .sessions import Session, open_notebook


@pytest.fixture
def session(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Session]:
    """A notebook in a namespace of its own."""
    with open_notebook(cluster, namespace, tmp_path, cluster.kubeconfig) as made:
        yield made
