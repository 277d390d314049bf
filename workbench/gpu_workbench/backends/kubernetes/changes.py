"""What a watch says: one JSON object a line.

Source: Kubernetes API concepts, "Efficient detection of changes".
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, cast, get_args

import aiohttp

from gpu_workbench.backends.kubernetes.answers import Call, error_of
from gpu_workbench.backends.kubernetes.decoding import loads
from gpu_workbench.core.errors import ProtocolError
from gpu_workbench.core.objects import member, number, text
from gpu_workbench.core.wire import JsonObject

ChangeType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]


@dataclass(frozen=True)
class Change:
    """One event of a watch. A ``BOOKMARK`` has only a newer ``version``."""

    type: ChangeType
    object: JsonObject

    @property
    def version(self) -> str:
        """Where a watch can go on from after this."""
        return text(self.object, "metadata", "resourceVersion")


async def changes_of(call: Call, content: aiohttp.StreamReader) -> AsyncIterator[Change]:
    """The changes in a watch's body, as they come.

    Raises:
        ProtocolError: that is no watch.
        BackendError: what the server says instead of a change, e.g. ``Expired``.
    """
    async for line in _lines(content):
        yield _change(call, line)


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length; the reader's own ``readline`` stops at its buffer's size."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line


def _change(call: Call, line: bytes) -> Change:
    try:
        form = loads(line)
    except ValueError:
        raise ProtocolError(f"The API server's answer to {call} is not JSON", why=repr(line[:80])) from None
    kind = text(form, "type")
    if kind == "ERROR":
        status = member(form, "object")
        raise error_of(call, status=number(status, "code") or 500, body=json.dumps(status))
    if kind not in get_args(ChangeType):
        raise ProtocolError(f"The API server's answer to {call} is not a change", why=repr(kind))
    return Change(cast("ChangeType", kind), light(member(form, "object")))


def light(found: JsonObject) -> JsonObject:
    """An object without its ``managedFields``: the largest part of most, which nobody here reads."""
    member(found, "metadata").pop("managedFields", None)
    return found
