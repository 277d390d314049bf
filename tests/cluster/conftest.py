"""What tests on the cluster share beside the fixtures of `fixtures`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernels import Notebook

from .handle import Cluster
from .sessions import Session, open_notebook


@pytest.fixture
def another(session: Session, tmp_path: Path) -> Iterator[Notebook]:
    """A second notebook of the same user, beside that of ``session``."""
    folder = tmp_path / "another"
    with open_notebook(session.cluster, session.namespace, folder, session.cluster.kubeconfig) as made:
        yield made.nb


@pytest.fixture
def session(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Session]:
    """A notebook in a namespace of its own."""
    with open_notebook(cluster, namespace, tmp_path, cluster.kubeconfig) as made:
        yield made
