"""How the cluster is found and how we log in."""

import stat
import subprocess
import sys

import pytest

from gpu_workbench.backends.credentials import make_credentials
from gpu_workbench.backends.kubernetes import access as access_module
from gpu_workbench.backends.kubernetes.access import load_access
from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.resources import CONFIG_MAPS
from gpu_workbench.core.errors import PermissionDenied, ProfileError
from tests.unit.backends.kubernetes.api_server import Fault

EXEC = """
apiVersion: v1
kind: Config
current-context: a
contexts:
- {name: a, context: {cluster: c, user: u, namespace: team}}
- {name: b, context: {cluster: c, user: u}}
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users:
- name: u
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, command: "%s", interactiveMode: Never}
"""


@pytest.fixture
def login(tmp_path):
    """A login command that prints a token, and a kubeconfig that calls it."""
    script = tmp_path / "login"
    config = tmp_path / "config"
    config.write_text(EXEC % script)

    def write(body):
        script.write_text("#!/bin/sh\n" + body)
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return str(config)

    return write


TOKEN = """echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "abc"}}'"""


async def test_a_login_command_gives_the_token(login):
    access = await load_access(kubeconfig=login(TOKEN))
    assert await access.authorization() == "Bearer abc"
    assert access.namespace == "team"
    assert not access.in_cluster
    assert "abc" not in repr(access)


async def test_another_context_has_its_own_namespace(login):
    assert (await load_access(kubeconfig=login(TOKEN), context="b")).namespace == "default"


async def test_a_login_command_that_fails_says_why(login):
    with pytest.raises(PermissionDenied, match="please log in first"):
        await load_access(kubeconfig=login("echo please log in first >&2; exit 3"))


async def test_a_login_command_that_is_not_installed(tmp_path):
    config = tmp_path / "config"
    config.write_text(EXEC % "no-such-login-command")
    with pytest.raises(PermissionDenied, match="no-such-login-command"):
        await load_access(kubeconfig=str(config))


async def test_the_token_is_asked_for_anew_when_the_server_refuses_it(login, server, tmp_path):
    count = tmp_path / "count"
    kubeconfig = login(f"echo x >> {count}; {TOKEN}")
    access = await load_access(kubeconfig=kubeconfig)
    access.server = server.url
    client = ApiClient(access)
    server.fail_once(Fault(code=401))
    await client.list(CONFIG_MAPS, namespace="ns")
    assert count.read_text().count("x") == 2
    await client.close()


@pytest.mark.parametrize(
    ("content", "context", "says"),
    [("{", "", "kubectl config view"), (EXEC % "x", "nowhere", "nowhere"), ("[]", "", "kubectl config view")],
)
async def test_a_kubeconfig_that_cannot_be_used(tmp_path, content, context, says):
    config = tmp_path / "config"
    config.write_text(content)
    with pytest.raises(ProfileError, match=says):
        await load_access(kubeconfig=str(config), context=context)


async def test_no_cluster_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ProfileError, match="There is no cluster to talk to"):
        await load_access()


async def test_importing_the_backend_does_not_import_the_official_client():
    loaded = "sorted({name.partition('.')[0] for name in sys.modules} & {'kubernetes', 'cryptography'})"
    code = f"import sys, gpu_workbench.backends.kubernetes.backend; print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_inside_a_pod_its_own_token_is_used_and_read_anew(server, tmp_path, monkeypatch):
    monkeypatch.setattr(access_module, "_POD_FOLDER", tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(ProfileError, match="This pod cannot talk to its cluster"):
        await load_access()
    (tmp_path / "namespace").write_text("team\n")
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "ca.crt").write_bytes((await make_credentials("0" * 12))["tls.crt"])
    access = await load_access()
    assert (access.in_cluster, access.namespace, access.server) == (True, "team", "https://[fd00::1]:443")
    assert await access.authorization() == "Bearer first"
    (tmp_path / "token").write_text("second\n")
    assert await access.authorization() == "Bearer second"
