"""What a sealed run is made of: ``job.json``, its signature, and the files they name, all in one folder.

::

    job.json        a :class:`SealedJob`
    job.sig         hexadecimal HMAC-SHA256 of the bytes of job.json, by the run's key
    values/N        the bytes of a value
    files/HASH      the content of a project file
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpu_workbench.core.errors import ForgedValue, ProtocolError
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.core.wire import JsonObject, decode, encode_fields

JOB_FILE = "job.json"
SIGNATURE_FILE = "job.sig"
VALUES_FOLDER = "values"
FILES_FOLDER = "files"
KEY_SIZE = 32
"""Bytes that a run's key has at least."""


@dataclass(frozen=True)
class SealedValue:
    """A value the run is given: where its bytes lie, and who vouches for them (see ``values.signing``)."""

    name: str
    codec: str
    length: int
    file: str
    digest: str
    signature: str


@dataclass(frozen=True)
class SealedFile:
    """A file of the mirrored project. ``hash`` is :func:`content_hash` of its content."""

    hash: str
    size: int
    mode: int = 0o644


@dataclass(frozen=True)
class Script:
    """A script in the cell's place: what follows the interpreter on its command line."""

    argv: tuple[str, ...]


@dataclass(frozen=True)
class SealedJob:
    """A run with all it needs.

    Args:
        run: What to run; its cell is not looked at where there is a script.
        values: Bound before the cell starts.
        files: Path within the working directory to what lies there.
        modules_reload: Modules among the files, to be imported anew where they have been imported already.
        script: In place of the cell.
    """

    run: RunSpec
    values: tuple[SealedValue, ...] = ()
    files: Mapping[str, SealedFile] = field(default_factory=dict)
    modules_reload: tuple[str, ...] = ()
    script: Script | None = None
    version: int = 1


def content_hash(content: bytes) -> str:
    """The name of a file's content: BLAKE2b, 128 bits, hexadecimal."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def dump_job(job: SealedJob) -> bytes:
    """The bytes of ``job.json``."""
    return json.dumps({"version": job.version, **encode_fields(job)}, sort_keys=True).encode()


def job_signature(key: bytes, content: bytes) -> str:
    """The text of ``job.sig``.

    Raises:
        ValueError: the key is shorter than :data:`KEY_SIZE`.
    """
    if len(key) < KEY_SIZE:
        raise ValueError(f"a key of at least {KEY_SIZE} bytes is needed")
    return hmac.new(key, content, hashlib.sha256).hexdigest()


def load_job(key: bytes, content: bytes, signature: str) -> SealedJob:
    """Read ``job.json``, once its signature has been checked in constant time.

    Raises:
        ForgedValue: it is not what was signed with this key.
        ProtocolError: it was signed, and is no job of a version known here.
    """
    if not hmac.compare_digest(job_signature(key, content).encode(), signature.strip().encode()):
        raise ForgedValue("The sealed run was not started", why="job.json is not what its sender signed")
    try:
        form: JsonObject = json.loads(content)
        job = decode(SealedJob, form)
    except (ValueError, TypeError, AttributeError) as error:
        raise ProtocolError("The sealed run cannot be read", why=str(error)) from None
    if job.version != 1:
        raise ProtocolError("The sealed run cannot be read", why=f"its version is {job.version}, not 1")
    return job
