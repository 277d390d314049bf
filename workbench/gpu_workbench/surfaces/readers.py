"""How the value of a flag is read: text to value, or one :class:`FlagError`. Modules are loaded when a flag needs them."""

from __future__ import annotations

import keyword
import os
import re

from gpu_workbench.core.errors import FlagError


def gpus(text: str) -> object:
    """``2`` or ``h200:2``."""
    from gpu_workbench.core.quantities import parse_gpus

    return parse_gpus(text)


def size(text: str) -> object:
    """Bytes of ``16Gi``."""
    from gpu_workbench.core.quantities import parse_bytes

    return parse_bytes(text)


def cpus(text: str) -> object:
    """Cores of ``8`` or ``500m``."""
    from gpu_workbench.core.quantities import parse_cpus

    return parse_cpus(text)


def duration(text: str) -> object:
    """Seconds of ``4h``."""
    from gpu_workbench.core.quantities import parse_duration

    return parse_duration(text)


def volume(text: str) -> object:
    """``claim:/path`` or ``claim:/path:ro``."""
    from gpu_workbench.core.spec import parse_volume

    return parse_volume(text)


def object_name(text: str) -> object:
    """A name that an object of Kubernetes can carry."""
    from gpu_workbench.core.spec import check_name

    return check_name(text)


def secret_object(text: str) -> str:
    """The Secret that ``--secret HF_TOKEN`` means: ``hf-token``, for objects have no capitals; ``hf-token`` means itself.

    Raises:
        FlagError: it can be neither a Secret nor a variable.
    """
    name = text.lower().replace("_", "-")
    if not _SECRET.fullmatch(name):
        raise FlagError(
            f"{text!r} is no name of a secret",
            fix="Write it as a variable, HF_TOKEN, or as an object, hf-token",
        )
    return name


def count(text: str) -> int:
    """A whole number."""
    if not text.isdecimal():
        raise FlagError(f"{text!r} is not a number", fix="Write a whole number")
    return int(text)


def at_least_one(text: str) -> int:
    """A whole number that is not 0."""
    if not text.isdecimal() or not int(text):
        raise FlagError(f"{text!r} is no number of nodes", fix="Write a whole number, 1 or more")
    return int(text)


def processes(text: str) -> str:
    """``gpu``, or a whole number that is not 0."""
    if text != "gpu" and (not text.isdecimal() or not int(text)):
        raise FlagError(
            f"{text!r} is no number of processes",
            fix="Write a whole number, or gpu for one process per GPU",
        )
    return text


def ranks(text: str) -> tuple[int, ...]:
    """``0,3`` as ranks; ``all`` for all there are."""
    words = text.split(",") if text != "all" else []
    if not all(word.isdecimal() for word in words):
        raise FlagError(f"{text!r} are no ranks", fix="Write numbers with commas and no spaces: 0,3")
    return tuple(sorted({int(word) for word in words}))


def bounds(text: str) -> tuple[int, int]:
    """``0:8`` as the least and the most."""
    least, colon, most = text.partition(":")
    if not (colon and least.isdecimal() and most.isdecimal() and int(least) <= int(most)):
        raise FlagError(f"{text!r} are no two bounds", fix="Write the least and the most: 0:8")
    return int(least), int(most)


def worker_group(text: str) -> tuple[str, int]:
    """``cpu=4`` as the name of a worker group and the number of its workers."""
    from gpu_workbench.core.spec import check_name

    found, equals, number = text.partition("=")
    if not (equals and number.isdecimal()):
        raise FlagError(f"{text!r} is no worker group", fix="Write its name and its workers: cpu=4")
    if found == "default":
        raise FlagError(
            "The group 'default' is the first one", fix="--n-workers says how many workers it has"
        )
    return check_name(found, what="name of a worker group"), int(number)


VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def variable(text: str) -> tuple[str, str]:
    """``NAME=value``, or ``NAME`` to copy it from this process's environment. An error never repeats the value."""
    name, given, value = text.partition("=")
    if not VARIABLE.fullmatch(name):
        raise FlagError(
            f"{name!r} is no name of a variable", fix="Write NAME=value, or NAME to copy it from here"
        )
    if given:
        return name, value
    if name not in os.environ:
        raise FlagError(f"{name} is not set here", fix=f"Write --env {name}=value")
    return name, os.environ[name]


def name(text: str) -> str:
    """The name of one variable."""
    found = names(text)
    if len(found) != 1:
        raise FlagError(f"{text!r} are several names", fix="Write one")
    return found[0]


def names(text: str) -> tuple[str, ...]:
    """``a,b`` as names of variables.

    Raises:
        FlagError: one of them is none.
    """
    found = tuple(text.split(","))
    for name in found:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise FlagError(
                f"{name!r} is no name of a variable", fix="Write names with commas and no spaces: a,b"
            )
    return found
