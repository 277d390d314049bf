"""The programs of the cluster: how each is called and how to see that it works."""

from __future__ import annotations

import http.client
import ssl
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from . import containerd
from .build import program
from .config import GPU_LABELS
from .paths import API, CONF, NODE, NODE_IP, PKI, POD_CIDR, ROOT, SERVICE_CIDR, SOCKET


@dataclass(frozen=True)
class Component:
    """One long-running program. `healthy` raises OSError or returns False while it does not work."""

    name: str
    argv: tuple[object, ...]
    healthy: Callable[[], bool]


def components() -> dict[str, Component]:
    """Every program of the cluster in the order in which they are started."""
    made = (
        _etcd(),
        _containerd(),
        _apiserver(),
        _controller_manager(),
        _scheduler(),
        _kubelet(),
        _proxy(),
        _gpus(),
    )
    return {component.name: component for component in made}


def _answers(url: str, **tls: str) -> Callable[[], bool]:
    def ask() -> bool:
        context = ssl.create_default_context(cafile=tls.get("authority"))
        if (
            "authority" not in tls
        ):  # the health ports of controller-manager and scheduler sign their own certificates
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if "name" in tls:
            context.load_cert_chain(PKI / f"{tls['name']}.crt", PKI / f"{tls['name']}.key")
        try:
            with urllib.request.urlopen(url, context=context, timeout=2) as reply:
                return bool(reply.status == 200)
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error

    return ask


def _etcd() -> Component:
    argv = (
        *(program("etcd"), "--data-dir", ROOT / "etcd", "--unsafe-no-fsync", "--log-level", "warn"),
        *(
            "--listen-client-urls",
            "http://127.0.0.1:2379",
            "--advertise-client-urls",
            "http://127.0.0.1:2379",
        ),
        *(
            "--listen-peer-urls",
            "http://127.0.0.1:2380",
            "--initial-advertise-peer-urls",
            "http://127.0.0.1:2380",
        ),
        *("--initial-cluster", "default=http://127.0.0.1:2380"),
        *("--quota-backend-bytes", 4 << 30, "--auto-compaction-retention", "5m"),
    )
    return Component("etcd", argv, _answers("http://127.0.0.1:2379/health"))


def _containerd() -> Component:
    argv = ("containerd", "--config", CONF / "containerd.toml")
    return Component("containerd", argv, lambda: SOCKET.exists() and containerd.answers())


def _apiserver() -> Component:
    argv = (
        program("kube-apiserver"),
        "--etcd-servers=http://127.0.0.1:2379",
        f"--bind-address={NODE_IP}",
        f"--advertise-address={NODE_IP}",
        "--secure-port=6443",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--client-ca-file={PKI}/ca.crt",
        f"--tls-cert-file={PKI}/apiserver.crt",
        f"--tls-private-key-file={PKI}/apiserver.key",
        f"--kubelet-certificate-authority={PKI}/ca.crt",
        f"--kubelet-client-certificate={PKI}/apiserver-kubelet.crt",
        f"--kubelet-client-key={PKI}/apiserver-kubelet.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={PKI}/sa.pub",
        f"--service-account-signing-key-file={PKI}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--enable-aggregator-routing=true",
        f"--requestheader-client-ca-file={PKI}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={PKI}/front-proxy.crt",
        f"--proxy-client-key-file={PKI}/front-proxy.key",
    )
    return Component(
        "kube-apiserver", argv, _answers(f"{API}/readyz", authority=f"{PKI}/ca.crt", name="admin")
    )


def _controller_manager() -> Component:
    kubeconfig = CONF / "kube-controller-manager.kubeconfig"
    argv = (
        program("kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        "--allocate-node-cidrs=false",
        f"--cluster-cidr={POD_CIDR}",
        "--node-monitor-grace-period=25s",
        "--pvclaimbinder-sync-period=1s",  # every test with a volume would wait for half of the usual 15 s
        f"--root-ca-file={PKI}/ca.crt",
        f"--service-account-private-key-file={PKI}/sa.key",
        f"--cluster-signing-cert-file={PKI}/ca.crt",
        f"--cluster-signing-key-file={PKI}/ca.key",
        f"--requestheader-client-ca-file={PKI}/front-proxy-ca.crt",
    )
    return Component("kube-controller-manager", argv, _answers("https://127.0.0.1:10257/healthz"))


def _scheduler() -> Component:
    kubeconfig = CONF / "kube-scheduler.kubeconfig"
    argv = (
        program("kube-scheduler"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    )
    return Component("kube-scheduler", argv, _answers("https://127.0.0.1:10259/healthz"))


def _kubelet() -> Component:
    argv = (
        program("kubelet"),
        f"--config={CONF}/kubelet.json",
        f"--kubeconfig={CONF}/kubelet.kubeconfig",
        f"--hostname-override={NODE}",
        f"--node-ip={NODE_IP}",
        f"--node-labels={','.join(f'{name}={value}' for name, value in GPU_LABELS.items())}",
        f"--root-dir={ROOT}/kubelet",
        f"--cert-dir={ROOT}/kubelet/pki",
    )
    return Component("kubelet", argv, _answers("http://127.0.0.1:10248/healthz"))


def _proxy() -> Component:
    argv = (program("kube-proxy"), f"--config={CONF}/kube-proxy.json")
    return Component("kube-proxy", argv, _answers("http://127.0.0.1:10256/healthz"))


def _gpus() -> Component:
    argv = (program("fakegpu"), "-devices", CONF / "gpus")
    return Component("fakegpu", argv, lambda: True)
