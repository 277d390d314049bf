"""An API server to talk to, and a client that is impatient with it."""

from types import SimpleNamespace

import pytest

from gpu_workbench.backends.kubernetes.access import Access
from gpu_workbench.backends.kubernetes.client import ApiClient
from tests.unit.backends.kubernetes.api_server import ApiServer


@pytest.fixture
async def server():
    server = ApiServer()
    await server.start()
    yield server
    await server.stop()


class Login:
    """A kubeconfig's login: gives a newer token each time it is asked."""

    _user = None

    def __init__(self):
        self.count = 0

    async def load_and_set(self, configuration):
        self.count += 1
        configuration.api_key["BearerToken"] = f"Bearer token-{self.count}"


def access_to(url: str) -> Access:
    configuration = SimpleNamespace(
        host=url,
        proxy=None,
        tls_server_name=None,
        cert_file=None,
        key_file=None,
        api_key={"BearerToken": "Bearer token-0"},
    )
    return Access(configuration=configuration, loader=Login(), namespace="ns")


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: test, namespace: ns}}]
clusters: [{name: test, cluster: {server: "%s"}}]
users: [{name: test, user: {token: abc}}]
"""


@pytest.fixture
def kubeconfig(server, tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG % server.url)
    return str(path)


@pytest.fixture
async def client(server):
    client = ApiClient(access_to(server.url), timeout=0.5, patience=3.0)
    yield client
    await client.close()
