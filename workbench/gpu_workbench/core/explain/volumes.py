"""Volumes, and the ConfigMaps and Secrets a pod names."""

from __future__ import annotations

import re

from gpu_workbench.core.explain.case import Case, event_source, quote
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.objects import at, condition, members, name_of, text
from gpu_workbench.core.spec import Volume
from gpu_workbench.core.wire import JsonObject


def claim_problem(case: Case) -> Explanation | None:
    """A PersistentVolumeClaim keeps the pod from being given a node."""
    message = text(condition(case.pod, "PodScheduled", "False"), "message")
    source = case.source("status.conditions[PodScheduled]")
    missing = re.search(r'persistentvolumeclaim "([^"]+)" not found', message)
    if missing:
        return _missing(case, missing[1], source)
    if "unbound immediate PersistentVolumeClaims" in message:
        return _unbound(case, source)
    if "didn't find available persistent volumes to bind" in message:
        return _no_volume(case, source)
    if "volume node affinity conflict" in message:
        return Explanation(
            code="volume-elsewhere",
            sentence=f"The volume of {_claims_in_words(case)} lies where no node that fits can reach it",
            fix="Use a claim in the zone of the GPUs, or leave the volume out",
            source=source,
            waits=False,
        )
    return _provisioning(case)


def _missing(case: Case, name: str, source: str) -> Explanation:
    volume = next((item for item in case.spec.volumes if item.claim == name), Volume(name, "/path"))
    return Explanation(
        code="claim-missing",
        sentence=f"The volume claim {name} does not exist in this namespace",
        fix=f"Create it, or correct `--volume {name}:{volume.path}`",
        source=source,
        waits=False,
    )


def _unbound(case: Case, source: str) -> Explanation:
    claim = next((item for item in _claims(case) if text(item, "status", "phase") != "Bound"), {})
    event = _claim_event(case, name_of(claim), "FailedBinding", "ProvisioningFailed", "ExternalProvisioning")
    name = name_of(claim) or _claims_in_words(case)
    if event is None:
        return Explanation(
            code="claim-unbound", sentence=f"The volume claim {name} has no volume yet", source=source
        )
    return Explanation(
        code="claim-unbound",
        sentence=f"The volume claim {name} has no volume: {quote(text(event, 'message'))}",
        fix="Give the claim a storage class that exists (`kubectl get storageclass`), or ask your administrator",
        source=event_source(event),
    )


def _no_volume(case: Case, source: str) -> Explanation:
    waiting = [item for item in _claims(case) if text(item, "status", "phase") != "Bound"]
    name = name_of(waiting[0]) if waiting else _claims_in_words(case)
    storage = text(waiting[0], "spec", "storageClassName") if waiting else ""
    of_class = f" of storage class {storage}" if storage else ""
    return Explanation(
        code="claim-no-volume",
        sentence=f"No free volume{of_class} fits the claim {name} on any node",
        fix="Ask your administrator for a volume, or use a storage class that makes them",
        source=source,
    )


def _provisioning(case: Case) -> Explanation | None:
    for claim in _claims(case):
        if text(claim, "status", "phase") == "Lost":
            return Explanation(
                code="claim-lost",
                sentence=f"The volume claim {name_of(claim)} has lost its volume",
                fix="Ask your administrator; the data may still be there",
                source=f"persistentvolumeclaim {name_of(claim)}: status.phase",
                waits=False,
            )
        node = at(claim, "metadata", "annotations", "volume.kubernetes.io/selected-node")
        if text(claim, "status", "phase") == "Pending" and node:
            failed = _claim_event(case, name_of(claim), "ProvisioningFailed")
            why = f" ({quote(text(failed, 'message'))})" if failed else ""
            return Explanation(
                code="claim-provisioning",
                sentence=f"A volume is being made for the claim {name_of(claim)}{why}",
                source=f"persistentvolumeclaim {name_of(claim)}: selected-node",
            )
    return None


def _claims(case: Case) -> tuple[JsonObject, ...]:
    """The claims the pod names, as far as they are visible."""
    names = set(_claim_names(case))
    return tuple(claim for claim in case.facts.claims if name_of(claim) in names)


def _claim_names(case: Case) -> tuple[str, ...]:
    volumes = members(case.pod, "spec", "volumes")
    names = (text(volume, "persistentVolumeClaim", "claimName") for volume in volumes)
    return tuple(name for name in names if name) or tuple(item.claim for item in case.spec.volumes)


def _claims_in_words(case: Case) -> str:
    return " or ".join(_claim_names(case)) or "its claim"


def _claim_event(case: Case, name: str, *reasons: str) -> JsonObject | None:
    for event in reversed(case.facts.events):
        about = text(event, "involvedObject", "kind"), text(event, "involvedObject", "name")
        if about == ("PersistentVolumeClaim", name) and text(event, "reason") in reasons:
            return event
    return None


_SETTINGS = re.compile(r'\b(configmap|secret) "([^"]+)" not found', re.IGNORECASE)
_KEY = re.compile(r"couldn't find key (\S+) in (Secret|ConfigMap) (?:[^/\s]+/)?(\S+)")
_KINDS = {"configmap": "ConfigMap", "secret": "Secret"}


def settings_problem(case: Case) -> Explanation | None:
    """The container cannot be made, because of what the pod names or how the image is."""
    for status, state in case.waiting():
        if text(state, "reason") in ("CreateContainerConfigError", "CreateContainerError"):
            source = case.source("status.containerStatuses[0].state.waiting")
            return _setting(case, text(state, "message"), source, image=case.image(status))
    event = case.last_event("FailedMount", "FailedAttachVolume", "Pulled", "Pulling", "Created", "Started")
    if event and text(event, "reason") in ("FailedMount", "FailedAttachVolume"):
        return _setting(case, text(event, "message"), event_source(event), image="")
    return None


def _setting(case: Case, message: str, source: str, *, image: str) -> Explanation | None:
    missing = _SETTINGS.search(message)
    if missing:
        kind, name = _KINDS[missing[1].lower()], missing[2]
        return Explanation(
            code=f"{kind.lower()}-missing",
            sentence=f"The {kind} {name}, which the pod needs, does not exist in this namespace",
            fix=f"Create it, or take {name} out of the profile"
            + (" or `--secret`" if kind == "Secret" else ""),
            source=source,
        )
    key = _KEY.search(message)
    if key:
        return Explanation(
            code=f"{key[2].lower()}-key-missing",
            sentence=f"The {key[2]} {key[3]} has no key {key[1]}",
            fix=f"Add the key to it, or correct the name {key[1]}",
            source=source,
        )
    if "runAsNonRoot" in message:
        return Explanation(
            code="image-runs-as-root",
            sentence=f"Image {image} wants to run as root, which the pod forbids",
            fix="Set `user_id` in the profile to a number above 0",
            source=source,
            waits=False,
        )
    if "Multi-Attach error" in message:
        return Explanation(
            code="volume-in-use",
            sentence=f"The volume of {_claims_in_words(case)} is attached to another node and can only be on one",
            fix="Stop what uses it (`%gpu ls`), or use a claim that many nodes can mount (ReadWriteMany)",
            source=source,
        )
    if not image:
        return Explanation(
            code="volume-mount",
            sentence=f"A volume cannot be mounted yet: {quote(message)}",
            source=source,
        )
    return None
