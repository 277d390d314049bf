"""Images: why one cannot be pulled, and that one is being pulled."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpu_workbench.core.explain.case import Case, event_source, event_time, quote, seconds_between
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.objects import members, number, strings, text
from gpu_workbench.core.quantities import show_about, show_bytes
from gpu_workbench.core.wire import JsonObject

_PULLING = (
    "ErrImagePull",
    "ImagePullBackOff",
    "RegistryUnavailable",
    "ImageInspectError",
    "ErrImageNeverPull",
)


@dataclass(frozen=True)
class _Cause:
    """A reason why an image does not come: the runtime's words for it, and ours."""

    words: re.Pattern[str]
    code: str
    sentence: str
    fix: str
    waits: bool = False


def _cause(words: str, code: str, sentence: str, fix: str, *, waits: bool = False) -> _Cause:
    return _Cause(re.compile(words, re.IGNORECASE), code, sentence, fix, waits)


_CAUSES = (
    _cause(
        r"\b429\b|too ?many ?requests",
        "registry-throttled",
        "The registry {registry} lets no more pulls through for now (429 Too Many Requests)",
        "Wait; with a pull secret in the profile (`pull_secrets`) most registries allow more",
        waits=True,
    ),
    _cause(
        r"no match for platform|no matching manifest|does not match the specified platform",
        "image-architecture",
        "Image {image} does not exist for this node's kind of processor",
        "Name an image for it with `--image`",
    ),
    _cause(
        r"\b40[13]\b|unauthorized|forbidden|access denied|may require authorization|authorization failed|no basic auth",
        "image-no-access",
        "The registry {registry} does not give image {image} to this cluster without credentials",
        "Add a pull secret to the profile (`pull_secrets`), or correct the name with `--image`",
    ),
    _cause(
        r"not present with pull policy of never",
        "image-not-present",
        "Image {image} is not on the node, and its pull policy forbids to fetch it",
        "Name an image that is there with `--image`, or let an administrator load it",
    ),
    _cause(
        r"no space left on device",
        "node-disk-full",
        "The node has no room for image {image}",
        "Tell your administrator; a smaller image with `--image` may fit",
    ),
    _cause(
        r"x509|certificate",
        "registry-untrusted",
        "The node does not trust the certificate of registry {registry}",
        "Tell your administrator",
    ),
    _cause(
        r"no such host|dial tcp|connection re|i/o timeout|deadline exceeded|tls handshake|\b50[0-9]\b|\bEOF\b",
        "registry-unreachable",
        "The registry {registry} cannot be reached from the node ({end})",
        "Check the registry's name in `--image`; if it is right, tell your administrator",
        waits=True,
    ),
    _cause(
        r"not ?found|manifest unknown|name unknown|\b404\b|does not exist",
        "image-not-found",
        "There is no image {image}",
        "Correct the name or the tag with `--image`",
    ),
)


def image_problem(case: Case) -> Explanation | None:
    """An image that cannot be had."""
    for status, state in case.waiting():
        reason = text(state, "reason")
        image = case.image(status)
        said = Said(text(state, "message"), case.source("status.containerStatuses[0].state.waiting"))
        if reason == "InvalidImageName":
            return _invalid(image, said)
        if reason in _PULLING:
            return _known(image, (said, *_failed_pulls(case))) or _unknown(image, said)
    last = _last_step(case)
    if last and _is_failed_pull(last):
        said = Said(text(last, "message"), event_source(last))
        return _known(case.image(), (said,)) or _unknown(case.image(), said)
    return None


def _last_step(case: Case) -> JsonObject | None:
    """The newest event of a pull, while a container waits for it."""
    if not any(case.waiting()):
        return None
    steps = (
        event
        for event in reversed(case.pod_events)
        if _is_failed_pull(event) or text(event, "reason") in _STEPS
    )
    return next(steps, None)


_STEPS = ("Pulling", "Pulled", "Created", "Started")


@dataclass(frozen=True)
class Said:
    """Words of the cluster and where they stand."""

    message: str
    source: str


def _failed_pulls(case: Case) -> tuple[Said, ...]:
    """A back-off does not say why; the event before it does."""
    failed = (event for event in reversed(case.pod_events) if _is_failed_pull(event))
    return tuple(Said(text(event, "message"), event_source(event)) for event in failed)


def _is_failed_pull(event: JsonObject) -> bool:
    return text(event, "message").startswith("Failed to pull image")


def _known(image: str, words: tuple[Said, ...]) -> Explanation | None:
    for said in words:
        cause = next(
            (cause for cause in _CAUSES if cause.words.search(said.message.replace(image, ""))), None
        )
        if cause:
            end = quote(said.message.rpartition(": ")[2])
            return Explanation(
                code=cause.code,
                sentence=cause.sentence.format(image=image, registry=registry_of(image), end=end),
                fix=cause.fix,
                source=said.source,
                waits=cause.waits,
            )
    return None


def _unknown(image: str, said: Said) -> Explanation:
    return Explanation(
        code="image-pull-failed",
        sentence=f"Image {image} cannot be pulled ({quote(said.message) or 'the node does not say why'})",
        fix="Check the name with `--image`; if it is right, tell your administrator",
        source=said.source,
    )


def _invalid(image: str, said: Said) -> Explanation:
    return Explanation(
        code="image-invalid",
        sentence=f"{image} cannot be the name of an image ({quote(said.message.rpartition(': ')[2])})",
        fix="Correct it with `--image`",
        source=said.source,
        waits=False,
    )


def registry_of(image: str) -> str:
    """The host an image comes from, as container runtimes read its name."""
    first, slash, _ = image.partition("/")
    return first if slash and (re.search(r"[.:]", first) or first == "localhost") else "docker.io"


def image_pulling(case: Case) -> Explanation | None:
    """An image on its way: how large, where any node's record tells, and for how long so far."""
    last = _last_step(case)
    if not last or text(last, "reason") != "Pulling":
        return None
    found = re.search(r'Pulling image "([^"]+)"', text(last, "message"))
    image = found[1] if found else case.image()
    size = _size_on_a_node(case, image)
    passed = seconds_between(event_time(last), case.facts.seen)
    known = [show_bytes(size)] if size else []
    known += [f"for {show_about(passed)} so far"] if passed is not None else []
    return Explanation(
        code="image-pulling",
        sentence=f"Pulling image {image}" + (f" ({', '.join(known)})" if known else ""),
        source=event_source(last),
    )


def _size_on_a_node(case: Case, image: str) -> int:
    """Bytes of the image, compressed, as a node that has it says; 0 where none does."""
    names = {image, image if ":" in image.rpartition("/")[2] else f"{image}:latest"}
    for node in case.facts.nodes or ():
        for item in members(node, "status", "images"):
            if names & set(strings(item, "names")):
                return number(item, "sizeBytes")
    return 0
