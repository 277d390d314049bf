"""The kinds of objects we speak of, as the Kubernetes API names them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Resource:
    """A kind of object as its API names it: ``Resource("batch/v1", "jobs")``."""

    api: str
    plural: str

    def path(self, *, namespace: str = "", name: str = "", sub: str = "") -> str:
        """Its path on the server."""
        parts = ["api" if "/" not in self.api else "apis", self.api]
        if namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, sub) if part]
        return "/" + "/".join(parts)


CONFIG_MAPS = Resource("v1", "configmaps")
SECRETS = Resource("v1", "secrets")
SERVICES = Resource("v1", "services")
PODS = Resource("v1", "pods")
EVENTS = Resource("v1", "events")
CLAIMS = Resource("v1", "persistentvolumeclaims")
NAMESPACES = Resource("v1", "namespaces")
NODES = Resource("v1", "nodes")
QUOTAS = Resource("v1", "resourcequotas")
JOBS = Resource("batch/v1", "jobs")
DEPLOYMENTS = Resource("apps/v1", "deployments")
DASK_CLUSTERS = Resource("kubernetes.dask.org/v1", "daskclusters")
DASK_GROUPS = Resource("kubernetes.dask.org/v1", "daskworkergroups")
DASK_AUTOSCALERS = Resource("kubernetes.dask.org/v1", "daskautoscalers")
QUEUED = Resource("kueue.x-k8s.io/v1beta1", "workloads")
SELF_REVIEWS = Resource("authentication.k8s.io/v1", "selfsubjectreviews")
ACCESS_REVIEWS = Resource("authorization.k8s.io/v1", "selfsubjectaccessreviews")
