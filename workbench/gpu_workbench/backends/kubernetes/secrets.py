"""Secrets that users keep with ``%gpu secret``: plain Kubernetes Secrets, labelled as ours and with their owner."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass

from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.resources import SECRETS
from gpu_workbench.backends.kubernetes.roots import seconds
from gpu_workbench.core.errors import Conflict, NotFound
from gpu_workbench.core.objects import at, label, name_of, text
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.names import OWNER_LABEL, ROLE_LABEL

ROLE = "user-secret"


@dataclass(frozen=True)
class UserSecrets:
    """The secrets of one user in one namespace.

    Args:
        client: To the API server.
        namespace: Where they lie.
        owner: Hash of the user's name.
    """

    client: ApiClient
    namespace: str
    owner: str

    async def put(self, name: str, variable: str, value: str) -> bool:
        """Keep a value under the name of its variable; ``True`` where it takes the place of a former one.

        The former is removed first: replacing in place would need a right that nothing else here needs.

        Raises:
            Conflict: somebody else's secret has that name.
        """
        replaced = False
        with suppress(NotFound):
            self._check(await self.client.get(SECRETS, namespace=self.namespace, name=name))
            await self.client.delete(SECRETS, namespace=self.namespace, name=name)
            replaced = True
        body: JsonObject = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {"name": name, "labels": {ROLE_LABEL: ROLE, OWNER_LABEL: self.owner}},
            "data": {variable: base64.b64encode(value.encode()).decode()},
        }
        try:
            await self.client.create(SECRETS, body, namespace=self.namespace)
        except Conflict:  # where a reply was lost, it is there by our own hand
            made = await self.client.get(SECRETS, namespace=self.namespace, name=name)
            self._check(made)
            if at(made, "data") != body["data"]:
                raise
        return replaced

    async def list(self) -> list[tuple[str, tuple[str, ...], float]]:
        """Name, variables and time of each."""
        labels = f"{ROLE_LABEL}={ROLE},{OWNER_LABEL}={self.owner}"
        found = await self.client.list(SECRETS, namespace=self.namespace, labels=labels)
        return [
            (name_of(item), _keys(item), seconds(text(item, "metadata", "creationTimestamp")))
            for item in found.items
        ]

    async def remove(self, name: str) -> None:
        """Remove one.

        Raises:
            NotFound: there is none.
            Conflict: it is somebody else's.
        """
        try:
            self._check(await self.client.get(SECRETS, namespace=self.namespace, name=name))
        except NotFound:
            raise NotFound(f"There is no secret {name}", fix="`%gpu secret ls` lists yours") from None
        await self.client.delete(SECRETS, namespace=self.namespace, name=name)

    def _check(self, secret: JsonObject) -> None:
        if label(secret, ROLE_LABEL) != ROLE or label(secret, OWNER_LABEL) != self.owner:
            raise Conflict(
                f"There is a Secret {name_of(secret)} in {self.namespace} already",
                why="it was not made by you with `%gpu secret`",
                fix="Choose another name, or use that one as it is with --secret",
            )


def _keys(secret: JsonObject) -> tuple[str, ...]:
    data = at(secret, "data")
    return tuple(sorted(data)) if isinstance(data, dict) else ()


def secret_text(secret: JsonObject, key: str) -> str:
    """What a Secret has under a key, as text."""
    return base64.b64decode(text(secret, "data", key)).decode()
