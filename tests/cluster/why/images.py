"""Images that cannot be had, or not yet."""

from __future__ import annotations

from collections.abc import Iterator

from gpu_workbench.core.spec import WorkloadSpec

from .case import case, sleeper
from .place import Place, spec
from .registry import registry


@case("ErrImagePull")
def image_not_found(place: Place) -> Iterator[WorkloadSpec]:
    with registry() as address:
        place.create(sleeper(place, image=f"{address}/nobody/nothing:1"))
        yield spec(image=f"{address}/nobody/nothing:1")


@case("ImagePullBackOff")
def image_no_access(place: Place) -> Iterator[WorkloadSpec]:
    with registry() as address:
        place.create(sleeper(place, image=f"{address}/private/secret:1"))
        yield spec(image=f"{address}/private/secret:1")


@case("Failed to pull image")
def registry_throttled(place: Place) -> Iterator[WorkloadSpec]:
    with registry() as address:
        place.create(sleeper(place, image=f"{address}/busy/thing:1"))
        yield spec(image=f"{address}/busy/thing:1")


@case("Failed to pull image")
def registry_unreachable(place: Place) -> Iterator[WorkloadSpec]:
    place.create(sleeper(place, image="127.0.0.1:1/team/image:1"))
    yield spec(image="127.0.0.1:1/team/image:1")


@case("Failed to pull image")
def registry_unknown(place: Place) -> Iterator[WorkloadSpec]:
    place.create(sleeper(place, image="registry.invalid/team/image:1"))
    yield spec(image="registry.invalid/team/image:1")


@case('"reason": "InvalidImageName"')
def image_invalid(place: Place) -> Iterator[WorkloadSpec]:
    place.create(sleeper(place, image="Not//Valid:1"))
    yield spec(image="Not//Valid:1")


@case('"waiting": {"message": "Container image')
def image_not_present(place: Place) -> Iterator[WorkloadSpec]:
    place.create(sleeper(place, image="tb.local/nothing:1", container={"imagePullPolicy": "Never"}))
    yield spec(image="tb.local/nothing:1")


@case("Pulling image")
def image_pulling(place: Place) -> Iterator[WorkloadSpec]:
    with registry() as address:
        place.create(sleeper(place, image=f"{address}/slow/large:1"))
        yield spec(image=f"{address}/slow/large:1")
