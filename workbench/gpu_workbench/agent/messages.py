"""Jupyter's messages as the frames they travel in.

Source: "Messaging in Jupyter", protocol 5.3, "The wire protocol". ``jupyter_client`` has the same; importing it takes longer
than all else that an agent imports, and its reading makes dates of every text that looks like one.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import itertools
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpu_workbench.core.wire import Json, JsonObject

VERSION = "5.3"
_DELIMITER = b"<IDS|MSG>"


@dataclass(frozen=True)
class Message:
    """A message of a kernel: its type, what it answers, and what it says."""

    type: str
    parent: str
    content: JsonObject
    metadata: JsonObject = field(default_factory=dict)
    id: str = ""


class Messages:
    """Packs messages of one client and reads those that are for it.

    Args:
        key: With which all messages of a kernel are signed.
    """

    def __init__(self, key: bytes) -> None:
        self._hmac = hmac.new(key, digestmod=hashlib.sha256)
        self._numbers = itertools.count(1)
        self.session = secrets.token_hex(16)
        """Who asks; the identity of its sockets, too."""

    def pack(
        self, kind: str, content: Mapping[str, Json], *, metadata: Mapping[str, Json] | None = None
    ) -> tuple[str, list[bytes]]:
        """A message's id and its frames."""
        header = {
            "msg_id": f"{self.session}_{next(self._numbers)}",
            "msg_type": kind,
            "username": "gpu-workbench",
            "session": self.session,
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(),
            "version": VERSION,
        }
        frames = [json.dumps(part).encode() for part in (header, {}, metadata or {}, content)]
        return header["msg_id"], [_DELIMITER, self._sign(frames), *frames]

    def unpack(self, frames: list[bytes]) -> Message:
        """The message in frames; buffers behind it are left out.

        Raises:
            ValueError: it is no message, or is signed with another key.
        """
        start = frames.index(_DELIMITER) + 1
        signature, parts = frames[start], frames[start + 1 : start + 5]
        if len(parts) < 4 or not hmac.compare_digest(signature, self._sign(parts)):
            raise ValueError("this is no message of the kernel's")
        # ipykernel may write what is no UTF-8: text of the user's with half a character in it
        header, parent, metadata, content = (json.loads(part.decode("utf-8", "replace")) for part in parts)
        return Message(
            type=header["msg_type"],
            parent=(parent or {}).get("msg_id", ""),
            content=content,
            metadata=metadata or {},
            id=header["msg_id"],
        )

    def _sign(self, frames: list[bytes]) -> bytes:
        state = self._hmac.copy()
        for frame in frames:
            state.update(frame)
        return state.hexdigest().encode()
