"""A thing that goes wrong: how it is brought about, and what the cluster then says (never what we say of it)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from gpu_workbench.core.spec import WorkloadSpec
from gpu_workbench.core.wire import JsonObject

from .place import JOB, Place, job_of

Scene = Callable[[Place], Iterator[WorkloadSpec]]


@dataclass(frozen=True)
class Case:
    """A thing that goes wrong.

    Args:
        name: Of the case; its recorded facts are a file of that name.
        words: What the cluster says of it, in its own words.
        arrange: Brings it about, and gives what was asked for.
    """

    name: str
    words: str
    arrange: Callable[[Place], AbstractContextManager[WorkloadSpec]]


CASES: dict[str, Case] = {}


def case(words: str) -> Callable[[Scene], Scene]:
    """Register a scene under its function's name."""

    def register(scene: Scene) -> Scene:
        name = scene.__name__.replace("_", "-")
        CASES[name] = Case(name, words, contextmanager(scene))
        return scene

    return register


def sleeper(place: Place, **more: object) -> JsonObject:
    """A Job that would run for long."""
    return job_of(place, "python3", "-c", "import time; time.sleep(600)", **more)  # type: ignore[arg-type]


def deaf(place: Place, **more: object) -> JsonObject:
    """A Job that does not listen to SIGTERM, so that its end can be seen."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    return job_of(place, "python3", "-c", code, **more)  # type: ignore[arg-type]


def running(place: Place, job: str = JOB) -> str:
    """The name of the Job's pod, once its container was started."""
    pods = place.until_said("Started container", job=job).pods
    return str(pods[0]["metadata"]["name"])  # type: ignore[index,call-overload]
