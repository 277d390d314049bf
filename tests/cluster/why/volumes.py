"""Volumes, ConfigMaps and Secrets that are not there."""

from __future__ import annotations

from collections.abc import Iterator

from gpu_workbench.core.spec import Volume, WorkloadSpec
from gpu_workbench.core.wire import Json, JsonObject

from .case import case, sleeper
from .place import Place, claim, spec


def _with_claim(place: Place, name: str, **more: object) -> JsonObject:
    volumes: Json = [{"name": "claim-0", "persistentVolumeClaim": {"claimName": name}}]
    mounts: Json = [{"name": "claim-0", "mountPath": "/data"}]
    return sleeper(place, pod={"volumes": volumes}, container={"volumeMounts": mounts}, **more)


@case('persistentvolumeclaim "data" not found')
def claim_missing(place: Place) -> Iterator[WorkloadSpec]:
    place.create(_with_claim(place, "data"))
    yield spec(volumes=(Volume("data", "/data"),))


@case("unbound immediate PersistentVolumeClaims")
def claim_unbound(place: Place) -> Iterator[WorkloadSpec]:
    place.create(claim("data"), _with_claim(place, "data"))
    yield spec(volumes=(Volume("data", "/data"),))


@case("didn't find available persistent volumes to bind")
def claim_waits_for_consumer(place: Place) -> Iterator[WorkloadSpec]:
    name = f"explain-{place.namespace}"
    place.create(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
    )
    try:
        place.create(claim("data", storage_class=name), _with_claim(place, "data"))
        yield spec(volumes=(Volume("data", "/data"),))
    finally:
        place.kubectl("delete", "storageclass", name)


@case('configmap "settings" not found')
def configmap_missing(place: Place) -> Iterator[WorkloadSpec]:
    volumes: Json = [{"name": "settings", "configMap": {"name": "settings"}}]
    mounts: Json = [{"name": "settings", "mountPath": "/settings"}]
    place.create(sleeper(place, pod={"volumes": volumes}, container={"volumeMounts": mounts}))
    yield spec()


@case('"waiting": {"message": "secret')
def secret_missing(place: Place) -> Iterator[WorkloadSpec]:
    place.create(sleeper(place, container={"envFrom": [{"secretRef": {"name": "hf-token"}}]}))
    yield spec()


@case('"reason": "CreateContainerConfigError"')
def image_runs_as_root(place: Place) -> Iterator[WorkloadSpec]:
    security: JsonObject = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    place.create(sleeper(place, pod={"securityContext": security}))
    yield spec()
