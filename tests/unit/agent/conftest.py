"""One agent with a warm kernel, shared by the tests of a module: starting one takes longer than most tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ports import free_port

from .harness import AgentProcess, agent


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """An agent that tests leave as they found it, up to its variables and its generation."""
    with agent(tmp_path_factory.mktemp("agent")) as made:
        yield made


@pytest.fixture(scope="package")
def shared_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """Another one, that listens as on a cluster: on a TCP port, with TLS."""
    with agent(tmp_path_factory.mktemp("agent"), port=free_port()) as made:
        yield made


@pytest.fixture(params=["unix", "tls"])
def reached(request: pytest.FixtureRequest) -> AgentProcess:
    """Each of them in turn, for what anybody who finds its port can do."""
    found: AgentProcess = request.getfixturevalue("shared" if request.param == "unix" else "shared_tls")
    return found
