"""Certificates (openssl, one call each) and the kubeconfigs made of them. They are written once and kept."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from .paths import ADMIN, API, API_SERVICE_IP, CONF, NODE, NODE_IP, PKI
from .shell import sh

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650")


def write() -> None:
    """Write every certificate and kubeconfig that is not there yet."""
    PKI.mkdir(parents=True, exist_ok=True)
    PKI.chmod(0o700)
    (PKI / "req.cnf").write_text("[req]\ndistinguished_name=dn\n[dn]\n")
    _authority("ca")
    _authority("front-proxy-ca")
    service = "kubernetes.default.svc"
    names = ("kubernetes", "kubernetes.default", service, f"{service}.cluster.local", "localhost")
    _certificate(
        "apiserver",
        user="kube-apiserver",
        server=[
            *(f"DNS:{name}" for name in names),
            *(f"IP:{ip}" for ip in (API_SERVICE_IP, NODE_IP, "127.0.0.1")),
        ],
    )
    _certificate("apiserver-kubelet", user="kube-apiserver-kubelet-client", group="system:masters")
    _certificate("front-proxy", user="front-proxy-client", authority="front-proxy-ca")
    _certificate("admin", user="admin", group="system:masters")
    _certificate("kube-controller-manager", user="system:kube-controller-manager")
    _certificate("kube-scheduler", user="system:kube-scheduler")
    _certificate("kube-proxy", user="system:kube-proxy")
    _certificate("kubelet", user=f"system:node:{NODE}", group="system:nodes")
    _certificate("kubelet-server", user=NODE, server=[f"DNS:{NODE}", f"IP:{NODE_IP}"])
    if not (PKI / "sa.key").exists():
        sh("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", PKI / "sa.key")
        sh("openssl", "ec", "-in", PKI / "sa.key", "-pubout", "-out", PKI / "sa.pub")
    for name in ("kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"):
        _kubeconfig(CONF / f"{name}.kubeconfig", name)
    _kubeconfig(ADMIN, "admin")


def _authority(name: str) -> None:
    if (PKI / f"{name}.crt").exists():
        return
    sh(
        *(
            "openssl",
            "req",
            "-x509",
            *_NEW_KEY,
            "-config",
            PKI / "req.cnf",
            "-subj",
            f"/CN=test-cluster-{name}",
        ),
        *("-keyout", PKI / f"{name}.key", "-out", PKI / f"{name}.crt"),
        *("-addext", "basicConstraints=critical,CA:TRUE"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"),
    )


def _certificate(
    name: str, *, user: str, group: str = "", authority: str = "ca", server: list[str] | None = None
) -> None:
    if (PKI / f"{name}.crt").exists():
        return
    extensions = [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=" + ("serverAuth,clientAuth" if server else "clientAuth"),
    ]
    if server:
        extensions.append(f"subjectAltName={','.join(server)}")
    sh(
        *("openssl", "req", "-x509", *_NEW_KEY, "-config", PKI / "req.cnf"),
        *("-subj", (f"/O={group}" if group else "") + f"/CN={user}"),
        *("-CA", PKI / f"{authority}.crt", "-CAkey", PKI / f"{authority}.key"),
        *("-keyout", PKI / f"{name}.key", "-out", PKI / f"{name}.crt"),
        *(word for extension in extensions for word in ("-addext", extension)),
    )


def _kubeconfig(path: Path, name: str) -> None:
    def inline(file: str) -> str:
        return base64.b64encode((PKI / file).read_bytes()).decode()

    user = {"client-certificate-data": inline(f"{name}.crt"), "client-key-data": inline(f"{name}.key")}
    cluster = {"server": API, "certificate-authority-data": inline("ca.crt")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test-cluster",
        "clusters": [{"name": "test-cluster", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "test-cluster", "context": {"cluster": "test-cluster", "user": name}}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1))
