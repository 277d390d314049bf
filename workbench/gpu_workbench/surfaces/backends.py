"""A backend by its name, for the settings in force. Its library is imported only when it is asked for."""

from __future__ import annotations

from gpu_workbench.app.config import Config
from gpu_workbench.backends.protocol import Backend


def make_backend(name: str, *, config: Config) -> Backend:
    """The backend of that name, for these settings. Its library is imported only now."""
    settings = config.settings
    if name == "kubernetes":
        from gpu_workbench.backends.kubernetes.backend import KubernetesBackend

        return KubernetesBackend(
            context=settings.context, namespace=settings.namespace, cache=settings.cache_dir
        )
    from gpu_workbench.backends.local.backend import LocalBackend

    return LocalBackend(settings.state_dir / "local")
