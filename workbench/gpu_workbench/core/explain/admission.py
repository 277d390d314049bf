"""A rule of the cluster refuses an object: which rule, in words."""

from __future__ import annotations

import re
from collections.abc import Callable

from gpu_workbench.core.explain.case import Case, event_source, quote
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.objects import text
from gpu_workbench.core.quantities import read_quantity

_ASK_ADMIN = "Ask your administrator"


def creation_denied(case: Case) -> Explanation | None:
    """The Job controller could not create the pods, and has not since."""
    if case.facts.pods:
        return None
    tried = (
        event
        for event in reversed(case.facts.events)
        if text(event, "reason") in ("FailedCreate", "SuccessfulCreate")
    )
    last = next(tried, None)
    if last is None or text(last, "reason") == "SuccessfulCreate":
        return None
    return denied(text(last, "message"), source=event_source(last))


def denied(message: str, *, source: str) -> Explanation:
    """Say a refusal of the API server in words.

    Args:
        message: Of the event or the API server's answer.
        source: Where it stands.
    """
    for words, rule in _RULES:
        found = words.search(message)
        if found:
            code, sentence, fix = rule(found)
            return Explanation(code=code, sentence=sentence, fix=fix, source=source, waits=code in _MAY_PASS)
    cause = re.sub(r'^Error creating: (\S+ "[^"]*" is forbidden: )?', "", message)
    return Explanation(
        code="admission-denied",
        sentence=f"The cluster refuses it: {quote(cause)}",
        fix=f"{_ASK_ADMIN} about that rule",
        source=source,
        waits=False,
    )


_Told = tuple[str, str, str]
_MAY_PASS = ("quota-exceeded", "admission-webhook-away")


def _quota(found: re.Match[str]) -> _Told:
    asked, used, limit = (_amounts(found[name]) for name in ("asked", "used", "limit"))
    parts = [
        f"{_resource(key)}: {used.get(key, '0')} of {limit.get(key, '?')} used, you ask {amount}"
        for key, amount in asked.items()
    ]
    above = [key for key, amount in asked.items() if _exceeds(amount, limit.get(key))]
    if above:
        return (
            "quota-too-small",
            f"The namespace's quota {found['name']} allows {' and '.join(f'{limit[key]} {_resource(key)}' for key in above)}"
            f" in all, you ask {' and '.join(asked[key] for key in above)}",
            "Ask for less, or ask your administrator for more",
        )
    return (
        "quota-exceeded",
        f"The namespace's quota {found['name']} is exceeded ({'; '.join(parts)})",
        "Stop what you no longer need (`%gpu ls`), ask for less, or ask your administrator for more",
    )


def _exceeds(asked: str, limit: str | None) -> bool:
    wanted, allowed = read_quantity(asked), read_quantity(limit)
    return wanted is not None and allowed is not None and wanted > allowed


def _amounts(listed: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in listed.strip().split(","))
    return {key.strip(): value.strip() for key, _, value in pairs if key.strip()}


def _resource(key: str) -> str:
    return key.removeprefix("requests.").removeprefix("limits.")


_FLAGS = {"cpu": "--cpus", "memory": "--memory"}


def _quota_unspecified(found: re.Match[str]) -> _Told:
    wanted = list(
        dict.fromkeys(re.findall(r"((?:limits|requests)\.[^\s,;]+|\bcpu\b|\bmemory\b) for", found["what"]))
    )
    names = dict.fromkeys(_resource(item) for item in wanted)
    flags = [f"`{_FLAGS[name]}`" for name in names if name in _FLAGS]
    return (
        "quota-needs-limits",
        f"The namespace's quota {found['name']} wants {' and '.join(names) or 'every resource'} to be stated",
        f"Give {' and '.join(flags)}" if flags else f"{_ASK_ADMIN} for default limits (a LimitRange)",
    )


def _limit_range(found: re.Match[str]) -> _Told:
    resource, bound = found["resource"], found["bound"]
    flag = _FLAGS.get(resource, "")
    word = "at most" if found["kind"] == "maximum" else "at least"
    value = next((number for number in (found["limit"], found["request"]) if number), "")
    asked = f", you ask {value}" if value else ""
    return (
        "limit-range",
        f"The namespace allows {word} {bound} {resource} per {found['per'].lower()}{asked}",
        f"Ask for {word} that: `{flag} {bound}`" if flag else f"Ask for {word} {bound}",
    )


_SECURITY: tuple[tuple[str, str], ...] = (
    ("allowPrivilegeEscalation", "privilege escalation must be off"),
    ("unrestricted capabilities", "all capabilities must be dropped"),
    ("non-default capabilities", "no capabilities may be added"),
    ("restricted volume types", "this type of volume is not allowed"),
    ("hostPath volumes", "folders of the node may not be mounted"),
    ("host namespaces", "the node's network and processes may not be shared"),
    ("hostPort", "ports of the node may not be used"),
    ("privileged", "privileged containers are not allowed"),
    ("runAsNonRoot", "it must not run as root"),
    ("runAsUser", "its user id must not be 0"),
    ("seccompProfile", "the seccomp profile must be RuntimeDefault"),
    ("seLinuxOptions", "SELinux options may not be set"),
    ("procMount", "/proc must be mounted as usual"),
    ("forbidden sysctls", "these kernel settings may not be changed"),
    ("forbidden AppArmor", "the AppArmor profile may not be changed"),
)


def _pod_security(found: re.Match[str]) -> _Told:
    violations = re.split(r"\), |\)$", found["what"])
    words = []
    for violation in (item for item in violations if item.strip()):
        known = next((ours for theirs, ours in _SECURITY if violation.startswith(theirs)), "")
        kinds = re.findall(r'restricted volume type "(\w+)"', violation)
        words.append(
            f"volumes of type {', '.join(kinds)} are not allowed" if kinds else known or quote(violation)
        )
    return (
        "pod-security",
        f"The namespace's Pod Security level {found['level']} refuses the pod: {', '.join(dict.fromkeys(words))}",
        "Take what asks for it out of the profile, or use another namespace with `--namespace`",
    )


def _policy(found: re.Match[str]) -> _Told:
    return (
        "admission-policy",
        f"The cluster's admission policy {found['name']} refuses it: {quote(found['why'])}",
        f"Change what the policy names, or ask your administrator about {found['name']}",
    )


def _webhook(found: re.Match[str]) -> _Told:
    return (
        "admission-webhook",
        f"The cluster's admission webhook {found['name']} refuses it: {quote(found['why'])}",
        f"Change what it names, or ask your administrator about {found['name']}",
    )


def _webhook_away(found: re.Match[str]) -> _Told:
    return (
        "admission-webhook-away",
        f"The cluster's admission webhook {found['name']} does not answer, and nothing is let in without it",
        "Tell your administrator",
    )


def _missing(code: str, what: str, fix: str) -> Callable[[re.Match[str]], _Told]:
    return lambda found: (code, f"{what} {found['name']} does not exist", fix)


def _terminating(found: re.Match[str]) -> _Told:
    return "namespace-ending", "The namespace is being deleted", "Use another one with `--namespace`"


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], _Told]], ...] = (
    (
        re.compile(
            r"exceeded quota: (?P<name>[^,]+), requested: (?P<asked>.*), used: (?P<used>.*), limited: (?P<limit>.*)"
        ),
        _quota,
    ),
    (re.compile(r"failed quota: (?P<name>[^:]+): must specify (?P<what>.*)"), _quota_unspecified),
    (
        re.compile(
            r"(?P<kind>maximum|minimum) (?P<resource>\S+) usage per (?P<per>\w+) is (?P<bound>[^,\s]+)"
            r"(?:,? but (?:limit is (?P<limit>[^,\s]+)|request is (?P<request>[^,\s]+)))?"
        ),
        _limit_range,
    ),
    (re.compile(r'violates PodSecurity "(?P<level>[^":]+)[^"]*": (?P<what>.*)'), _pod_security),
    (
        re.compile(r"ValidatingAdmissionPolicy '(?P<name>[^']+)'.* denied request: (?P<why>.*)", re.DOTALL),
        _policy,
    ),
    (
        re.compile(r'admission webhook "(?P<name>[^"]+)" denied the request:? ?(?P<why>.*)', re.DOTALL),
        _webhook,
    ),
    (re.compile(r'failed calling webhook "(?P<name>[^"]+)"'), _webhook_away),
    (
        re.compile(r'serviceaccount "(?P<name>[^"]+)" not found'),
        _missing("service-account-missing", "Service account", "Correct `service_account` in the profile"),
    ),
    (
        re.compile(r"no PriorityClass with name (?P<name>\S+) was found"),
        _missing("priority-class-missing", "Priority class", "Correct it in the profile"),
    ),
    (
        re.compile(r'RuntimeClass "(?P<name>[^"]+)" not found'),
        _missing("runtime-class-missing", "Runtime class", "Correct it in the profile"),
    ),
    (
        re.compile(r'namespaces? "(?P<name>[^"]+)" not found'),
        _missing("namespace-missing", "Namespace", "Name another one with `--namespace`"),
    ),
    (re.compile(r"because it is being terminated"), _terminating),
)
