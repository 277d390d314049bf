"""Where the journal and the results of a detached run outlive its pod, and what is too large for a Secret lies before it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpu_workbench.core.errors import FlagError

CLAIM_SCHEME = "pvc"

_CLAIM = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_URL = re.compile(r"[a-z][a-z0-9+.-]*(::[a-z][a-z0-9+.-]*)*://.+")
_HERE_ONLY = frozenset({"file", "local", "memory"})


@dataclass(frozen=True)
class Store:
    """A folder of a PersistentVolumeClaim, or whatever fsspec can write to.

    Args:
        claim: The PersistentVolumeClaim; empty for a URL.
        folder: Within the claim; empty for its root.
        url: The fsspec URL; empty for a claim.
    """

    claim: str = ""
    folder: str = ""
    url: str = ""

    def __str__(self) -> str:
        """As it is written in a profile."""
        return self.url or f"{CLAIM_SCHEME}://{self.claim}" + (f"/{self.folder}" if self.folder else "")

    def url_of(self, workload_id: str) -> str:
        """The URL of one workload's folder."""
        return f"{self.url}/{workload_id}"


def parse_store(text: str) -> Store:
    """``pvc://claim``, ``pvc://claim/folder``, or a URL that fsspec understands, e.g. ``s3://bucket/folder``.

    Raises:
        FlagError: it is none of these, or a place that pods do not see.
    """
    scheme, _, rest = text.partition("://")
    if scheme == CLAIM_SCHEME:
        claim, _, folder = rest.partition("/")
        if _CLAIM.fullmatch(claim) and ".." not in folder.split("/"):
            return Store(claim=claim, folder=folder.strip("/"))
    elif scheme in _HERE_ONLY:
        raise FlagError(
            f"{text} is a place of this machine",
            why="pods do not see it",
            fix="Write pvc://claim/folder, or a URL such as s3://bucket/folder",
        )
    elif _URL.fullmatch(text):
        return Store(url=text.rstrip("/"))
    raise FlagError(
        f"{text!r} is no store", fix="Write pvc://claim/folder, or a URL such as s3://bucket/folder"
    )
