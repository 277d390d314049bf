"""Nothing is wrong: on its way up or down."""

from __future__ import annotations

from collections.abc import Iterator

from gpu_workbench.core.spec import WorkloadSpec

from .case import case, deaf, running, sleeper
from .place import JOB, Place, spec


@case('"type": "Suspended"')
def suspended(place: Place) -> Iterator[WorkloadSpec]:
    place.create(sleeper(place, job={"suspend": True}))
    yield spec()


@case("deletionTimestamp")
def stopping(place: Place) -> Iterator[WorkloadSpec]:
    place.create(deaf(place, pod={"terminationGracePeriodSeconds": 20}))
    running(place)
    place.kubectl("delete", "job", JOB, "--wait=false", "--cascade=background")
    yield spec()


@case('"ready": true')
def all_is_well(place: Place) -> Iterator[WorkloadSpec]:
    place.create(sleeper(place))
    yield spec()
