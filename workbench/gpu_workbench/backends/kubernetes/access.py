"""Where the API server is and how we prove who we are: from a kubeconfig, or from the pod we run in.

Kubeconfigs, exec plugins and OIDC are the official client's work. Its import costs most of a second, so it happens at the
first use, off the event loop; and inside a pod, where there is little to read, not at all.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gpu_workbench.core.errors import BackendError, PermissionDenied, ProfileError, Unreachable
from gpu_workbench.transport.timing import within

_POD_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LOGIN_TIME = 60.0
_FRESH = 60.0


class Access:
    """The way to one API server as one user.

    Args:
        configuration: What the official client's loaders fill in.
        loader: Its kubeconfig loader, which renews credentials; ``None`` inside a pod.
        namespace: The namespace that the kubeconfig's context or the pod names.
    """

    def __init__(self, *, configuration: Any, loader: Any | None, namespace: str) -> None:
        self._configuration = configuration
        self._loader = loader
        self._loaded = time.monotonic()
        self.namespace = namespace
        self.in_cluster = loader is None
        self.server: str = configuration.host.rstrip("/")
        self.proxy: str | None = configuration.proxy
        self.server_hostname: str | None = configuration.tls_server_name
        self.tls = _tls_context(configuration) if self.server.startswith("https") else None

    def __repr__(self) -> str:
        return f"<Access {self.server}>"

    async def authorization(self, *, renew: bool = False) -> str | None:
        """The ``Authorization`` header, renewed when it is a minute old or the server has refused it.

        Raises:
            PermissionDenied: the kubeconfig's exec plugin gives nothing.
        """
        if self._loader is None:
            return self._pod_token()
        if renew or (time.monotonic() - self._loaded > _FRESH and _expires(self._loader)):
            before = (self._configuration.cert_file, self._configuration.key_file)
            await _authenticate(self._loader, self._configuration)
            self._loaded = time.monotonic()
            if self.tls is not None and before != (
                self._configuration.cert_file,
                self._configuration.key_file,
            ):
                _load_certificate(self.tls, self._configuration)
        token = self._configuration.api_key.get("BearerToken")
        return str(token) if token else None

    def _pod_token(self) -> str:
        """Read each time: the kubelet replaces the file long before the token in it expires."""
        return f"Bearer {(_POD_FOLDER / 'token').read_text().strip()}"


async def load_access(*, context: str = "", kubeconfig: str = "") -> Access:
    """Find the cluster: ``kubeconfig``, else ``KUBECONFIG``, else ``~/.kube/config``, else the pod this runs in.

    Args:
        context: Context of the kubeconfig; empty for its current one.
        kubeconfig: Path, or several as in ``KUBECONFIG``.

    Raises:
        ProfileError: there is no cluster to be found, or the kubeconfig cannot be used.
        PermissionDenied: its exec plugin gives no credentials.
    """
    paths = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    found = _existing(paths)
    if not found and not kubeconfig and not context and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return _load_from_pod()
    if not found:
        raise ProfileError(
            "There is no cluster to talk to",
            why=f"{paths} does not exist, and this is not a pod with a service account",
            fix="Set KUBECONFIG, or use `%gpu use local`",
        )
    return await _load_from_kubeconfig(os.pathsep.join(found), context)


def _existing(paths: str) -> list[str]:
    files = [Path(path).expanduser() for path in paths.split(os.pathsep) if path]
    return [str(file) for file in files if file.exists()]


def _load_from_pod() -> Access:
    """By hand: these are three files and two variables, and the official client's import would cost most of a second."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    configuration = SimpleNamespace(
        host=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        ssl_ca_cert=str(_POD_FOLDER / "ca.crt"),
        cert_file=None,
        key_file=None,
        verify_ssl=True,
        tls_server_name=None,
        proxy=None,
    )
    try:
        namespace = (_POD_FOLDER / "namespace").read_text().strip()
        (_POD_FOLDER / "token").read_text()
        return Access(configuration=configuration, loader=None, namespace=namespace)
    except (OSError, ssl.SSLError) as error:
        raise ProfileError(
            "This pod cannot talk to its cluster",
            why=str(error),
            fix="Give it a service account token, or set KUBECONFIG",
        ) from None


async def _load_from_kubeconfig(paths: str, context: str) -> Access:
    module = await _import("kube_config")
    configuration = await _new_configuration()
    try:
        merged = module.KubeConfigMerger(paths)
        loader = module.KubeConfigLoader(
            config_dict=merged.config,
            config_base_path=None,
            active_context=context or None,
            config_persister=lambda _: (
                merged.save_changes()
            ),  # a rotated OIDC token must not be lost to kubectl
        )
        await _authenticate(loader, configuration)
        namespace = loader.current_context["context"].get("namespace") or "default"
        return Access(configuration=configuration, loader=loader, namespace=namespace)
    except BackendError:
        raise
    except Exception as error:  # the loader raises what YAML, base64 and ssl happen to raise
        raise ProfileError(
            f"The kubeconfig {paths} cannot be used",
            why=str(error) or type(error).__name__,
            fix="Check it with `kubectl config view` and `kubectl config get-contexts`",
        ) from None


async def _authenticate(loader: Any, configuration: Any) -> None:
    """Have the loader log in. It reports a failing exec plugin to its log only, so that is where we listen."""
    with _complaints() as complaints:
        try:
            await within(loader.load_and_set(configuration), _LOGIN_TIME)
        except asyncio.TimeoutError:
            raise Unreachable(
                "Logging in to the cluster took too long",
                why=f"the kubeconfig's login gave nothing within {_LOGIN_TIME:.0f} s",
                fix="Run `kubectl get pods` in a terminal once, to log in",
            ) from None
    if complaints and not configuration.api_key.get("BearerToken") and not configuration.cert_file:
        raise PermissionDenied(
            "The kubeconfig's login command gave no credentials",
            why=complaints[-1],
            fix="Run `kubectl get pods` in a terminal to see what it asks for",
        )


@contextmanager
def _complaints() -> Iterator[list[str]]:
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    logger = logging.getLogger("kubernetes.aio.config.kube_config")
    listener = Listener(logging.ERROR)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        yield heard
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagate


def _expires(loader: Any) -> bool:
    """Whether the loader knows by itself when to log in anew; an exec plugin that names no expiry would run each time."""
    return hasattr(loader, "exec_plugin_expiry") or not _has_plugin(loader)


def _has_plugin(loader: Any) -> bool:
    return bool(loader._user) and "exec" in loader._user


async def _import(name: str) -> Any:
    return await asyncio.to_thread(importlib.import_module, f"kubernetes.aio.config.{name}")


async def _new_configuration() -> Any:
    module = await asyncio.to_thread(importlib.import_module, "kubernetes.aio.client.configuration")
    return module.Configuration()


def _tls_context(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    # Python 3.13 refuses authorities without key identifiers; kubectl takes them, and many clusters have them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _load_certificate(context, configuration)
    return context


def _load_certificate(context: ssl.SSLContext, configuration: Any) -> None:
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
