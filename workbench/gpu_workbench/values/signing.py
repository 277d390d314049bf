"""Who a value is from, where bytes have lain in between: in a store, or in sealed inputs.

A value that comes from a living agent needs none: its connection is bound to a key that lies beside the run's, and nothing
is read from anybody else (decision 0015). One that was stored is bound to its run: an HMAC-SHA256 by the run's key over
run, name, codec and the SHA-256 of the content. SHA-256 because processors compute it
(1.5 GB/s and up), where BLAKE2 reaches half of that.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gpu_workbench.core.errors import ForgedValue

if TYPE_CHECKING:
    from typing_extensions import Buffer


class ContentDigest:
    """SHA-256 of bytes as they pass."""

    def __init__(self) -> None:
        self._state = hashlib.sha256()

    def update(self, data: Buffer) -> None:
        """Take the next bytes."""
        self._state.update(data)

    def passing(self, chunks: Iterable[memoryview]) -> Iterator[memoryview]:
        """``chunks`` unchanged, each taken as it passes."""
        for chunk in chunks:
            self._state.update(chunk)
            yield chunk

    def hex(self) -> str:
        """64 hexadecimal digits."""
        return self._state.hexdigest()


def sign(key: bytes, *, run: str, name: str, codec: str, digest: str) -> str:
    """The signature of one value of a run, as 64 hexadecimal digits.

    Args:
        key: The run's key, from its Secret; at least 32 bytes.
        digest: :meth:`ContentDigest.hex` of the content.
    """
    if len(key) < 32:
        raise ValueError("a key of at least 32 bytes is needed")
    message = b"".join(
        len(part).to_bytes(4, "big") + part for part in map(str.encode, (run, name, codec, digest))
    )
    return hmac.new(key, b"gpu-workbench value 1" + message, hashlib.sha256).hexdigest()


def verify(key: bytes, signature: str, *, run: str, name: str, codec: str, digest: str) -> None:
    """Check a signature, in constant time.

    Raises:
        ForgedValue: the content, its name, its codec or its run is not what was signed with this key.
    """
    expected = sign(key, run=run, name=name, codec=codec, digest=digest)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise ForgedValue(
            f"{name} of run {run} was not loaded",
            why="its bytes are not what the run signed: somebody else wrote them, or they are damaged",
            fix="Run it again",
        )
