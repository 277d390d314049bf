"""The operator as dask-kubernetes' tests want it: run by each of them for itself. Here one runs in the cluster for all."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from types import TracebackType

from tests.cluster.dask_operator import NAME
from tests.cluster.handle import Cluster
from tests.cluster.shell import until

_ACCOUNT = f"system:serviceaccount:{NAME}:{NAME}"
_AWAY = "The operator is away from this namespace"
_ALLOWED = (
    "request.operation == 'DELETE' || (request.resource.resource == 'daskclusters'"
    " && !(has(object.status) && has(object.status.phase)))"
)
"""It may put its finalizer on a DaskCluster and take it off, without which it would never let go of one that is gone."""
_STARTED = re.compile(r"^.*Activity 'startup' succeeded", re.MULTILINE)


class Runner:
    """What their `KopfRunner` is, of an operator that runs already; leaving it looks whether it still does.

    Args:
        cluster: Where.
        namespace: Of the test: what the operator says of others is not in `output`.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self.exit_code: int | None = None
        self.exception: BaseException | None = None
        self.output = ""

    def __enter__(self) -> Runner:
        self._cluster.dask_operator()
        self._pod = self._running()
        self._since = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.exit_code = 0 if self._running() == self._pod else 1
        start = self._log()
        found = _STARTED.search(start)
        lines = self._log(f"--since-time={self._since}").splitlines()
        own = [line for line in lines if f"[{self._namespace}/" in line]
        self.output = "\n".join([start[: found.end()] if found else "", *own])

    def _running(self) -> tuple[str, int]:
        """The operator's pod, and how often its container was started again."""
        (pod,) = json.loads(self._cluster.kubectl("-n", NAME, "get", "pods", "-o", "json"))["items"]
        return str(pod["metadata"]["uid"]), int(pod["status"]["containerStatuses"][0]["restartCount"])

    def _log(self, *argv: str) -> str:
        return self._cluster.kubectl("-n", NAME, "logs", f"deployment/{NAME}", *argv)


@contextmanager
def away(cluster: Cluster, namespace: str) -> Iterator[None]:
    """While it lasts, the operator can change nothing in this namespace. All others have it as before.

    For a test that runs no operator. SIMULATED: it runs, and the API server refuses what it wants to write.
    """
    name = f"upstream-{secrets.token_hex(4)}"
    scope = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    everything = {
        "apiGroups": ["*"],
        "apiVersions": ["*"],
        "operations": ["*"],
        "resources": ["*", "*/status"],
    }
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {"namespaceSelector": scope, "resourceRules": [everything]},
        "matchConditions": [
            {"name": "the-operator", "expression": f"request.userInfo.username == '{_ACCOUNT}'"}
        ],
        "validations": [{"expression": _ALLOWED, "message": _AWAY, "reason": "Forbidden"}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    kinds = {"ValidatingAdmissionPolicyBinding": binding, "ValidatingAdmissionPolicy": policy}
    objects = [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        for kind, spec in kinds.items()
    ]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl("create", "-f", "-", data=listed)
    try:
        until("a policy in force", 30, lambda: _refused(cluster, namespace), log="kube-apiserver")
        yield
    finally:
        cluster.kubectl("delete", "-f", "-", data=listed)


def _refused(cluster: Cluster, namespace: str) -> bool:
    form = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "try"},
        "spec": {"ports": [{"port": 1}]},
    }
    command = cluster.command(
        *("-n", namespace, "create", "-f", "-", "--dry-run=server", f"--as={_ACCOUNT}"),
    )
    tried = subprocess.run(command, input=json.dumps(form), text=True, capture_output=True, check=False)
    return _AWAY in tried.stderr
