"""What the API server's refusals mean: its Status objects and the network's failures become our errors, here alone."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from dataclasses import dataclass

import aiohttp

from gpu_workbench.core.errors import (
    AdmissionDenied,
    BackendError,
    Conflict,
    NotFound,
    PermissionDenied,
    Retryable,
    Throttled,
    Unreachable,
)
from gpu_workbench.core.objects import members, text

# Admission plugins, webhooks and RBAC all answer 403 Forbidden; only the words tell them apart.
_RBAC = re.compile(r'\bcannot (?P<verb>[a-z]+) resource "(?P<resource>[^"]+)"')
_ADMISSION = (
    re.compile(r"(?P<rule>ValidatingAdmissionPolicy '[^']+')"),
    re.compile(r'(?P<rule>admission webhook "[^"]+")'),
    re.compile(r'(?P<rule>PodSecurity "[^"]+")'),
    re.compile(r"exceeded (?P<rule>quota: [^,]+)"),
    re.compile(r"(?P<rule>failed quota: [^:]+)"),
)


@dataclass(frozen=True)
class Call:
    """One request, in the words of RBAC."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}{f' {self.name}' if self.name else ''}{where}"


class ServerError(Unreachable):
    """The API server failed (5xx), or asked to be left alone for a while (429)."""

    def __init__(self, what: str, *, why: str, fix: str, retry_after: float | None) -> None:
        super().__init__(what, why=why, fix=fix)
        self.retry_after = retry_after


class Contended(BackendError, Retryable):
    """Others changed something at the same moment, the object or a quota it counts against (409): ask again."""


class Unauthenticated(PermissionDenied):
    """The server does not take our credentials (401); newer ones may help."""


class Expired(BackendError):
    """The resource version or page asked for is no longer kept (410): read anew."""


def error_of(call: Call, *, status: int, body: str, retry_after: float | None = None) -> BackendError:
    """The error that an answer stands for.

    Args:
        call: What was asked.
        status: HTTP status, 400 or more.
        body: The answer's body, a ``v1`` Status where the API server itself spoke.
        retry_after: Seconds of its ``Retry-After`` header.
    """
    message, reason = _status_object(body)
    if status == 401:
        return Unauthenticated(
            "The cluster does not know who you are",
            why=f"the API server answered 401 to {call}",
            fix="Log in again; `kubectl auth whoami` must work",
        )
    if status == 429:
        return Throttled(
            "The API server asks to come back later",
            why=f"it answered 429 to {call}",
            retry_after=retry_after,
        )
    if status == 403:
        return _forbidden(call, message)
    if status == 404:
        return NotFound(f"There is no {call.resource} {call.name}".rstrip(), why=message or f"404 to {call}")
    if status == 409 and reason == "Conflict":
        return Contended(f"Could not {call}", why=message, fix="Try again")
    if status == 409:
        return Conflict(f"Could not {call}", why=message or reason or f"409 to {call}")
    if status == 410:
        return Expired(f"Could not {call}", why=message or "too old")
    if status >= 500:
        return ServerError(
            "The API server failed",
            why=f"it answered {status} to {call}" + (f": {message}" if message else ""),
            fix="Try again; if it stays so, ask the cluster's administrator",
            retry_after=retry_after,
        )
    return AdmissionDenied(
        f"The cluster refuses to {call}", why=_rule(message) + (message or f"it answered {status}")
    )


def error_of_network(call: Call, error: Exception, server: str) -> Unreachable:
    """The error that a connection's failure stands for."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        why = f"its name cannot be resolved ({server})"
    elif isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError | ssl.SSLError):
        why = f"TLS with {server} failed: {_short(error)}"
    elif isinstance(error, ConnectionRefusedError | aiohttp.ClientConnectorError):
        why = f"no connection to {server}: {_short(error)}"
    elif isinstance(error, asyncio.TimeoutError):
        why = f"{server} gave no answer in time to {call}"
    else:
        why = f"the connection to {server} was lost during {call}: {_short(error)}"
    return Unreachable(
        "The API server cannot be reached", why=why, fix="Check your network, VPN and KUBECONFIG"
    )


def _forbidden(call: Call, message: str) -> BackendError:
    found = _RBAC.search(message)
    if found or not message:
        where = f" in namespace {call.namespace}" if call.namespace else ""
        verb, resource = (found["verb"], found["resource"]) if found else (call.verb, call.resource)
        return PermissionDenied(
            f"You may not {verb} {resource}{where}",
            why=message or "the API server answered 403",
            fix="`%gpu doctor --role` prints the Role to ask your administrator for",
        )
    if "because it is being terminated" in message:
        return NotFound(
            f"Namespace {call.namespace} is being deleted", why=message, fix="Choose another with --namespace"
        )
    return AdmissionDenied(
        f"The cluster refuses to {call}", why=_rule(message) + (message or "403 Forbidden")
    )


def _rule(message: str) -> str:
    for pattern in _ADMISSION:
        if found := pattern.search(message):
            return f"{found['rule']} forbids it: "
    return ""


def _status_object(body: str) -> tuple[str, str]:
    """Message and reason; of a body that is no Status, its beginning."""
    try:
        form = json.loads(body)
    except ValueError:
        return " ".join(body.split())[:300], ""
    causes = [text(cause, "message") for cause in members(form, "details", "causes")]
    return text(form, "message") or "; ".join(causes), text(form, "reason")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
