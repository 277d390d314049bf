"""The API server says no, or says nothing."""

from __future__ import annotations

import re

from gpu_workbench.core.errors import (
    AdmissionDenied,
    PermissionDenied,
    Throttled,
    Unreachable,
    WorkbenchError,
)
from gpu_workbench.core.explain.admission import denied
from gpu_workbench.core.explain.case import Case, quote
from gpu_workbench.core.facts import Explanation

_API = "the API server's answer"
_FORBIDDEN = re.compile(
    r'cannot (?P<verb>[\w*]+) resource "(?P<resource>[^"]+)"(?: in API group "(?P<group>[^"]*)")?'
    r'(?:(?: in the namespace "(?P<namespace>[^"]+)")|(?P<cluster> at the cluster scope))?'
)
_NO_RIGHT = re.compile(r"forbidden|not allowed|\b403\b", re.IGNORECASE)
_NO_LOGIN = re.compile(r"\b401\b|unauthorized|provide credentials", re.IGNORECASE)


def explain_error(error: Exception) -> Explanation:
    """Say an error of a backend in the same form as what the cluster says.

    Args:
        error: What a call raised; one of ``core.errors``, or anything else.
    """
    if not isinstance(error, WorkbenchError):
        return Explanation(
            code="unexpected",
            sentence=quote(f"{type(error).__name__}: {error}"),
            source="this program",
            waits=False,
        )
    words = f"{error.what}: {error.why}" if error.why else error.what
    if isinstance(error, AdmissionDenied):
        return denied(error.why or error.what, source=_API)
    if isinstance(error, PermissionDenied):
        return forbidden(words)
    if isinstance(error, Unreachable):
        return unreachable(words)
    if isinstance(error, Throttled):
        bound = f" for {error.retry_after:g} s" if error.retry_after else ""
        return Explanation(
            code="api-throttled",
            sentence=f"The API server asks to be left alone{bound}; it is tried again",
            source=_API,
        )
    return Explanation(
        code=_kebab(type(error).__name__),
        sentence=quote(words),
        fix=error.fix,
        source=_API,
        waits=error.retryable,
    )


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def forbidden(message: str) -> Explanation:
    """Which right is missing: the verb and the resource, without the user's name.

    Args:
        message: Of the API server, e.g. ``jobs.batch is forbidden: User "..." cannot create resource "jobs" in ...``.
    """
    if _NO_LOGIN.search(message) and not _FORBIDDEN.search(message):
        return Explanation(
            code="not-logged-in",
            sentence="The cluster does not accept your login, or it has expired",
            fix="Log in again (`kubectl get pods` shows whether it works)",
            source=_API,
            waits=False,
        )
    found = _FORBIDDEN.search(message)
    if not found:
        return Explanation(
            code="no-permission",
            sentence=f"You are not allowed to do this: {quote(message)}",
            fix="Ask your administrator for the rights that `%gpu doctor --role` prints",
            source=_API,
            waits=False,
        )
    what = found["resource"] + (f".{found['group']}" if found["group"] else "")
    where = f" in namespace {found['namespace']}" if found["namespace"] else ""
    where = " in the whole cluster" if found["cluster"] else where
    return Explanation(
        code="no-permission",
        sentence=f"You may not {found['verb']} {what}{where}",
        fix=f"Ask your administrator for verb {found['verb']} on {what}: `%gpu doctor --role`",
        source=_API,
        waits=False,
    )


_NO_ANSWER = re.compile(
    r"^(the )?api server (is unreachable|unreachable|cannot be reached|(?P<fails>failed))(: )?", re.IGNORECASE
)
_ADVICE = re.compile(r"\. (Check|Try|Log|Tell|Ask) .*$", re.DOTALL)


def unreachable(why: str) -> Explanation:
    """No answer from the API server, or none that is one.

    Args:
        why: What the backend's error says, its own advice included.
    """
    found = _NO_ANSWER.match(why)
    words = quote(_ADVICE.sub("", _NO_ANSWER.sub("", why)))
    fails = found is not None and found["fails"]
    return Explanation(
        code="api-failing" if fails else "api-unreachable",
        sentence=f"The cluster's API server {'fails' if fails else 'cannot be reached'}"
        + (f" ({words})" if words else ""),
        fix="Check the network or VPN and `kubectl get --raw /readyz`; what runs there goes on running",
        source="this machine",
    )


def unseen(case: Case) -> Explanation | None:
    """Nothing newer can be seen of the workload."""
    error, facts = case.facts.error, case.facts
    seen = facts.job is not None or bool(facts.pods) or facts.record is not None
    if not error or (facts.phase.ended and seen):  # an end that was seen stays one
        return None
    refused = _FORBIDDEN.search(error) or _NO_RIGHT.search(error) or _NO_LOGIN.search(error)
    return forbidden(error) if refused else unreachable(error)
